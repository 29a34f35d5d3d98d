/** Reading the desired state for the verbs: a route that must exist, and a pool as answers show it. */
import * as Effect from "effect/Effect"
import { formatEndpoint } from "../domain/Address.ts"
import type { Route } from "../domain/Change.ts"
import { NotFound, type StorageFailed } from "../domain/Errors.ts"
import { poolName, type Server, slotName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Store } from "../store/Store.ts"
import { Caller } from "./Caller.ts"
import type { ServerItem } from "./DomainShapes.ts"
import { callersDomains, shownTo, visibleNames } from "./Reach.ts"

/** Names like one that does not exist, that the caller may see. */
export const nearestTo = Effect.fnUntraced(function*(store: Store["Service"], name: string) {
  const limited = (yield* callersDomains) !== null
  return (yield* visibleNames(yield* store.nearestRoutes(name, limited ? 50 : 5))).slice(0, 5)
})

/** The route of a name, or NOT_FOUND with the nearest names that exist. */
export const requireRoute = Effect.fnUntraced(
  function*(
    store: Store["Service"],
    field: string,
    name: RouteName
  ): Effect.fn.Return<Route, NotFound | StorageFailed> {
    const route = yield* store.route(name)
    if (route !== null) return route
    const nearest = yield* nearestTo(store, name)
    return yield* new NotFound({
      message: `${name} is not routed here`,
      hint: nearest.length > 0
        ? "Use one of the valid values, or add the domain with haproxy_add_domain."
        : "Add it with haproxy_add_domain, or list what exists with haproxy_list_domains.",
      field,
      validValues: nearest
    })
  }
)

/** A server as answers show it. */
export const serverItem = (server: Server): ServerItem => ({
  slot: server.slot,
  name: slotName(server.pool, server.slot),
  addr: formatEndpoint(server.ip, server.port),
  weight: server.weight,
  state: server.state
})

/** Owner and servers of a route's pool, as the caller may see them: what most answers carry. */
export const poolView = Effect.fnUntraced(
  function*(store: Store["Service"], route: Route): Effect.fn.Return<
    {
      readonly backend: string
      readonly sharesWith: RouteName | null
      readonly owner: RouteName
      readonly servers: ReadonlyArray<Server>
    },
    StorageFailed
  > {
    const { principal } = yield* Caller
    const owner = shownTo(principal, (yield* store.owner(route.pool)) ?? route.name)
    return {
      backend: poolName(route.pool),
      sharesWith: owner === route.name ? null : owner,
      owner,
      servers: yield* store.servers(route.pool)
    }
  }
)
