/** A caller with few domains: what it may name, what a change may touch, what it is told of others. On a real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Edit } from "../../src/domain/Change.ts"
import type { PoolNumber, Server, SlotNumber } from "../../src/domain/Pool.ts"
import { type Principal, whoOf, withAllRights } from "../../src/domain/Principal.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { keepWithin } from "../../src/program/Reach.ts"
import { errorOf, makeWatchedWorld } from "../support/WatchedWorld.ts"

const only = (...domains: ReadonlyArray<string>): Principal => ({
  ...withAllRights("token", "tenant"),
  id: domains.join(),
  domains
})

const route = (name: string): Edit => ({
  kind: "route",
  name: name as RouteName,
  before: null,
  after: { name: name as RouteName, pool: 1 as PoolNumber, implicit: false, seq: 1 }
})

describe("what a change may touch", () => {
  const judged = (principal: Principal, edits: ReadonlyArray<Edit>, names: ReadonlyArray<string> = []) =>
    Effect.match(
      keepWithin(
        {
          routesOf: (pool) =>
            Effect.succeed(names.map((name) => ({ name: name as RouteName, pool, implicit: false, seq: 1 })))
        },
        principal,
        edits
      ),
      { onSuccess: () => "within", onFailure: (error) => `${error.message} ${error.hint}` }
    )
  const server: Edit = {
    kind: "server",
    pool: 1 as PoolNumber,
    slot: 1 as SlotNumber,
    before: {} as Server,
    after: null
  }
  const owner = (after: string): Edit => ({
    kind: "owner",
    pool: 1 as PoolNumber,
    before: "a.example" as RouteName,
    after: after as RouteName
  })

  it.effect("is every name of it, and every name whose servers it changes", () =>
    Effect.gen(function*() {
      assert.strictEqual(
        yield* judged(withAllRights("owner", "me"), [route("b.example"), server], ["b.example"]),
        "within"
      )
      assert.strictEqual(yield* judged(only("a.example"), [route("a.example"), server], ["a.example"]), "within")
      assert.strictEqual(yield* judged(only("*.a.example"), [route("*.a.example"), route("x.y.a.example")]), "within")
      assert.match(yield* judged(only("*.a.example"), [route("a.example")]), /a domain that this caller/)
      assert.match(yield* judged(only("a.example"), [route("a.example"), route("*.a.example")]), /\*\.a\.example/)
      for (
        const edits of [[route("b.example")], [owner("b.example")], [route("aa.example")], [
          route("x.a.example")
        ]] as const
      ) {
        const said = yield* judged(only("a.example"), edits)
        assert.notStrictEqual(said, "within")
        assert.notMatch(said, /\bb\.example|aa\.example|x\.a\.example/)
      }
      const shared = yield* judged(only("a.example"), [server], ["a.example", "b.example"])
      assert.include(shared, "also serve")
      assert.notInclude(shared, "b.example")
      assert.notStrictEqual(yield* judged(only(), [server], ["a.example"]), "within")
    }))
})

describe("a caller with few domains", () => {
  it.live(
    "changes its own, is refused the rest without a trace, and is told no name of others",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWatchedWorld({ pools: 6 })
        const { call, good } = world
        yield* good("haproxy_add_domain", { domain: "secret.other.net", ip: "10.0.0.1" })
        yield* good("haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.2" })
        yield* good("haproxy_add_domain", { domain: "both.example.com", share_with: "secret.other.net" })
        const before = yield* world.consistent
        const tenant = only("*.example.com")
        const asTenant = (name: string, args: unknown) =>
          call(name, args, {
            principal: tenant,
            actor: { via: "test", who: whoOf(tenant), requestId: "req-2" }
          })
        const told: Array<string> = []

        const refused: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
          ["haproxy_add_domain", { domain: "new.other.net", ip: "10.0.0.3" }],
          ["haproxy_add_domain", { domain: "NEW.Other.net", ip: "10.0.0.3" }],
          // Its wildcard would be the tenant's, it is not.
          ["haproxy_add_domain", { domain: "example.com", ip: "10.0.0.3" }],
          ["haproxy_add_domain", { domain: "new.example.com", share_with: "secret.other.net" }],
          ["haproxy_remove_domain", { domain: "secret.other.net" }],
          ["haproxy_list_servers", { domain: "secret.other.net" }],
          ["haproxy_domain_health", { domain: "secret.other.net" }],
          ["haproxy_wait_drain", { domain: "secret.other.net" }],
          ["haproxy_add_server", { domain: "secret.other.net", ip: "10.0.0.4" }],
          // By the names of HAProxy instead of the domain's.
          ["haproxy_set_server_state", { backend: "pool_1", server: "pool_1_1", state: "maint" }],
          ["haproxy_set_server_weight", { backend: "pool_1", server: "pool_1_1", weight: 0 }],
          // Its own domain, but the servers are another one's as well.
          ["haproxy_add_server", { domain: "both.example.com", ip: "10.0.0.5" }],
          ["haproxy_remove_server", { domain: "both.example.com", slot: 1 }],
          ["haproxy_set_domain_state", { domain: "both.example.com", state: "drain" }],
          ["haproxy_stats", {}],
          ["haproxy_reload", {}],
          ["haproxy_cleanup_wildcards", {}],
          ["haproxy_renew_all_certs", {}],
          ["haproxy_issue_cert", { domain: "other.net" }],
          ["haproxy_issue_cert", { domain: "example.com" }]
        ]
        for (const [name, args] of refused) {
          const result = yield* asTenant(name, args)
          assert.strictEqual(result.code, "FORBIDDEN", `${name} ${JSON.stringify(args)}: ${result.text}`)
          assert.notStrictEqual(errorOf(result).hint, "")
          // What it named itself it may read again.
          if (!JSON.stringify(args).includes("secret")) told.push(result.text)
        }
        assert.strictEqual(yield* world.consistent, before)

        const listed = yield* asTenant("haproxy_list_domains", { include_wildcards: true })
        const { domains, total } = listed.structuredContent as {
          readonly domains: ReadonlyArray<{ readonly domain: string }>
          readonly total: number
        }
        assert.deepStrictEqual(domains.map(({ domain }) => domain), ["both.example.com", "shop.example.com"])
        assert.strictEqual(total, 2)
        told.push(listed.text)
        for (const args of [{ search: "secret" }, { search: "example" }, { limit: 1 }]) {
          told.push((yield* asTenant("haproxy_list_domains", args)).text)
        }
        told.push((yield* asTenant("haproxy_list_servers", { domain: "both.example.com" })).text)
        told.push((yield* asTenant("haproxy_list_servers", { domain: "secret.example.com" })).text)
        told.push((yield* asTenant("haproxy_remove_domain", { domain: "secret.example.com" })).text)
        told.push((yield* asTenant("haproxy_add_domain", { domain: "both.example.com", ip: "10.0.0.9" })).text)
        told.push((yield* asTenant("haproxy_list_certs", {})).text)
        told.push((yield* asTenant("haproxy_health", {})).text)
        for (const text of told) assert.notMatch(text, /secret\.other|other\.net"/)

        const made = yield* asTenant("haproxy_add_domain", { domain: "new.example.com", ip: "10.0.0.6" })
        assert.isFalse(made.isError, made.text)
        for (
          const [name, args] of [
            ["haproxy_add_domain", { domain: "*.new.example.com", share_with: "new.example.com" }],
            ["haproxy_set_domain_state", { domain: "new.example.com", state: "drain" }],
            ["haproxy_set_server_weight", { domain: "shop.example.com", slot: 1, weight: 7 }],
            ["haproxy_remove_domain", { domain: "shop.example.com" }]
          ] as const
        ) {
          const result = yield* asTenant(name, args)
          assert.isFalse(result.isError, `${name}: ${result.text}`)
        }

        // Its own change it may follow, another one's not.
        const { change_id: own } = made.structuredContent as { readonly change_id: string }
        const followed = yield* asTenant("haproxy_operation", { operation_id: own })
        assert.strictEqual(followed.structuredContent["status"], "applied", followed.text)
        const theirs = yield* good("haproxy_add_server", { domain: "secret.other.net", ip: "10.0.0.7" })
        const peeked = yield* asTenant("haproxy_operation", { operation_id: theirs["change_id"] as string })
        assert.strictEqual(peeked.code, "NOT_FOUND")
        yield* world.consistent
      }),
    60_000
  )
})
