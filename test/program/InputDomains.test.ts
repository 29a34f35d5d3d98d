/** What the words on domains mean: repeating, sharing, inheriting, wildcards, suffixes, exhaustion. Real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { Store } from "../../src/store/Store.ts"
import { makeWatchedWorld, quiet, type WatchedOptions, type WatchedWorld } from "../support/WatchedWorld.ts"

const test = (name: string, body: (world: WatchedWorld) => Effect.Effect<void>, options: WatchedOptions = {}) =>
  it.live(name, () => quiet(Effect.flatMap(makeWatchedWorld(options), body)))

const listed = (world: WatchedWorld) =>
  Effect.map(
    world.good("haproxy_list_domains", { include_wildcards: true }),
    (answer) =>
      (answer["domains"] as ReadonlyArray<{ readonly domain: string; readonly backend: string }>)
        .map((item) => `${item.domain} ${item.backend}`)
  )

describe("the same write again", () => {
  test("succeeds, says that nothing changed, and changes nothing", (world) =>
    Effect.gen(function*() {
      const writes: ReadonlyArray<readonly [tool: string, args: Record<string, unknown>]> = [
        ["haproxy_add_domain", { domain: "a.com", ip: "10.0.0.1" }],
        ["haproxy_add_domain", { domain: "www.a.com", ip: "2001:db8::1", http_port: 8080 }],
        ["haproxy_add_domain", { domain: "b.org", share_with: "a.com" }],
        ["haproxy_add_domain", { domain: "c.net" }],
        ["haproxy_add_domain", { domain: "*.a.com" }],
        ["haproxy_add_domain", { domain: "*.b.org", ip: "10.0.0.9" }],
        ["haproxy_add_server", { domain: "a.com", ip: "10.0.0.2" }],
        ["haproxy_add_server", { domain: "a.com", ip: "10.0.0.2", slot: 2 }],
        ["haproxy_add_servers", { domain: "c.net", servers: [{ ip: "10.0.0.3" }, { ip: "10.0.0.4", slot: 3 }] }],
        ["haproxy_add_servers", { domain: "c.net", servers: "[{\"ip\":\"10.0.0.4\"},{\"ip\":\"10.0.0.3\"}]" }],
        ["haproxy_set_server_state", { domain: "a.com", slot: 2, state: "drain" }],
        ["haproxy_set_server_state", { backend: "pool_1", server: "pool_1_2", state: "maint" }],
        ["haproxy_set_server_weight", { domain: "a.com", slot: 1, weight: 256 }],
        ["haproxy_set_server_weight", { server: "pool_1_1", weight: 0 }],
        ["haproxy_set_domain_state", { domain: "c.net", state: "drain" }],
        ["haproxy_set_domain_state", { backend: "pool_1", state: "ready" }],
        ["haproxy_cleanup_wildcards", {}],
        ["haproxy_remove_server", { domain: "a.com", slot: 2 }],
        ["haproxy_remove_domain", { domain: "www.a.com" }],
        ["haproxy_remove_domain", { domain: "a.com" }],
        ["haproxy_remove_domain", { domain: "b.org" }]
      ]
      // These ask for what the one before them has left, in other words.
      const already = new Set([7, 9, 16])
      for (const [index, [tool, args]] of writes.entries()) {
        const note = `${tool} ${JSON.stringify(args)}`
        const first = yield* world.good(tool, args)
        assert.strictEqual(first["changed"], !already.has(index), note)
        assert.strictEqual(typeof first["change_id"], already.has(index) ? "undefined" : "string", note)
        const before = yield* world.everything
        const second = yield* world.good(tool, args)
        assert.strictEqual(second["changed"], false, `${note} → ${JSON.stringify(second)}`)
        assert.notProperty(second, "change_id", note)
        assert.strictEqual(second["revision"], first["revision"], note)
        assert.strictEqual(yield* world.everything, before, note)
      }
      yield* world.consistent
    }), { pools: 6 })
})

describe("add_domain", () => {
  test("without ip and share_with takes a pool with no servers and says so", (world) =>
    Effect.gen(function*() {
      const added = yield* world.good("haproxy_add_domain", { domain: "shop.example.com" })
      assert.deepInclude(added, { backend: "pool_1", servers: [], wildcard: null, shares_with: null, warnings: [] })
      assert.match(String(added["summary"]), /no servers yet.*haproxy_add_server/)
      const health = yield* world.good("haproxy_domain_health", { domain: "shop.example.com" })
      assert.deepInclude(health, { status: "no_servers", total_count: 0 })
      assert.strictEqual((yield* world.haproxy.get("shop.example.com")).status, 503)
    }))

  test("says that a port without an address was not used", (world) =>
    Effect.gen(function*() {
      const added = yield* world.good("haproxy_add_domain", { domain: "shop.example.com", http_port: 8080 })
      assert.match(String(added["warnings"]), /http_port 8080 was not used/)
      const filled = yield* world.good("haproxy_add_domain", { domain: "b.example.com", http_port: 80 })
      assert.deepStrictEqual(filled["warnings"], [])
    }))

  test("lower-cases, and adds the wildcard of a registrable domain only", (world) =>
    Effect.gen(function*() {
      const cases: ReadonlyArray<readonly [domain: string, wildcard: string | null]> = [
        ["Example.COM", "*.example.com"],
        ["www.example.com", null],
        ["example.co.uk", "*.example.co.uk"],
        ["www.example.co.uk", null],
        // it.com is in HAPROXY_CUSTOM_TLDS by default.
        ["shop.it.com", "*.shop.it.com"],
        ["www.shop.it.com", null],
        ["it.com", null],
        // The private section of the public suffix list counts.
        ["me.github.io", "*.me.github.io"],
        ["xn--mnchen-3ya.de", "*.xn--mnchen-3ya.de"],
        ["co.uk", null]
      ]
      yield* world.good("haproxy_add_domain", { domain: "owner.example", ip: "10.0.0.1" })
      for (const [domain, wildcard] of cases) {
        const added = yield* world.good("haproxy_add_domain", { domain, share_with: "owner.example" })
        assert.deepInclude(added, { domain: domain.toLowerCase(), wildcard, shares_with: "owner.example" })
      }
      for (const domain of ["*.com", "*.co.uk", "*.it.com", "*.github.io", "*.uk"]) {
        const { field, hint } = yield* world.bad("haproxy_add_domain", { domain, ip: "10.0.0.1" }, "INVALID_INPUT")
        assert.strictEqual(field, "domain")
        assert.match(hint, /domain of your own/, domain)
      }
      yield* world.consistent
    }))

  test("takes the operator's own suffixes", (world) =>
    Effect.gen(function*() {
      const inner = yield* world.good("haproxy_add_domain", { domain: "team.corp.example" })
      assert.strictEqual(inner["wildcard"], "*.team.corp.example")
      // Without the setting this would be a registrable domain like any other.
      assert.isNull((yield* world.good("haproxy_add_domain", { domain: "corp.example" }))["wildcard"])
      yield* world.bad("haproxy_add_domain", { domain: "*.corp.example" }, "INVALID_INPUT")
    }), { suffixes: ["corp.example"] })

  test("sharing with a share resolves to its owner; a share keeps its pool through all removals", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain: "a.example", ip: "10.0.0.1" })
      yield* world.good("haproxy_add_domain", { domain: "www.b.example", share_with: "a.example" })
      const third = yield* world.good("haproxy_add_domain", { domain: "www.c.example", share_with: "www.b.example" })
      assert.deepInclude(third, { shares_with: "a.example", backend: "pool_1" })
      const byWildcard = yield* world.good("haproxy_add_domain", { domain: "www.d.example", share_with: "*.a.example" })
      assert.deepInclude(byWildcard, { shares_with: "a.example", backend: "pool_1" })

      // The owner leaves: the oldest share inherits, and its server stays.
      const gone = yield* world.good("haproxy_remove_domain", { domain: "a.example" })
      assert.deepInclude(gone, { new_owner: "www.b.example", pool_freed: false, wildcard: "*.a.example" })
      const heir = yield* world.good("haproxy_list_servers", { domain: "www.b.example" })
      assert.isNull(heir["shares_with"])
      assert.lengthOf(heir["servers"] as ReadonlyArray<unknown>, 1)
      assert.strictEqual(
        (yield* world.good("haproxy_list_servers", { domain: "www.d.example" }))["shares_with"],
        "www.b.example"
      )
      // A younger share leaves: nothing moves.
      assert.isNull((yield* world.good("haproxy_remove_domain", { domain: "www.c.example" }))["new_owner"])
      yield* world.good("haproxy_remove_domain", { domain: "www.b.example" })
      const last = yield* world.good("haproxy_remove_domain", { domain: "www.d.example" })
      assert.deepInclude(last, { pool_freed: true, backend: "pool_1" })
      assert.strictEqual(yield* world.consistent, "")
      // The freed pool comes back empty.
      const next = yield* world.good("haproxy_add_domain", { domain: "next.example" })
      assert.deepInclude(next, { backend: "pool_1", servers: [] })
    }))

  test(
    "an implicit wildcard never replaces an explicit one, and leaves with its domain; an explicit one stays",
    (world) =>
      Effect.gen(function*() {
        yield* world.good("haproxy_add_domain", { domain: "*.a.com", ip: "10.0.0.9" })
        const apex = yield* world.good("haproxy_add_domain", { domain: "a.com", ip: "10.0.0.1" })
        assert.isNull(apex["wildcard"])
        assert.match(String(apex["warnings"]), /\*\.a\.com was there already and keeps its own route/)
        yield* world.good("haproxy_add_domain", { domain: "b.com", ip: "10.0.0.2" })
        assert.deepStrictEqual(yield* listed(world), [
          "*.a.com pool_1",
          "*.b.com pool_3",
          "a.com pool_2",
          "b.com pool_3"
        ])

        yield* world.good("haproxy_remove_domain", { domain: "a.com" })
        yield* world.good("haproxy_remove_domain", { domain: "b.com" })
        assert.deepStrictEqual(yield* listed(world), ["*.a.com pool_1"])

        // Made explicit in place, it stays in the pool and outlives its domain.
        yield* world.good("haproxy_add_domain", { domain: "c.com", ip: "10.0.0.3" })
        const promoted = yield* world.good("haproxy_add_domain", { domain: "*.c.com" })
        assert.deepInclude(promoted, { shares_with: "c.com", changed: true })
        assert.strictEqual(
          (yield* world.good("haproxy_remove_domain", { domain: "c.com" }))["new_owner"],
          "*.c.com"
        )
        // Made explicit with a server of its own, it moves, and its domain keeps its pool.
        yield* world.good("haproxy_add_domain", { domain: "d.com", ip: "10.0.0.4" })
        const moved = yield* world.good("haproxy_add_domain", { domain: "*.d.com", ip: "10.0.0.5" })
        assert.deepInclude(moved, { shares_with: null, changed: true })
        const routes = yield* listed(world)
        assert.lengthOf(new Set(routes.map((route) => route.split(" ")[1])), routes.length)
        yield* world.consistent
      }),
    { pools: 6 }
  )

  test("says what to do when every pool is in use, and changes nothing", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain: "a.example", ip: "10.0.0.1" })
      yield* world.good("haproxy_add_domain", { domain: "b.example", ip: "10.0.0.2" })
      const before = yield* world.everything
      const error = yield* world.bad("haproxy_add_domain", { domain: "c.example", ip: "10.0.0.3" }, "POOL_EXHAUSTED")
      assert.match(error.hint, /share_with.*HAPROXY_POOL_COUNT/)
      assert.strictEqual(yield* world.everything, before)
      // A share needs no pool, and a pool that is given back is taken again.
      yield* world.good("haproxy_add_domain", { domain: "c.example", share_with: "a.example" })
      yield* world.good("haproxy_remove_domain", { domain: "b.example" })
      const again = yield* world.good("haproxy_add_domain", { domain: "d.example", ip: "10.0.0.3" })
      assert.strictEqual(again["backend"], "pool_2")
      yield* world.consistent
    }), { pools: 2 })
})

describe("names that do not exist", () => {
  test("are answered with the nearest that do", (world) =>
    Effect.gen(function*() {
      for (const domain of ["shop.example.com", "blog.example.com", "example.org", "other.net"]) {
        yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
      }
      const near = (tool: string, args: Record<string, unknown>) =>
        Effect.map(world.bad(tool, args, "NOT_FOUND"), (error) => error.valid_values ?? [])
      assert.strictEqual((yield* near("haproxy_list_servers", { domain: "shp.example.com" }))[0], "shop.example.com")
      assert.include(yield* near("haproxy_domain_health", { domain: "www.example.org" }), "example.org")
      assert.include(yield* near("haproxy_add_server", { domain: "exmple.org", ip: "10.0.0.2" }), "example.org")
      assert.include(
        yield* near("haproxy_add_domain", { domain: "new.net", share_with: "blog.example.con" }),
        "blog.example.com"
      )
      const missing = yield* world.bad("haproxy_list_servers", { domain: "shp.example.com" }, "NOT_FOUND")
      assert.match(missing.hint, /valid values/)
      // Removing one that is not there is no error, but a typo is not passed over in silence.
      const removed = yield* world.good("haproxy_remove_domain", { domain: "shp.example.com" })
      assert.isFalse(removed["changed"])
      assert.match(String(removed["warnings"]), /shop\.example\.com/)
    }))
})

describe("cleanup_wildcards", () => {
  /** As an older program, or another HAPROXY_CUSTOM_TLDS, has left them. */
  const leave = (names: ReadonlyArray<readonly [name: string, implicit: boolean]>) =>
    Effect.gen(function*() {
      const store = yield* Store
      yield* store.commit(Effect.gen(function*() {
        const seq = yield* store.nextSeq
        const edits = names.map(([name, implicit], index) => ({
          kind: "route" as const,
          name: name as RouteName,
          before: null,
          after: { name: name as RouteName, pool: 1 as PoolNumber, implicit, seq: seq + index }
        }))
        yield* store.apply(edits)
        yield* store.record({
          changeId: "chg_left",
          actor: { via: "test", who: "test", requestId: "-" },
          tool: "test",
          summary: "left by another program",
          edits,
          outcome: "applied"
        })
      }))
    }).pipe(Effect.orDie)

  test("removes implicit wildcards of subdomains only; a dry run removes none", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain: "example.com", ip: "10.0.0.1" })
      yield* world.run(leave([["*.www.example.com", true], ["*.api.example.com", true], ["*.mine.example.com", false]]))
      assert.match(yield* world.consistent, /map \.www\.example\.com pool_1/)

      const before = yield* world.everything
      const dry = yield* world.good("haproxy_cleanup_wildcards", { dry_run: true })
      assert.deepInclude(dry, {
        dry_run: true,
        changed: false,
        removed_count: 2,
        kept_explicit: ["*.mine.example.com"]
      })
      assert.sameMembers(dry["removed"] as Array<string>, ["*.api.example.com", "*.www.example.com"])
      assert.match(
        String(dry["summary"]),
        /^Dry run, nothing was changed\. .*: 2 wildcards of subdomains were removed; 1 that someone added stays$/
      )
      assert.strictEqual(yield* world.everything, before)

      const real = yield* world.good("haproxy_cleanup_wildcards", {})
      assert.deepInclude(real, { dry_run: false, changed: true, removed_count: 2 })
      assert.strictEqual(
        yield* world.consistent,
        "map .example.com pool_1\nmap .mine.example.com pool_1\nmap example.com pool_1\nserver pool_1_1 10.0.0.1:80 ready 1"
      )
      const again = yield* world.good("haproxy_cleanup_wildcards", {})
      assert.deepInclude(again, { changed: false, removed_count: 0, kept_explicit: ["*.mine.example.com"] })
      assert.match(
        String(again["summary"]),
        /^No wildcard of a subdomain is to be removed; 1 that someone added stays$/
      )
    }))
})
