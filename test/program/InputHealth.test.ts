/** What the reading tools answer: the shapes that users know, HAProxy down, and lists that a model can read whole. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { errorOf, makeWatchedWorld, quiet, type WatchedWorld } from "../support/WatchedWorld.ts"

type Item = Record<string, unknown>

const componentsOf = (health: Item) => health["components"] as Record<string, Item>

/** Asks until `ready` holds, at most ten seconds. */
const until = Effect.fnUntraced(function*(world: WatchedWorld, ready: (health: Item) => boolean) {
  for (const end = Date.now() + 10_000;; yield* Effect.sleep(20)) {
    const health = yield* world.good("haproxy_health", {})
    if (ready(health)) return health
    if (Date.now() > end) throw new Error(`it did not become so: ${JSON.stringify(health)}`)
  }
})

describe("health", () => {
  it.live("has the shape that users know, and says when HAProxy is down and back", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({ domains: ["foreign.net web"] })
      yield* world.good("haproxy_add_domain", { domain: "a.example", ip: "10.0.0.1" })
      const well = yield* world.good("haproxy_health", {})
      assert.strictEqual(well["status"], "healthy")
      const { config_files, container, desired_state, haproxy, mcp, reconciler } = componentsOf(well)
      assert.deepInclude(mcp, { status: "ok" })
      assert.deepInclude(haproxy, { status: "ok" })
      assert.match(String(haproxy?.["version"]), /^\d+\.\d+\.\d+/)
      assert.isNumber(haproxy?.["uptime_sec"])
      const files = config_files?.["files"] as Record<string, Item>
      assert.includeMembers(Object.keys(files), ["map_file", "db_file"])
      for (const file of Object.values(files)) assert.deepInclude(file, { status: "ok" })
      assert.hasAllKeys(container, ["status", "state"])
      assert.deepInclude(desired_state, { domains: 1, wildcards: 1, servers: 1, pools_used: 1, pools_declared: 5 })
      assert.deepInclude(reconciler, { status: "ok", in_sync: true, foreign_entries: 1 })

      yield* world.haproxy.stop
      const down = yield* until(world, (health) => componentsOf(health)["reconciler"]?.["in_sync"] === false)
      assert.strictEqual(down["status"], "unhealthy")
      assert.match(String(down["summary"]), /^unhealthy: .*HAProxy/)
      assert.notMatch(String(down["summary"]), /HAProxy: HAProxy/)
      assert.deepInclude(componentsOf(down)["haproxy"], { status: "error", version: null, uptime_sec: null })
      assert.isString(componentsOf(down)["haproxy"]?.["reason"])
      assert.deepInclude(componentsOf(down)["desired_state"], { status: "ok", domains: 1 })

      // Reading goes on with what is desired; what only HAProxy knows is an error that may be repeated.
      const servers = yield* world.good("haproxy_list_servers", { domain: "a.example" })
      assert.match(String(servers["summary"]), /a\.example has 1 server in pool_1; HAProxy cannot be asked now: /)
      assert.deepInclude((servers["servers"] as ReadonlyArray<Item>)[0], {
        addr: "10.0.0.1:80",
        state: "ready",
        status: null,
        check_status: null,
        current_sessions: null
      })
      const unknown = yield* world.bad("haproxy_domain_health", { domain: "a.example" }, "HAPROXY_UNREACHABLE")
      assert.isTrue(unknown.retryable)
      const write = errorOf(
        yield* world.call("haproxy_add_domain", { domain: "b.example", ip: "10.0.0.2" }, { timeout: 300 })
      )
      assert.deepInclude(write, { code: "HAPROXY_UNREACHABLE", retryable: true })
      assert.match(write.hint, /^Nothing was written/)
      // A rule is a rule without HAProxy.
      yield* world.bad("haproxy_add_domain", { domain: "b..example" }, "INVALID_INPUT")
      yield* world.bad("haproxy_list_servers", { domain: "b.example" }, "NOT_FOUND")

      yield* world.haproxy.start
      yield* until(world, (health) => health["status"] === "healthy")
      yield* world.consistent
      assert.strictEqual((yield* world.good("haproxy_list_domains", {}))["total"], 1)
    })))

  it.live("of a domain counts servers that take requests", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld()
      const domain = "a.example"
      const health = Effect.map(
        world.good("haproxy_domain_health", { domain }),
        ({ healthy_count, status, total_count }) => `${status} ${healthy_count}/${total_count}`
      )
      yield* world.good("haproxy_add_domain", { domain })
      assert.strictEqual(yield* health, "no_servers 0/0")
      yield* world.good("haproxy_add_servers", { domain, servers: ["10.0.0.1", "10.0.0.2"].map((ip) => ({ ip })) })
      assert.strictEqual(yield* health, "healthy 2/2")
      yield* world.good("haproxy_set_server_state", { domain, slot: 1, state: "drain" })
      assert.strictEqual(yield* health, "degraded 1/2")
      yield* world.good("haproxy_set_server_weight", { domain, slot: 2, weight: 0 })
      assert.strictEqual(yield* health, "down 0/2")
      const { servers } = yield* world.good("haproxy_domain_health", { domain })
      assert.hasAllKeys((servers as ReadonlyArray<Item>)[0], ["name", "addr", "status", "check_status"])
      assert.deepInclude((servers as ReadonlyArray<Item>)[0], { name: "pool_1_1", addr: "10.0.0.1:80" })
      assert.strictEqual(String((servers as ReadonlyArray<Item>)[0]?.["status"]), "DRAIN")
    })))
})

describe("lists", () => {
  /** JSON of this kind takes a token for about three characters, at the least. */
  const mostCharacters = 8_000 * 3

  it.live("stay under 8,000 tokens a page, with 300 domains of three servers each", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({ pools: 300 })
      const names = Array.from(
        { length: 300 },
        (_, n) => `customer-${String(n).padStart(3, "0")}.a-rather-long-name-of-a-platform.example`
      )
      yield* Effect.forEach(names, (domain) => world.good("haproxy_add_domain", { domain }), {
        concurrency: "unbounded",
        discard: true
      })
      yield* Effect.forEach(names, (domain, n) =>
        world.good("haproxy_add_servers", {
          domain,
          servers: [1, 2, 3].map((k) => ({
            ip: `2001:db8:aaaa:bbbb:cccc:dddd:${k}:${(n + 1).toString(16)}`,
            http_port: 50_000
          }))
        }), { concurrency: "unbounded", discard: true })

      for (const limit of [1_000, 100, 7]) {
        const seen: Array<string> = []
        let pages = 0
        for (let cursor: unknown = null; pages === 0 || cursor !== null; pages++) {
          const result = yield* world.call("haproxy_list_domains", { limit, ...(cursor === null ? {} : { cursor }) })
          assert.isFalse(result.isError, result.text)
          assert.isBelow(result.text.length, mostCharacters)
          const page = result.structuredContent
          const domains = page["domains"] as ReadonlyArray<{ readonly domain: string }>
          assert.isAbove(domains.length, 0)
          assert.isAtMost(domains.length, limit)
          assert.strictEqual(page["total"], 300)
          assert.match(
            String(page["summary"]),
            page["next_cursor"] === null ? /^\d+ of 300 domains$/ : /^\d+ of 300 domains; more with next_cursor$/
          )
          seen.push(...domains.map((item) => item.domain))
          cursor = page["next_cursor"]
        }
        assert.deepStrictEqual(seen, names)
        assert.isAbove(pages, 3)
      }

      // A cursor whose domain has gone meanwhile still leads on.
      const first = yield* world.good("haproxy_list_domains", { limit: 10 })
      yield* world.good("haproxy_remove_domain", { domain: names[9] })
      const second = yield* world.good("haproxy_list_domains", { limit: 1, cursor: first["next_cursor"] })
      assert.strictEqual((second["domains"] as ReadonlyArray<{ readonly domain: string }>)[0]?.domain, names[10])

      const search = yield* world.good("haproxy_list_domains", { search: " CUSTOMER-29 " })
      assert.lengthOf(search["domains"] as ReadonlyArray<unknown>, 10)
      const none = yield* world.good("haproxy_list_domains", { search: "nothing-like-it" })
      assert.deepInclude(none, { summary: "No domain matches \"nothing-like-it\"", domains: [], next_cursor: null })
      const percent = yield* world.good("haproxy_list_domains", { search: "customer%" })
      assert.deepInclude(percent, { domains: [] })
    })))
})
