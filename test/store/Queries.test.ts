import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { RouteQuery } from "../../src/store/Routes.ts"
import {
  add,
  name,
  ownerEdit,
  pool,
  route,
  routeEdit,
  server,
  serverEdit,
  withNewStore,
  write
} from "./support/Fixture.ts"

const names = (routes: ReadonlyArray<{ readonly name: string }>) => routes.map((found) => found.name as string)

describe("queries", () => {
  /** Pool 1: shop and two shares, one of them a wildcard; pool 2: blog with two servers. */
  const filled = <A, E>(program: (store: Parameters<typeof add>[0]) => Effect.Effect<A, E>) =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(write(store, [
          ownerEdit(1, null, "shop.example.com"),
          routeEdit(null, route("shop.example.com", 1, 1)),
          routeEdit(null, route("cart.example.com", 1, 3)),
          routeEdit(null, route("*.example.org", 1, 2, true)),
          serverEdit(null, server(1, 1)),
          ownerEdit(2, null, "blog.example.com"),
          routeEdit(null, route("blog.example.com", 2, 4)),
          serverEdit(null, { ...server(2, 3, "2001:db8::5"), state: "drain" }),
          serverEdit(null, server(2, 1, "10.0.0.9"))
        ]))
        return yield* program(store)
      })
    )

  it.live("find a route, or null", () =>
    filled((store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* store.route(name("cart.example.com")), route("cart.example.com", 1, 3))
        assert.deepStrictEqual(yield* store.route(name("*.example.org")), route("*.example.org", 1, 2, true))
        assert.isNull(yield* store.route(name("nobody.example.com")))
      })
    ))

  it.live("list routes by name, page by page, with and without wildcards", () =>
    filled((store) =>
      Effect.gen(function*() {
        const list = (query: Partial<RouteQuery>) =>
          Effect.map(store.routes({ includeWildcards: false, limit: 100, ...query }), names)
        assert.deepStrictEqual(yield* list({}), ["blog.example.com", "cart.example.com", "shop.example.com"])
        assert.deepStrictEqual(yield* list({ includeWildcards: true }), [
          "*.example.org",
          "blog.example.com",
          "cart.example.com",
          "shop.example.com"
        ])
        assert.deepStrictEqual(yield* list({ prefix: "c" }), ["cart.example.com"])
        assert.deepStrictEqual(yield* list({ prefix: "cart.example.com" }), ["cart.example.com"])
        assert.deepStrictEqual(yield* list({ prefix: "cart.example.comx" }), [])
        assert.deepStrictEqual(yield* list({ prefix: "b", after: name("blog.example.com") }), [])
        assert.deepStrictEqual(yield* list({ prefix: "*.e", includeWildcards: true }), ["*.example.org"])
        assert.deepStrictEqual(yield* list({ prefix: "*.e" }), [])
        const paged: Array<string> = []
        for (let after: string | undefined;;) {
          const page = yield* list({
            includeWildcards: true,
            limit: 1,
            ...(after === undefined ? {} : { after: name(after) })
          })
          if (page.length === 0) break
          paged.push(...page)
          after = page[0]!
        }
        assert.deepStrictEqual(paged, yield* list({ includeWildcards: true }))
        assert.deepStrictEqual(yield* list({ after: name("*.example.org") }), yield* list({}))
        assert.deepStrictEqual(yield* list({ search: "AR" }), ["cart.example.com"])
        assert.deepStrictEqual(yield* list({ search: "%" }), [])
        assert.deepStrictEqual(yield* list({ search: "*.", includeWildcards: true }), ["*.example.org"])
        assert.deepStrictEqual(yield* list({ search: "example", after: name("blog.example.com"), limit: 1 }), [
          "cart.example.com"
        ])
      })
    ))

  it.live("name the nearest routes after a typo, or none", () =>
    filled((store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* store.nearestRoutes("shopp.example.com", 1), [name("shop.example.com")])
        assert.deepStrictEqual(yield* store.nearestRoutes("example.org", 1), [name("*.example.org")])
        assert.deepStrictEqual(yield* store.nearestRoutes("www.shop.example.com", 1), [name("shop.example.com")])
        assert.notInclude(yield* store.nearestRoutes("shop.example.com", 5), name("shop.example.com"))
        assert.deepStrictEqual(yield* store.nearestRoutes("completely-different.test", 5), [])
      })
    ))

  it.live("list a pool's routes by age, and count them", () =>
    filled((store) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(names(yield* store.routesOf(pool(1), 10)), [
          "shop.example.com",
          "*.example.org",
          "cart.example.com"
        ])
        assert.deepStrictEqual(names(yield* store.routesOf(pool(1), 1)), ["shop.example.com"])
        assert.strictEqual(yield* store.countRoutesOf(pool(1)), 3)
        assert.strictEqual(yield* store.countRoutesOf(pool(2)), 1)
        assert.strictEqual(yield* store.countRoutesOf(pool(3)), 0)
        assert.strictEqual(yield* store.countRoutesOf(pool(999)), 0)
      })
    ))

  it.live("answer owners, free pools and servers", () =>
    filled((store) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* store.owner(pool(2)), name("blog.example.com"))
        assert.isNull(yield* store.owner(pool(3)))
        assert.isNull(yield* store.owner(pool(999)))
        assert.deepStrictEqual(
          [...yield* store.owners([pool(3), pool(2), pool(1)])],
          [[pool(1), name("shop.example.com")], [pool(2), name("blog.example.com")]]
        )
        assert.strictEqual((yield* store.owners([])).size, 0)
        assert.deepStrictEqual(yield* store.freePools(0, 2), [pool(3), pool(4)])
        assert.deepStrictEqual(yield* store.freePools(4, 2), [pool(5), pool(6)])
        assert.deepStrictEqual(yield* store.freePools(20, 2), [])
        const second = [server(2, 1, "10.0.0.9"), { ...server(2, 3, "2001:db8::5"), state: "drain" as const }]
        assert.deepStrictEqual(yield* store.servers(pool(2)), second)
        assert.deepStrictEqual(yield* store.serversOf([pool(2), pool(1)]), [server(1, 1), ...second])
        assert.deepStrictEqual(yield* store.allServers, [server(1, 1), ...second])
        assert.deepStrictEqual(yield* store.servers(pool(7)), [])
        assert.strictEqual((yield* store.allRoutes).length, 4)
        assert.deepStrictEqual(yield* store.counts, {
          domains: 3,
          wildcards: 1,
          poolsUsed: 2,
          poolsDeclared: 20,
          servers: 3
        })
      })
    ))
})
