/** Which of the predecessor's servers are taken, and into which slots. Pure; part of the migration's plan. */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import type { Port, ServerIp } from "../domain/Address.ts"
import type { LegacyServer } from "../domain/Legacy.ts"
import {
  defaultWeight,
  placeholder,
  type PoolLimits,
  poolName,
  type PoolNumber,
  type Server,
  type ServerState,
  serverStates,
  slotName,
  type SlotNumber,
  type Weight
} from "../domain/Pool.ts"
import type { Note } from "./MigrationReport.ts"

/** A server's address by the input rules, or the rule it breaks. */
export type AcceptServer = (
  ip: string,
  port: number
) => Result.Result<{ readonly ip: ServerIp; readonly port: Port }, string>

/** What the servers found came to. */
export interface PlacedServers {
  readonly taken: ReadonlyArray<Server>
  readonly left: ReadonlyArray<Note>
}

/** What an empty slot holds: our placeholder, or the predecessor's. */
export const isEmpty = (ip: string, port: number): boolean =>
  ip.trim() === "" || ip === "0.0.0.0" || ip === "::" || port === 0
  || (ip === placeholder.ip && port === placeholder.port)

/** An address as it is written canonically: `2001:DB8::5` is no reason to lose a server. */
export const canonical = (ip: string): string => {
  const parsed = NetAddress.ipFromString(ip.trim())
  return Result.isSuccess(parsed) ? NetAddress.formatIp(parsed.success) : ip
}

const weightOf = (weight: number | null): Weight =>
  weight !== null && Number.isInteger(weight) && weight >= 0 && weight <= 256 ? weight as Weight : defaultWeight

const stateOf = (state: string | null): ServerState => serverStates.find((one) => one === state) ?? "ready"

/** Puts every server into its slot; what has none is left, with the reason. */
export const placeServers = (
  source: { readonly file: string; readonly found: ReadonlyArray<LegacyServer> },
  rules: { readonly limits: PoolLimits; readonly accept: AcceptServer },
  pools: {
    /** The pool of a domain or of a pool's name. */
    readonly poolOf: (of: string) => PoolNumber | null
    /** Does anything lead there? */
    readonly isUsed: (pool: PoolNumber) => boolean
  }
): PlacedServers => {
  const taken = new Map<string, Server>()
  const left: Array<Note> = []
  for (const { ip, of, port, slot, state, weight } of source.found) {
    if (isEmpty(ip, port)) continue
    const pool = pools.poolOf(of)
    const refuse = (why: string) =>
      left.push({ what: `${of} slot ${slot}`, from: source.file, why: `${ip}:${port}: ${why}` })
    if (pool === null) {
      refuse("no domain or pool of this name is taken over")
      continue
    }
    if (!pools.isUsed(pool)) {
      refuse(`nothing leads to ${poolName(pool)}`)
      continue
    }
    if (!Number.isInteger(slot) || slot < 1 || slot > rules.limits.slots) {
      refuse(`a pool has the slots 1 to ${rules.limits.slots} (HAPROXY_MAX_SLOTS)`)
      continue
    }
    const accepted = rules.accept(canonical(ip), port)
    if (Result.isFailure(accepted)) {
      refuse(accepted.failure)
      continue
    }
    const name = slotName(pool, slot as SlotNumber)
    const there = taken.get(name)
    if (there === undefined) {
      taken.set(name, {
        pool,
        slot: slot as SlotNumber,
        ...accepted.success,
        weight: weightOf(weight),
        state: stateOf(state)
      })
    } else if (there.ip !== accepted.success.ip || there.port !== accepted.success.port) {
      refuse(`${name} holds ${there.ip}:${there.port} already`)
    }
  }
  return { taken: [...taken.values()], left }
}
