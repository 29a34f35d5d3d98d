/**
 * What is known of one HAProxy since the last reconcile: which connection and epoch it speaks of, under which
 * paths HAProxy knows the maps, which pools and slots exist, how many entries each map should hold, and where
 * HAProxy listens.
 * Valid only as long as the link state it was made from.
 */
import type { Listener } from "../domain/Address.ts"
import { type Edit, type Route, writesOf } from "../domain/Change.ts"
import { poolName, type PoolNumber, type SlotNumber } from "../domain/Pool.ts"
import { isWildcard, mapKey, type RouteName } from "../domain/RouteName.ts"
import type { MapKind } from "../haproxy/MapFiles.ts"
import type { Epoch } from "../haproxy/RuntimeApi.ts"

/** One of our maps in HAProxy's memory. */
export interface RuntimeMap {
  /** As HAProxy knows it. */
  readonly path: string
  /** Entries it should hold now, foreign ones included; moves with every acknowledged edit. */
  entries: number
  /** `curr_ver`: moves when somebody swaps the whole map. */
  readonly version: number
  /** Entries that are not ours: key → value. */
  readonly foreign: ReadonlyMap<string, string>
}

export interface Node {
  readonly connection: number
  readonly epoch: Epoch
  readonly maps: { readonly [K in MapKind]: RuntimeMap }
  readonly pools: ReadonlyMap<PoolNumber, ReadonlySet<SlotNumber>>
  /** Pools of ours that foreign entries lead to (`Shop.example.com pool_3`): nobody else may get them. */
  readonly reserved: ReadonlySet<PoolNumber>
  /** HAProxy's frontends and Runtime API; empty when it does not say. */
  readonly listeners: ReadonlyArray<Listener>
}

/** The map a name belongs to. */
export const mapOf = (name: RouteName): MapKind => isWildcard(name) ? "wildcards" : "domains"

/** The map entry of a route. */
export const entryOf = (route: Route): { readonly map: MapKind; readonly key: string; readonly value: string } => ({
  map: mapOf(route.name),
  key: mapKey(route.name),
  value: poolName(route.pool)
})

/** Does HAProxy have this pool (with this slot)? */
export const exists = (node: Node, pool: PoolNumber, slot?: SlotNumber): boolean => {
  const slots = node.pools.get(pool)
  return slots !== undefined && (slot === undefined ? slots.size > 0 : slots.has(slot))
}

/** Edits of objects that HAProxy's configuration lacks: they cannot be applied, and are reported. */
export const missing = (node: Node, edits: ReadonlyArray<Edit>): ReadonlyArray<string> =>
  [...writesOf(edits)].filter((key) => key.startsWith("pool:") && !exists(node, Number(key.slice(5)) as PoolNumber))
