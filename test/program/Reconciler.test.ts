import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { health } from "../../src/program/Health.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { addServer } from "../../src/program/Servers.ts"
import { inSync, within } from "../support/ControlPlane.ts"
import { dumpDatabase, dumpRuntime, foreignRuntime } from "../support/Dump.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld, type World } from "../support/World.ts"

const sync = Effect.flatMap(PoolAllocator, (allocator) => allocator.sync)

/** Waits until HAProxy is the database again, without asking for a reconcile. */
const heals = (world: World) =>
  Effect.gen(function*() {
    const maps = [world.site.runtimeDomainsMap, world.site.runtimeWildcardsMap]
    for (let tries = 0; tries < 1_000; tries++) {
      if ((yield* dumpRuntime(world.site.runtimeSocket, maps)) === (yield* world.run(Effect.orDie(dumpDatabase)))) {
        return
      }
      yield* Effect.sleep(5)
    }
    assert.fail("HAProxy was not repaired")
  })

describe.each(realLines)("the reconciler on HAProxy $line", (binary) => {
  it.live("repairs foreign edits by itself, by the full and by the cheap comparison", () =>
    Effect.gen(function*() {
      for (const cheapFrom of [0, 5_000]) {
        const world = yield* makeWorld({ binary, reconcileEvery: 20, cheapFrom })
        const { haproxy, run, site } = world
        yield* run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
        for (
          const edit of [
            `del map ${site.runtimeDomainsMap} a.com`,
            `set map ${site.runtimeDomainsMap} a.com pool_2`,
            `add map ${site.runtimeDomainsMap} a.com pool_1`,
            `add map ${site.runtimeWildcardsMap} .x.com pool_1`,
            "set server pool_1/pool_1_1 addr 10.9.9.9 port 99",
            "set server pool_1/pool_1_2 state ready",
            "set server pool_1/pool_1_1 weight 9"
          ]
        ) {
          yield* haproxy.command(edit)
          yield* heals(world)
        }
      }
    }))

  it.live("swaps a map that lost hundreds of entries, and keeps what is not ours, in order", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, domains: ["static.example.com be_static"] })
      const { consistent, haproxy, run, site } = world
      yield* run(addDomain({ domain: "base.example.com", ip: "10.0.0.1" }))
      yield* Effect.forEach(
        Array.from({ length: 700 }, (_, n) => `d${n}.example.com`),
        (domain) => run(addDomain({ domain, share_with: "base.example.com" })),
        { concurrency: "unbounded", discard: true }
      )
      yield* haproxy.command(`add map ${site.runtimeDomainsMap} live.example.com be_live`)
      for (let n = 0; n < 300; n++) yield* haproxy.command(`del map ${site.runtimeDomainsMap} d${n}.example.com`)
      yield* consistent("after the swap")
      assert.deepStrictEqual((yield* foreignRuntime(site.runtimeSocket, site.runtimeDomainsMap)).sort(), [
        "live.example.com be_live",
        "static.example.com be_static"
      ])
    }))
})

describe("the reconciler's limits", () => {
  it.live("refuses to empty maps beside an empty database, and says so", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ domains: ["shop.example.com pool_1"] })
      const refused = yield* Effect.flip(world.run(within(700)(addDomain({ domain: "a.com" }))))
      assert.strictEqual(refused.code, "CONFIG_INVALID")
      assert.match(refused.message, /database is empty/)
      assert.match(yield* world.haproxy.command(`get map ${world.site.runtimeDomainsMap} shop.example.com`), /pool_1/)
      assert.strictEqual((yield* world.run(health)).status, "degraded")
    }))

  it.live("uses the pools and slots that HAProxy has when more are declared", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 2, slots: 2, declared: { pools: 50, slots: 9 } })
      yield* world.run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
      yield* world.run(addDomain({ domain: "b.com", ip: "10.0.0.1" }))
      assert.strictEqual((yield* Effect.flip(world.run(addDomain({ domain: "c.com" })))).code, "POOL_EXHAUSTED")
      yield* world.run(addServer({ domain: "a.com", ip: "10.0.0.2" }))
      assert.strictEqual(
        (yield* Effect.flip(world.run(addServer({ domain: "a.com", ip: "10.0.0.3" })))).code,
        "POOL_EXHAUSTED"
      )
      assert.strictEqual(
        (yield* Effect.flip(world.run(addServer({ domain: "a.com", ip: "10.0.0.3", slot: 5 })))).code,
        "CONFLICT"
      )
      yield* world.consistent()
    }))

  it.live("leaves a key alone that a foreign entry holds, and names it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({})
      const { haproxy, run, site } = world
      yield* run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
      yield* haproxy.command(`del map ${site.runtimeDomainsMap} a.com`)
      yield* haproxy.command(`add map ${site.runtimeDomainsMap} a.com be_other`)
      const found = yield* run(inSync)
      assert.isTrue(found.inSync)
      assert.match(found.problems.join(), /holds the key a\.com/)
      assert.match(yield* haproxy.command(`get map ${site.runtimeDomainsMap} a.com`), /be_other/)
      // Once the entry is gone, ours is back.
      yield* haproxy.command(`del map ${site.runtimeDomainsMap} a.com`)
      yield* world.consistent()
      assert.deepStrictEqual((yield* run(sync)).problems, [])
      yield* haproxy.command(`add map ${site.runtimeDomainsMap} f.com be_other`)
      yield* run(inSync)
      assert.strictEqual((yield* Effect.flip(run(addDomain({ domain: "f.com" })))).code, "CONFLICT")
      assert.strictEqual((yield* Effect.flip(run(removeDomain({ domain: "f.com" })))).code, "FORBIDDEN")
    }))
})
