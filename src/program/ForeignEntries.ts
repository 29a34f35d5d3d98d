/**
 * Map entries that are not ours, in the files and in HAProxy: where they are, why they are foreign, and whether one can
 * become ours. Reading them changes nothing; see Foreign.ts for the verbs.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { StorageFailed } from "../domain/Errors.ts"
import { ownPool, type PoolLimits, type PoolNumber } from "../domain/Pool.ts"
import { parseRouteName, type RouteName } from "../domain/RouteName.ts"
import { MapFiles, type MapKind } from "../haproxy/MapFiles.ts"
import { Store } from "../store/Store.ts"
import { Limits } from "./Limits.ts"
import { whyForeign, whyRefused } from "./MigrationPlan.ts"
import { PoolAllocator } from "./PoolAllocator.ts"

/** One entry. */
export interface ForeignItem {
  readonly map: MapKind
  readonly key: string
  readonly value: string
  /** Where it stands. */
  readonly where: "file" | "haproxy" | "both"
  readonly why: string
  /** The name under which it can be adopted; null when it cannot. */
  readonly adopt_as: RouteName | null
  /** What to do about it. */
  readonly hint: string
}

/** All of them, by map and key. */
export interface ForeignEntries {
  readonly entries: ReadonlyArray<ForeignItem>
  /** Why HAProxy could not be asked; empty when it was. */
  readonly unseen: string
}

/** The name that a refused key means: `Shop.com` is shop.com, `.example.com` is *.example.com. */
const meant = (key: string): RouteName | null => {
  const parsed = parseRouteName((key.startsWith(".") ? `*${key}` : key).toLowerCase())
  return Result.isSuccess(parsed) ? parsed.success : null
}

/** The entry as an operator needs it. `isRouted`: does the desired state have this name? */
const judge = (
  limits: PoolLimits,
  entry: { readonly map: MapKind; readonly key: string; readonly value: string; readonly where: ForeignItem["where"] },
  isRouted: (name: RouteName) => boolean
): ForeignItem => {
  const name = meant(entry.key)
  const routed = name !== null && isRouted(name)
  const also = routed ? `; ${name} is a domain of ours, too` : ""
  if (ownPool(entry.value, limits) === null) {
    return {
      ...entry,
      why: whyForeign(entry.value, limits) + also,
      adopt_as: null,
      hint: name === null || routed
        ? "Leave it, or remove it by hand."
        : "Remove it by hand, then add the domain with haproxy_add_domain."
    }
  }
  const why = whyRefused(entry.map, entry.key) + also
  if (name === null) {
    return { ...entry, why, adopt_as: null, hint: "No domain can have this name: leave it, or remove it." }
  }
  if (routed) return { ...entry, why, adopt_as: null, hint: "Remove it by hand: the domain does the same." }
  return { ...entry, why, adopt_as: name, hint: `haproxy-mcp foreign adopt ${name}` }
}

/** Compares HAProxy first, so that what it holds is what it holds now. */
const liveEntries = Effect.fnUntraced(function*() {
  const allocator = yield* PoolAllocator
  const compared = yield* Effect.result(allocator.reconcile)
  const node = yield* allocator.observed
  if (Result.isFailure(compared) || node === null) {
    return { maps: null, unseen: Result.isFailure(compared) ? compared.failure.message : "HAProxy is away" }
  }
  return { maps: node.maps, unseen: "" }
})

/** Reads them. */
export const readForeign = Effect.fnUntraced(function*(): Effect.fn.Return<
  ForeignEntries,
  StorageFailed,
  Store | MapFiles | Limits | PoolAllocator
> {
  const store = yield* Store
  const files = yield* MapFiles
  const limits = (yield* Limits).pools
  const { maps, unseen } = yield* liveEntries()
  const found = new Map<string, { map: MapKind; key: string; value: string; where: ForeignItem["where"] }>()
  for (const map of ["domains", "wildcards"] as const) {
    for (const { key, value } of yield* files.foreignIn(map)) {
      found.set(`${map} ${key} ${value}`, { map, key, value, where: "file" })
    }
    for (const [key, value] of maps?.[map].foreign ?? []) {
      const id = `${map} ${key} ${value}`
      found.set(id, { map, key, value, where: found.has(id) ? "both" : "haproxy" })
    }
  }
  const routed = new Set<RouteName>()
  for (const { key } of found.values()) {
    const name = meant(key)
    if (name !== null && (yield* store.route(name)) !== null) routed.add(name)
  }
  const order = ({ key, map }: { readonly map: MapKind; readonly key: string }) => `${map} ${key}`
  return {
    entries: [...found.values()].map((entry) => judge(limits, entry, (name) => routed.has(name)))
      .sort((a, b) => order(a) < order(b) ? -1 : 1),
    unseen
  }
})

/** What an entry becomes when it is adopted. */
export const adopted = (
  item: ForeignItem,
  limits: PoolLimits
): { readonly name: RouteName; readonly pool: PoolNumber } | null => {
  const pool = ownPool(item.value, limits)
  return item.adopt_as === null || pool === null ? null : { name: item.adopt_as, pool }
}
