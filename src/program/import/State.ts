/** The desired state as an import needs it: read whole, once, because most of it is asked for. */
import * as Effect from "effect/Effect"
import type { Route } from "../../domain/Change.ts"
import type { StorageFailed } from "../../domain/Errors.ts"
import type { PoolNumber, Server } from "../../domain/Pool.ts"
import type { RouteName } from "../../domain/RouteName.ts"
import type { Store } from "../../store/Store.ts"

export interface State {
  readonly routes: ReadonlyMap<RouteName, Route>
  readonly owners: ReadonlyMap<PoolNumber, RouteName>
  readonly servers: ReadonlyMap<PoolNumber, ReadonlyArray<Server>>
  /** Free declared pools, lowest first. */
  readonly free: ReadonlyArray<PoolNumber>
}

export const readState = Effect.fnUntraced(
  function*(store: Store["Service"], pools: number): Effect.fn.Return<State, StorageFailed> {
    const routes = yield* store.allRoutes
    yield* Effect.yieldNow
    const byName = new Map(routes.map((route) => [route.name, route]))
    yield* Effect.yieldNow
    return {
      routes: byName,
      owners: yield* store.owners([...new Set(routes.map((route) => route.pool))]),
      servers: Map.groupBy(yield* store.allServers, (server) => server.pool),
      free: yield* store.freePools(0, pools)
    }
  }
)
