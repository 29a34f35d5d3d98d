/** Taking routes out of a pool: who inherits it, and when it becomes free. */
import * as Effect from "effect/Effect"
import type { Edit, Route } from "../domain/Change.ts"
import type { PoolNumber } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Store } from "../store/Store.ts"

/** The edits, and what becomes of the pool. */
export interface Removal {
  readonly edits: ReadonlyArray<Edit>
  readonly freed: boolean
  readonly newOwner: RouteName | null
}

/** The edits that take routes of one pool away; the oldest explicit route that stays inherits, else the pool is freed. */
export const removeFromPool = Effect.fnUntraced(
  function*(store: Store["Service"], pool: PoolNumber, leaving: ReadonlyArray<Route>) {
    const names = new Set<RouteName>(leaving.map((route) => route.name))
    const staying = (yield* store.routesOf(pool, leaving.length + 16)).filter((route) => !names.has(route.name))
    const owner = yield* store.owner(pool)
    const edits: Array<Edit> = leaving.map((before) => ({ kind: "route", name: before.name, before, after: null }))
    if (staying.length === 0) {
      for (const before of yield* store.servers(pool)) {
        edits.push({ kind: "server", pool, slot: before.slot, before, after: null })
      }
      edits.push({ kind: "owner", pool, before: owner, after: null })
      return { edits, freed: true, newOwner: null } satisfies Removal
    }
    if (owner !== null && !names.has(owner)) return { edits, freed: false, newOwner: null } satisfies Removal
    const heir = (staying.find((route) => !route.implicit) ?? staying[0]!).name
    edits.push({ kind: "owner", pool, before: owner, after: heir })
    return { edits, freed: false, newOwner: heir } satisfies Removal
  }
)
