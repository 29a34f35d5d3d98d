import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listDomains } from "../../src/program/DomainList.ts"
import { addDomain, cleanupWildcards, removeDomain } from "../../src/program/Domains.ts"
import { addServer, addServers, removeServer, setServerState } from "../../src/program/Servers.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"

const codeOf = <A, E extends { readonly code: string }, R>(program: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(program), (error) => error.code)

describe.each(realLines)("domains on HAProxy $line", (binary) => {
  it.live("routes a domain with its wildcard, and says so again without a change", () =>
    Effect.gen(function*() {
      const { consistent, haproxy, run } = yield* makeWorld({ binary, poolsFile: true })
      const added = yield* run(addDomain({ domain: "Shop.example.com", ip: "127.0.0.1", http_port: 1 }))
      assert.include(added, {
        changed: true,
        domain: "shop.example.com",
        backend: "pool_1",
        wildcard: null,
        revision: 1
      })
      const apex = yield* run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      assert.include(apex, { changed: true, backend: "pool_2", wildcard: "*.example.com", revision: 2 })
      assert.match(apex.change_id ?? "", /^chg_/)
      const again = yield* run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      assert.include(again, { changed: false, backend: "pool_2", revision: 2 })
      assert.notProperty(again, "change_id")
      assert.strictEqual(
        yield* consistent(),
        "map .example.com pool_2\nmap example.com pool_2\nmap shop.example.com pool_1\n"
          + "server pool_1_1 127.0.0.1:1 ready 1\nserver pool_2_1 10.0.0.1:80 ready 1"
      )
      // Nobody listens there, but the route exists: HAProxy answers 503 and not its "unknown host".
      assert.strictEqual((yield* haproxy.get("shop.example.com")).status, 503)
    }))

  it.live("shares, inherits and frees pools", () =>
    Effect.gen(function*() {
      const { consistent, run } = yield* makeWorld({ binary, poolsFile: true })
      yield* run(addDomain({ domain: "a.example.com", ip: "10.0.0.1" }))
      yield* run(addDomain({ domain: "b.example.com", share_with: "a.example.com" }))
      const third = yield* run(addDomain({ domain: "c.example.com", share_with: "b.example.com" }))
      assert.strictEqual(third.shares_with, "a.example.com")
      const gone = yield* run(removeDomain({ domain: "a.example.com" }))
      assert.include(gone, { changed: true, pool_freed: false, new_owner: "b.example.com" })
      assert.strictEqual((yield* run(removeDomain({ domain: "c.example.com" }))).new_owner, null)
      const last = yield* run(removeDomain({ domain: "b.example.com" }))
      assert.include(last, { pool_freed: true, backend: "pool_1" })
      assert.strictEqual(yield* consistent(), "")
      const nothing = yield* run(removeDomain({ domain: "b.example.com" }))
      assert.include(nothing, { changed: false })
    }))

  it.live("changes servers, their state and weight", () =>
    Effect.gen(function*() {
      const { consistent, run } = yield* makeWorld({ binary, poolsFile: true })
      yield* run(addDomain({ domain: "a.example.com" }))
      const many = yield* run(
        addServers({ domain: "a.example.com", servers: [{ ip: "10.0.0.1" }, { ip: "2001:db8::1" }] })
      )
      assert.strictEqual(many.servers.length, 2)
      const one = yield* run(addServer({ domain: "a.example.com", ip: "10.0.0.3", slot: 3 }))
      assert.strictEqual(one.slot, 3)
      assert.strictEqual(yield* run(codeOf(addServer({ domain: "a.example.com", ip: "10.0.0.4" }))), "POOL_EXHAUSTED")
      yield* run(setServerState({ domain: "a.example.com", slot: 1, state: "drain" }))
      yield* run(setServerState({ backend: "pool_1", server: "pool_1_2", state: "maint" }))
      yield* run(removeServer({ domain: "a.example.com", slot: 3 }))
      assert.strictEqual(
        yield* consistent(),
        "map a.example.com pool_1\nserver pool_1_1 10.0.0.1:80 drain 1\nserver pool_1_2 2001:db8::1:80 maint 1"
      )
    }))

  it.live("promotes an implicit wildcard and keeps an explicit one", () =>
    Effect.gen(function*() {
      const { consistent, run } = yield* makeWorld({ binary })
      yield* run(addDomain({ domain: "*.b.com", ip: "10.0.0.9" }))
      const apex = yield* run(addDomain({ domain: "b.com", ip: "10.0.0.1" }))
      assert.strictEqual(apex.wildcard, null)
      assert.strictEqual(apex.warnings.length, 1)
      yield* run(addDomain({ domain: "a.com", ip: "10.0.0.2" }))
      const promoted = yield* run(addDomain({ domain: "*.a.com" }))
      assert.include(promoted, { changed: true, backend: "pool_3", shares_with: "a.com" })
      yield* run(removeDomain({ domain: "a.com" }))
      assert.match(yield* consistent(), /map \.a\.com pool_3/)
      const cleaned = yield* run(cleanupWildcards({}))
      assert.include(cleaned, { changed: false, removed_count: 0 })
    }))
})

describe("lists", () => {
  it.live("pages by name and filters", () =>
    Effect.gen(function*() {
      const { run } = yield* makeWorld({})
      yield* run(addDomain({ domain: "s0.example.com", ip: "10.0.0.1" }))
      yield* Effect.forEach(
        Array.from({ length: 30 }, (_, i) => `s${i + 1}.example.com`),
        (domain) => run(addDomain({ domain, share_with: "s0.example.com" })),
        { concurrency: "unbounded" }
      )
      const seen: Array<string> = []
      let cursor: string | null = null
      do {
        const page: {
          readonly domains: ReadonlyArray<{ readonly domain: string }>
          readonly next_cursor: string | null
        } = yield* run(
          listDomains({ limit: 7, ...(cursor === null ? {} : { cursor }) })
        )
        seen.push(...page.domains.map((item) => item.domain))
        cursor = page.next_cursor
      } while (cursor !== null)
      assert.strictEqual(seen.length, 31)
      assert.deepStrictEqual(seen, [...seen].sort())
      assert.strictEqual((yield* run(listDomains({ search: "S1" }))).domains.length, 11)
      assert.strictEqual(yield* run(codeOf(listDomains({ cursor: "%%" }))), "INVALID_INPUT")
    }))
})
