/**
 * Which edits take the last healthy server of a domain: those after which a pool that domains still lead to has no server
 * that takes requests, while it had one. A server counts as healthy when it is to take requests (ready, with a weight)
 * and HAProxy does not see it down; while HAProxy does not answer, as it is to be.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import type { StorageFailed } from "../domain/Errors.ts"
import { poolName, type PoolNumber, type Server, slotName } from "../domain/Pool.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { lookAt } from "./Observed.ts"
import type { Plane } from "./Reconciler.ts"

/** A pool that would have no healthy server any more. */
export interface LastHealthy {
  readonly pool: PoolNumber
  /** For a warning or a refusal. */
  readonly sentence: string
}

const takes = (server: Server | null): server is Server =>
  server !== null && server.state === "ready" && server.weight > 0

type ServerEdit = Extract<Edit, { readonly kind: "server" }>

/** By pool, the edits of pools that lose a server which takes requests. */
const losing = (edits: ReadonlyArray<Edit>): ReadonlyMap<PoolNumber, ReadonlyArray<ServerEdit>> => {
  const byPool = Map.groupBy(edits.filter((edit) => edit.kind === "server"), ({ pool }) => pool)
  for (const [pool, ofPool] of byPool) {
    if (!ofPool.some(({ after, before }) => takes(before) && !takes(after))) byPool.delete(pool)
  }
  return byPool
}

/** What edits do to the names of pools. */
interface Movement {
  readonly leaving: Set<string>
  coming: string | null
  /** Nothing leads there any more. */
  freed: boolean
}

const movements = (edits: ReadonlyArray<Edit>): ReadonlyMap<PoolNumber, Movement> => {
  const byPool = new Map<PoolNumber, Movement>()
  const of = (pool: PoolNumber): Movement => {
    const known = byPool.get(pool) ?? { leaving: new Set<string>(), coming: null, freed: false }
    byPool.set(pool, known)
    return known
  }
  for (const edit of edits) {
    if (edit.kind === "owner" && edit.after === null) of(edit.pool).freed = true
    if (edit.kind !== "route") continue
    if (edit.before !== null && edit.before.pool !== edit.after?.pool) of(edit.before.pool).leaving.add(edit.name)
    if (edit.after !== null) of(edit.after.pool).coming = edit.name
  }
  return byPool
}

/** A name that leads to a pool after the edits; null: none does. */
const stillRouted = Effect.fnUntraced(
  function*(
    store: Plane["store"],
    pool: PoolNumber,
    movement: Movement | undefined
  ): Effect.fn.Return<string | null, StorageFailed> {
    if (movement?.freed === true) return null
    if (movement !== undefined && movement.coming !== null) return movement.coming
    const routes = yield* store.routesOf(pool, (movement?.leaving.size ?? 0) + 1)
    return routes.find(({ name }) => movement?.leaving.has(name) !== true)?.name ?? null
  }
)

/** The pools whose last healthy server these edits take. Before they are written. */
export const lastHealthy = Effect.fnUntraced(
  function*({ runtime, store }: Plane, edits: ReadonlyArray<Edit>): Effect.fn.Return<
    ReadonlyArray<LastHealthy>,
    StorageFailed
  > {
    const found: Array<LastHealthy> = []
    const pools = losing(edits)
    if (pools.size === 0) return found
    const moves = movements(edits)
    for (const [pool, changes] of pools) {
      const name = yield* stillRouted(store, pool, moves.get(pool))
      if (name === null) continue
      const after = new Map(changes.map((edit) => [edit.slot, edit.after]))
      const before = yield* store.servers(pool)
      const look = yield* lookAt(pool).pipe(Effect.provideService(RuntimeApi, runtime))
      const isUp = ({ slot }: Server): boolean => {
        const status = look._tag === "seen" ? look.rows.get(slotName(pool, slot))?.status : undefined
        return status === undefined || !status.startsWith("DOWN")
      }
      const healthy = before.filter((server) => takes(server) && isUp(server))
      if (healthy.length === 0) continue
      // One that comes, or comes back, counts: nobody has looked at it yet.
      const stays = healthy.some(({ slot }) => !after.has(slot) || takes(after.get(slot)!))
        || changes.some((edit) => takes(edit.after) && !takes(edit.before))
      if (stays) continue
      found.push({
        pool,
        sentence: `No healthy server of ${poolName(pool)} is left: ${name} and all that share it answer 503`
      })
    }
    return found
  }
)
