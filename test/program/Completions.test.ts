/** Completions: what begins so, no more than a hundred, and of a caller with few domains only its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Principal, withAllRights } from "../../src/domain/Principal.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { Caller } from "../../src/program/Caller.ts"
import { completeDomains, completePools, completeRevisions } from "../../src/program/Completions.ts"
import { Limits } from "../../src/program/Limits.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Store } from "../../src/store/Store.ts"
import { limits, ownerEdit, route, routeEdit, withNewStore, write } from "../store/support/Fixture.ts"

/** 250 names of one pool, three of others, and a wildcard. */
const edits = [
  ...Array.from({ length: 250 }, (_, n) => routeEdit(null, route(`n${n}.shop.example.com`, 1, n + 1))),
  ownerEdit(1, null, "n0.shop.example.com"),
  routeEdit(null, route("a.example.org", 2, 300)),
  ownerEdit(2, null, "a.example.org"),
  routeEdit(null, route("z.example.org", 12, 301)),
  ownerEdit(12, null, "z.example.org"),
  routeEdit(null, route("*.example.org", 2, 302))
]

const filled = <A, E>(program: Effect.Effect<A, E, ProgramServices>) =>
  withNewStore((store) =>
    Effect.andThen(
      store.commit(write(store, edits)),
      program.pipe(
        Effect.provideService(Store, store),
        Effect.provideService(Limits, {
          pools: limits,
          suffixes: publicSuffixes([]),
          listeners: [],
          localAddresses: new Set<string>(),
          haproxyIsHere: true
        })
      ) as Effect.Effect<A, E>
    ), { pools: limits })

const as = (domains: Principal["domains"]) =>
  Effect.updateService(Caller, (caller) => ({ ...caller, principal: { ...withAllRights("token", "t"), domains } }))

describe("completions", () => {
  it.live("of domains are a range of names, wildcards only once * was typed", () =>
    filled(Effect.gen(function*() {
      const of = (prefix: string) => completeDomains({ prefix })
      const some = yield* of("n1")
      assert.strictEqual(some.values.length, 100)
      assert.isTrue(some.more)
      assert.isTrue(some.values.every((value) => value.startsWith("n1")))
      assert.deepStrictEqual([...some.values], [...some.values].sort())
      assert.deepStrictEqual(yield* of(" N249 "), { values: ["n249.shop.example.com"], more: false })
      assert.deepStrictEqual(yield* of("*"), { values: ["*.example.org"], more: false })
      assert.strictEqual((yield* of("")).values[0], "a.example.org")
      for (const odd of ["%", "_", "a b", "ä", "n1\u0000", "x".repeat(300), "'; --"]) {
        assert.deepStrictEqual(yield* of(odd), { values: [], more: false }, odd)
      }
    })))

  it.live("of a caller with few domains are those, wherever they stand", () =>
    filled(Effect.gen(function*() {
      const of = (prefix: string, domains: Principal["domains"]) => completeDomains({ prefix }).pipe(as(domains))
      assert.deepStrictEqual(yield* of("", ["z.example.org", "nobody.example"]), {
        values: ["z.example.org"],
        more: false
      })
      assert.deepStrictEqual(yield* of("", ["*.example.org"]), {
        values: ["a.example.org", "z.example.org"],
        more: false
      })
      assert.deepStrictEqual(yield* of("*", ["*.example.org"]), { values: ["*.example.org"], more: false })
      assert.deepStrictEqual(yield* of("n24", ["*.example.org"]), { values: [], more: false })
      const many = yield* of("", ["*.shop.example.com", "a.example.org"])
      assert.strictEqual(many.values.length, 100)
      assert.isTrue(many.more)
      assert.deepStrictEqual(yield* of("", []), { values: [], more: false })
    })))

  it.live("of pools are those in use, of revisions those that are kept", () =>
    filled(Effect.gen(function*() {
      assert.deepStrictEqual((yield* completePools({ prefix: "" })).values, ["pool_1", "pool_2", "pool_12"])
      assert.deepStrictEqual((yield* completePools({ prefix: "POOL_1" })).values, ["pool_1", "pool_12"])
      assert.deepStrictEqual((yield* completePools({ prefix: "pool_3" })).values, [])
      assert.deepStrictEqual((yield* completeRevisions({ prefix: "" })).values, ["1"])
      assert.deepStrictEqual((yield* completeRevisions({ prefix: "1 OR 1" })).values, [])
    })))
})
