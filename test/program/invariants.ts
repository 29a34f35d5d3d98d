/** What must be true of every database, whatever was done to it. Answers the first thing that is not. */
import * as Effect from "effect/Effect"
import { parentOf, type WildcardName } from "../../src/domain/RouteName.ts"
import { Store } from "../../src/store/Store.ts"

export const brokenInvariant = Effect.gen(function*() {
  const store = yield* Store
  const routes = yield* store.allRoutes
  const servers = yield* store.allServers
  const byName = new Map(routes.map((route) => [route.name as string, route]))
  const pools = [...new Set(routes.map((route) => route.pool))]
  const owners = yield* store.owners(pools)
  for (const route of routes) {
    const owner = owners.get(route.pool)
    if (owner === undefined) return `${route.name} leads to pool_${route.pool}, which nobody owns`
    if (byName.get(owner)?.pool !== route.pool) {
      return `pool_${route.pool} is owned by ${owner}, which is not routed there`
    }
    if (route.implicit) {
      const parent = byName.get(parentOf(route.name as WildcardName))
      if (parent === undefined) return `${route.name} is implicit, but its domain is not routed`
      if (parent.pool !== route.pool) return `${route.name} is implicit, but its domain is in pool_${parent.pool}`
    }
  }
  for (const server of servers) {
    if (!owners.has(server.pool)) return `pool_${server.pool}_${server.slot} holds a server, but the pool is free`
  }
  const seqs = new Set(routes.map((route) => route.seq))
  if (seqs.size !== routes.length) return "two routes have the same age"
  const { domains, poolsUsed, servers: count, wildcards } = yield* store.counts
  if (domains + wildcards !== routes.length || count !== servers.length || poolsUsed !== pools.length) {
    return `the counts (${domains}+${wildcards} routes, ${count} servers, ${poolsUsed} pools) are not those of the rows`
  }
  return null
})
