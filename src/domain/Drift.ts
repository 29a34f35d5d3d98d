/**
 * Drift: what differs between the desired state and what HAProxy runs, as edits that lead from the one to the
 * other. Pure; the reconciler observes and applies.
 */
import type { Edit, Route } from "./Change.ts"
import { isOwn, type MapTextKind } from "./MapText.ts"
import {
  defaultWeight,
  ownPool,
  placeholder,
  type PoolLimits,
  poolName,
  type PoolNumber,
  type Server,
  type ServerState,
  type SlotNumber
} from "./Pool.ts"
import { mapKey, type RouteName } from "./RouteName.ts"

/** A slot as HAProxy shows it. */
export interface ObservedSlot {
  readonly pool: PoolNumber
  readonly slot: SlotNumber
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly state: ServerState
}

/** The entries of one map in HAProxy, in its order. */
export type ObservedMap = ReadonlyArray<{ readonly key: string; readonly value: string }>

/** Differences of one map. */
export interface MapDrift {
  /** How many keys differ. */
  readonly differences: number
  /**
   * One element per differing key: the edits that repair it (a duplicate is removed whole, then added). Made when asked
   * for: a map that is swapped as a whole needs none of them.
   */
  readonly repairs: ReadonlyArray<ReadonlyArray<Edit>>
  /** Entries that are not ours, the first of each key. */
  readonly foreign: ReadonlyMap<string, string>
  /** Keys of ours that a foreign entry holds: they are not touched until someone removes one of the two. */
  readonly shadowed: ReadonlyArray<string>
}

/** A key that is ours by its value but no route of ours: named here so that it can be removed. */
const observedRoute = (key: string, pool: PoolNumber): Route => ({
  name: (key.startsWith(".") ? `*${key}` : key) as RouteName,
  pool,
  implicit: false,
  seq: 0
})

/**
 * Does the map hold just these routes in just this order? That is the rule after a swap, and after a start from our
 * files: then nothing has to be looked up.
 */
const sameInOrder = (desired: ReadonlyArray<Route>, observed: ObservedMap, limits: PoolLimits): boolean => {
  if (desired.length !== observed.length) return false
  const values = new Map<PoolNumber, string | null>()
  for (let at = 0; at < desired.length; at++) {
    const { name, pool } = desired[at]!
    let value = values.get(pool)
    if (value === undefined) {
      value = pool <= limits.pools ? poolName(pool) : null
      values.set(pool, value)
    }
    const entry = observed[at]!
    if (entry.value !== value || entry.key !== mapKey(name)) return false
  }
  return true
}

/** What HAProxy has of a route. */
const Found = { missing: 0, there: 1, elsewhere: 2, repeated: 3 } as const

/**
 * Compares a map with the routes that belong into it. An entry is ours when its value is one of our pools and its key a
 * name that this map may hold (MapText.ts has the same rule for the file). Where a key holds a foreign entry, nothing
 * of that key is touched.
 */
export const mapDrift = (
  kind: MapTextKind,
  desired: ReadonlyArray<Route>,
  observed: ObservedMap,
  limits: PoolLimits
): MapDrift => {
  if (sameInOrder(desired, observed, limits)) return { differences: 0, repairs: [], foreign: new Map(), shadowed: [] }
  // 100,000 entries are compared several times in a large change: one look-up for each, and no object.
  const wanted = new Map<string, number>()
  if (observed.length > 0) { for (let at = 0; at < desired.length; at++) wanted.set(mapKey(desired[at]!.name), at) }
  const found = new Uint8Array(desired.length)
  /** The first pool of routes that are not where they should be. */
  const elsewhere = new Map<number, PoolNumber>()
  const leaving = new Map<string, PoolNumber>()
  const foreign = new Map<string, string>()
  const pools = new Map<string, PoolNumber | null>()
  for (const { key, value } of observed) {
    let pool = pools.get(value)
    if (pool === undefined) {
      pool = ownPool(value, limits)
      pools.set(value, pool)
    }
    const at = wanted.get(key)
    if (pool === null || (at === undefined && !isOwn(kind, limits, key, value))) {
      if (!foreign.has(key)) foreign.set(key, value)
    } else if (at === undefined) {
      if (!leaving.has(key)) leaving.set(key, pool)
    } else if (found[at] === Found.missing) {
      found[at] = pool === desired[at]!.pool ? Found.there : Found.elsewhere
      if (found[at] === Found.elsewhere) elsewhere.set(at, pool)
      // `get map` answers one of several entries: any second one is drift, also when it looks the same.
    } else found[at] = Found.repeated
  }
  // Removing a key removes the foreign entries under it as well: such a key is left to the operator.
  const isLeft = (key: string) => foreign.size > 0 && foreign.has(key)
  const removed = [...leaving].filter(([key]) => !isLeft(key))
  let differences = removed.length
  for (let at = 0; at < desired.length; at++) {
    if (found[at] !== Found.there && !isLeft(mapKey(desired[at]!.name))) differences++
  }
  const repair = (at: number): ReadonlyArray<Edit> => {
    const after = desired[at]!
    const { name } = after
    if (found[at] === Found.missing) return [{ kind: "route", name, before: null, after }]
    const before = observedRoute(mapKey(name), elsewhere.get(at) ?? after.pool)
    return found[at] === Found.elsewhere
      ? [{ kind: "route", name, before, after }]
      : [{ kind: "route", name, before, after: null }, { kind: "route", name, before: null, after }]
  }
  const repairAll = (): ReadonlyArray<ReadonlyArray<Edit>> => {
    const all: Array<ReadonlyArray<Edit>> = []
    for (const [key, pool] of removed) {
      const before = observedRoute(key, pool)
      all.push([{ kind: "route", name: before.name, before, after: null }])
    }
    for (let at = 0; at < desired.length; at++) {
      if (found[at] !== Found.there && !isLeft(mapKey(desired[at]!.name))) all.push(repair(at))
    }
    return all
  }
  const shadowed: Array<string> = []
  for (const key of foreign.keys()) {
    const at = wanted.get(key)
    if (at !== undefined && found[at] === Found.missing) shadowed.push(key)
  }
  let repairs: ReadonlyArray<ReadonlyArray<Edit>> | undefined
  return {
    differences,
    get repairs() {
      return repairs ??= repairAll()
    },
    foreign,
    shadowed
  }
}

/** Compares slots with servers. One element per pool. A slot without a server must be in maintenance at the placeholder. */
export const slotDrift = (
  desired: ReadonlyArray<Server>,
  observed: ReadonlyArray<ObservedSlot>
): ReadonlyArray<ReadonlyArray<Edit>> => {
  const key = (pool: number, slot: number) => pool * 10_000 + slot
  const wanted = new Map(desired.map((server) => [key(server.pool, server.slot), server]))
  const byPool = new Map<PoolNumber, Array<Edit>>()
  for (const slot of observed) {
    const server = wanted.get(key(slot.pool, slot.slot))
    const before = slot as Server
    const target = server ?? placeholder
    const same = slot.ip === target.ip && slot.port === target.port
      && slot.state === (server?.state ?? "maint") &&
      (slot.weight === (server?.weight ?? defaultWeight) || server === undefined)
    if (same) continue
    const edit: Edit = { kind: "server", pool: slot.pool, slot: slot.slot, before, after: server ?? null }
    const group = byPool.get(slot.pool)
    if (group === undefined) byPool.set(slot.pool, [edit])
    else group.push(edit)
  }
  return [...byPool.values()]
}

/** Servers and routes that HAProxy's configuration has no place for. */
export const homeless = (
  servers: ReadonlyArray<Server>,
  observed: ReadonlyArray<ObservedSlot>
): ReadonlyArray<Server> => {
  const there = new Set(observed.map((slot) => `${poolName(slot.pool)}/${slot.slot}`))
  return servers.filter((server) => !there.has(`${poolName(server.pool)}/${server.slot}`))
}
