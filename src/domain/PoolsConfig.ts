/**
 * The text of pools.cfg: every declared pool with its servers, so that HAProxy, started without us, serves at once.
 *
 * One `backend` section per pool, one line per slot. The settings of the pools (balance, timeouts, health checks)
 * come from the named defaults section {@link poolsDefaults} in haproxy.cfg, which belongs to the operator.
 * The text is a function of the servers alone; one edit renders one section. Values of this type never change.
 * Servers beyond the declared pools and slots have no place in the file and are left out.
 */
import { formatEndpoint } from "./Address.ts"
import type { Edit } from "./Change.ts"
import {
  placeholder,
  type PoolLimits,
  poolName,
  type PoolNumber,
  type Server,
  slotName,
  type SlotNumber
} from "./Pool.ts"

/** The named defaults section that every pool is made from; dynamic backends use it too. */
export const poolsDefaults = "haproxy_mcp_pools"

interface Section {
  /** By slot number less one; a slot that is not there is empty. */
  readonly servers: ReadonlyArray<Server | null>
  readonly bytes: Buffer
}

/** pools.cfg in memory. Immutable. */
export interface PoolsConfig {
  readonly limits: PoolLimits
  /** By pool number less one. */
  readonly sections: ReadonlyArray<Section>
}

const head = Buffer.from(
  [
    "# haproxy-mcp: this file is written by haproxy-mcp from its database; its next write undoes every edit.",
    "# HAProxy loads it after haproxy.cfg (-f haproxy.cfg -f pools.cfg), which has the section",
    `# \`defaults ${poolsDefaults}\` with what all pools have in common.`,
    `# A server on drain has weight 0 here, because a configuration has no drain; ${placeholder.ip}:${placeholder.port} is an empty slot.`,
    ""
  ].join("\n")
)

/** One server line, without indent. */
export const serverLine = (pool: PoolNumber, slot: SlotNumber, server: Server | null): string => {
  const name = `server ${slotName(pool, slot)}`
  if (server === null) return `${name} ${placeholder.ip}:${placeholder.port} disabled`
  const line = `${name} ${formatEndpoint(server.ip, server.port)} weight`
  switch (server.state) {
    case "ready":
      return `${line} ${server.weight}`
    case "drain":
      return `${line} 0 # drain; weight ${server.weight} when ready`
    case "maint":
      return `${line} ${server.weight} disabled`
  }
}

const toSection = (limits: PoolLimits, pool: PoolNumber, servers: ReadonlyArray<Server | null>): Section => {
  const lines = [`\nbackend ${poolName(pool)} from ${poolsDefaults}`]
  for (let slot = 1; slot <= limits.slots; slot++) {
    lines.push(`  ${serverLine(pool, slot as SlotNumber, servers[slot - 1] ?? null)}`)
  }
  return { servers, bytes: Buffer.from(`${lines.join("\n")}\n`) }
}

/** All pools with these servers. */
export const make = (limits: PoolLimits, servers: Iterable<Server>): PoolsConfig => {
  const pools: Array<Array<Server | null>> = Array.from({ length: limits.pools }, () => [])
  for (const server of servers) {
    if (server.slot > limits.slots) continue
    const slots = pools[server.pool - 1]
    if (slots === undefined) continue
    while (slots.length < server.slot) slots.push(null)
    slots[server.slot - 1] = server
  }
  return { limits, sections: pools.map((slots, index) => toSection(limits, index + 1 as PoolNumber, slots)) }
}

/** Follows edits of servers; others are ignored. Answers the same object when the text stays the same. */
export const edit = (config: PoolsConfig, edits: ReadonlyArray<Edit>): PoolsConfig => {
  const touched = new Map<PoolNumber, Array<Server | null>>()
  for (const change of edits) {
    if (change.kind !== "server" || change.slot > config.limits.slots) continue
    const section = config.sections[change.pool - 1]
    if (section === undefined) continue
    const slots = touched.get(change.pool) ?? [...section.servers]
    touched.set(change.pool, slots)
    while (slots.length < change.slot) slots.push(null)
    slots[change.slot - 1] = change.after
  }
  const sections = [...config.sections]
  let changed = false
  for (const [pool, slots] of touched) {
    const next = toSection(config.limits, pool, slots)
    if (next.bytes.equals(sections[pool - 1]!.bytes)) continue
    sections[pool - 1] = next
    changed = true
  }
  return changed ? { limits: config.limits, sections } : config
}

/** The file, in pieces. */
export const bytes = (config: PoolsConfig): ReadonlyArray<Buffer> => [
  head,
  ...config.sections.map((section) => section.bytes)
]
