/**
 * What HAProxy runs and the desired state does not know, as edits: after a migration nobody who is served shall notice
 * it. Pure.
 *
 * Taken are names that lead to one of our pools, and servers that take traffic in pools that something leads to; with
 * them their weights and states. Where a slot holds another server than the sources say, the one that runs counts. A
 * server in maintenance takes no traffic and may be anybody's placeholder: it is taken only where the sources name it.
 */
import * as Result from "effect/Result"
import type { Edit, Route } from "../domain/Change.ts"
import type { ObservedMap, ObservedSlot } from "../domain/Drift.ts"
import { isOwn, type MapTextKind } from "../domain/MapText.ts"
import { ownPool, type PoolLimits, type PoolNumber, type Server, slotName, type Weight } from "../domain/Pool.ts"
import { type DomainName, fromMapKey, isWildcard, parentOf, type RouteName } from "../domain/RouteName.ts"
import type { Note } from "./MigrationReport.ts"
import { type AcceptServer, isEmpty } from "./MigrationServers.ts"

/** What is compared. */
export interface TakeOverState {
  readonly routes: ReadonlyArray<Route>
  readonly servers: ReadonlyArray<Server>
  readonly domains: ObservedMap
  readonly wildcards: ObservedMap
  readonly slots: ReadonlyArray<ObservedSlot>
}

/** The rules of this installation. */
export interface TakeOverRules {
  readonly limits: PoolLimits
  readonly isRegistrable: (name: DomainName) => boolean
  readonly accept: AcceptServer
}

/** What is to be written, and told. */
export interface TakeOverPlan {
  readonly edits: ReadonlyArray<Edit>
  readonly routes: number
  readonly servers: number
  readonly notes: ReadonlyArray<Note>
}

const from = "HAProxy"

/** Names that lead to our pools, the first entry of each key; pools that other entries lead to. */
const liveNames = (state: TakeOverState, limits: PoolLimits) => {
  const names = new Map<RouteName, PoolNumber>()
  const reserved = new Set<PoolNumber>()
  const take = (kind: MapTextKind, entries: ObservedMap) => {
    const seen = new Set<string>()
    for (const { key, value } of entries) {
      const pool = ownPool(value, limits)
      const first = !seen.has(key)
      seen.add(key)
      if (pool === null) continue
      if (!isOwn(kind, limits, key, value)) reserved.add(pool)
      else if (first) names.set(Result.getOrThrow(fromMapKey(key)), pool)
    }
  }
  take("domains", state.domains)
  take("wildcards", state.wildcards)
  return { names, reserved }
}

/** Makes the plan. Ages begin at `firstSeq`. */
export const planTakeOver = (state: TakeOverState, rules: TakeOverRules, firstSeq: number): TakeOverPlan => {
  const { names, reserved } = liveNames(state, rules.limits)
  const pools = new Map<RouteName, PoolNumber>(state.routes.map((route) => [route.name, route.pool]))
  const owned = new Set(pools.values())
  const missing = [...names.keys()].filter((name) => !pools.has(name))
  const added = [...missing.filter((name) => !isWildcard(name)), ...missing.filter(isWildcard)]
  for (const name of added) pools.set(name, names.get(name)!)

  const edits: Array<Edit> = []
  const notes: Array<Note> = []
  added.forEach((name, index) => {
    const pool = pools.get(name)!
    if (!owned.has(pool)) edits.push({ kind: "owner", pool, before: null, after: name })
    owned.add(pool)
    const implicit = isWildcard(name) && pools.get(parentOf(name)) === pool && rules.isRegistrable(parentOf(name))
    edits.push({ kind: "route", name, before: null, after: { name, pool, implicit, seq: firstSeq + index } })
  })

  let servers = 0
  const desired = new Map(state.servers.map((server) => [slotName(server.pool, server.slot), server]))
  for (const { ip, pool, port, slot, state: live, weight } of state.slots) {
    if (isEmpty(ip, port) || !(owned.has(pool) || reserved.has(pool))) continue
    const what = slotName(pool, slot)
    const before = desired.get(what) ?? null
    const same = before !== null && before.ip === ip && before.port === port
    if (!same && live === "maint") {
      if (before === null) notes.push({ what, from, why: `${ip}:${port} was in maintenance: not taken` })
      continue
    }
    const accepted = rules.accept(ip, port)
    if (Result.isFailure(accepted)) {
      notes.push({ what, from, why: `${ip}:${port}: ${accepted.failure}` })
      continue
    }
    const after: Server = { pool, slot, ...accepted.success, weight: weight as Weight, state: live }
    if (same && before.weight === after.weight && before.state === after.state) continue
    if (before !== null && !same) {
      notes.push({ what, from, why: `${ip}:${port} runs there, not ${before.ip}:${before.port}: what runs counts` })
    }
    edits.push({ kind: "server", pool, slot, before, after })
    servers++
  }
  return { edits, routes: added.length, servers, notes }
}
