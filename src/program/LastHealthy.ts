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

/** Names that lead to a pool after the edits, one of them. */
const stillRouted = Effect.fnUntraced(
  function*(store: Plane["store"], pool: PoolNumber, edits: ReadonlyArray<Edit>): Effect.fn.Return<
    string | null,
    StorageFailed
  > {
    const leaving = new Set<string>()
    for (const edit of edits) {
      if (edit.kind !== "route") continue
      if (edit.after?.pool === pool) return edit.name
      if (edit.before?.pool === pool) leaving.add(edit.name)
    }
    const routes = yield* store.routesOf(pool, leaving.size + 1)
    return routes.find(({ name }) => !leaving.has(name))?.name ?? null
  }
)

/** The pools whose last healthy server these edits take. Before they are written. */
export const lastHealthy = Effect.fnUntraced(
  function*({ runtime, store }: Plane, edits: ReadonlyArray<Edit>): Effect.fn.Return<
    ReadonlyArray<LastHealthy>,
    StorageFailed
  > {
    const found: Array<LastHealthy> = []
    for (const [pool, changes] of losing(edits)) {
      const name = yield* stillRouted(store, pool, edits)
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
