/** Which domains lead to a backend, ours or not. */
import * as Effect from "effect/Effect"
import { ownPool } from "../../domain/Pool.ts"
import { Store } from "../../store/Store.ts"
import { Limits } from "../Limits.ts"
import { PoolAllocator } from "../PoolAllocator.ts"

/** Names that lead to a backend: those of the desired state, and keys of entries that are not ours. */
export const domainsOf = Effect.fnUntraced(function*(backend: string, most: number) {
  const store = yield* Store
  const { pools } = yield* Limits
  const pool = ownPool(backend, pools)
  const node = yield* (yield* PoolAllocator).observed
  const foreign = [...node?.maps.domains.foreign ?? [], ...node?.maps.wildcards.foreign ?? []]
    .flatMap(([key, value]) => value === backend ? [key] : [])
  const own = pool === null ? [] : (yield* store.routesOf(pool, most)).map(({ name }) => name as string)
  const total = (pool === null ? 0 : yield* store.countRoutesOf(pool)) + foreign.length
  return { domains: [...own, ...foreign].slice(0, most), total }
})
