/** MCP_GUARDRAILS: what needs `force`, what counts and what does not, and that a refusal is that nothing happened. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import * as Guardrails from "../../src/program/Guardrails.ts"
import { importDomains } from "../../src/program/Import.ts"
import type { Plane } from "../../src/program/Reconciler.ts"
import { startOrigin } from "../support/Origin.ts"
import { becomes } from "../support/Poll.ts"
import { ask, realLines } from "../support/RealHaproxy.ts"
import { writesIn } from "../support/Recorder.ts"
import { makeWatchedWorld, quiet, type WatchedOptions, type WatchedWorld } from "../support/WatchedWorld.ts"

const route = (name: string, implicit = false) =>
  ({ name: name as RouteName, pool: 1 as PoolNumber, implicit, seq: 1 }) as const

const removal = (name: string, implicit = false) =>
  ({ kind: "route", name: name as RouteName, before: route(name, implicit), after: null }) as const

/** A write that is refused with `CONFLICT`, in a dry run too, and leaves nothing. */
const refused = (world: WatchedWorld, tool: string, args: Record<string, unknown>, says: RegExp) =>
  Effect.gen(function*() {
    const before = yield* world.everything
    const sent = world.sent.length
    const error = yield* world.bad(tool, args, "CONFLICT")
    assert.match(error.message, says)
    assert.match(error.message, /\(MCP_GUARDRAILS=strict\)$/)
    assert.include(error.hint, "force=true")
    assert.deepStrictEqual(yield* world.bad(tool, { ...args, dry_run: true }, "CONFLICT"), error)
    assert.strictEqual(yield* world.everything, before)
    assert.deepStrictEqual(writesIn(world.sent.slice(sent)), [])
    const planned = yield* world.good(tool, { ...args, dry_run: true, force: true })
    assert.isTrue((planned["plan"] as { readonly would_change: boolean }).would_change)
    assert.strictEqual(yield* world.everything, before)
  })

const strict: WatchedOptions = { guardrails: "strict", slots: 4 }

describe("the last healthy server of a domain", () => {
  for (const binary of realLines) {
    it.live(
      `is neither drained, disabled, weighed to 0 nor removed without force: HAProxy ${binary.version}`,
      () =>
        quiet(Effect.gen(function*() {
          const world = yield* makeWatchedWorld({ ...strict, binary })
          const domain = "a.com"
          const last = /^No healthy server of pool_1 is left/
          yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
          yield* world.good("haproxy_add_domain", { domain: "b.org", share_with: domain })
          yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.2" })
          // One of two may go.
          const drained = yield* world.good("haproxy_set_server_state", { domain, slot: 2, state: "drain" })
          yield* refused(world, "haproxy_set_server_state", { domain, slot: 1, state: "drain" }, last)
          yield* refused(world, "haproxy_set_server_state", { domain: "b.org", slot: 1, state: "maint" }, last)
          yield* refused(world, "haproxy_set_server_weight", { domain, slot: 1, weight: 0 }, last)
          yield* refused(world, "haproxy_set_domain_state", { domain, state: "maint" }, last)
          yield* refused(world, "haproxy_remove_server", { domain, slot: 1 }, last)
          // What leaves one takes none.
          yield* world.good("haproxy_remove_server", { domain, slot: 2 })
          assert.isTrue(drained["changed"])
          // A share may leave: the servers serve the other one.
          yield* world.good("haproxy_remove_domain", { domain: "b.org" })
          const forced = yield* world.good("haproxy_set_server_state", { domain, slot: 1, state: "drain", force: true })
          assert.deepStrictEqual(forced["warnings"], ["No server of pool_1 takes new requests now"])
          // It is drained already: nothing is taken any more.
          yield* world.good("haproxy_set_server_state", { domain, slot: 1, state: "maint" })
          const ready = yield* world.good("haproxy_set_domain_state", { domain, state: "ready" })
          yield* refused(world, "haproxy_revert", { change_id: ready["change_id"] }, last)
          // With its pool the domain itself goes: that is another matter.
          yield* world.good("haproxy_remove_domain", { domain })
          yield* world.consistent
        })).pipe(Effect.scoped),
      60_000
    )
  }

  it.live("is the one that HAProxy sees up, where it checks", () =>
    quiet(Effect.gen(function*() {
      const origin = yield* startOrigin("one")
      const world = yield* makeWatchedWorld({
        ...strict,
        poolsFile: false,
        serverOptions: "check inter 50ms fall 1"
      })
      yield* world.good("haproxy_add_domain", { domain: "a.com", ip: "127.0.0.1", http_port: origin.port })
      yield* world.good("haproxy_add_server", { domain: "a.com", ip: "127.0.0.1", http_port: 1 })
      yield* Effect.promise(() =>
        becomes("HAProxy sees the second one down", async () =>
          /^pool_1,pool_1_2,.*,DOWN/m.test(await ask(world.haproxy.site.runtimeSocket, "show stat")))
      )
      yield* refused(
        world,
        "haproxy_set_server_state",
        { domain: "a.com", slot: 1, state: "drain" },
        /^No healthy server of pool_1 is left/
      )
    })).pipe(Effect.scoped))
})

describe("removals within a minute", () => {
  const add = (world: WatchedWorld, names: ReadonlyArray<string>) =>
    Effect.forEach(names, (domain) => world.good("haproxy_add_domain", { domain }), { concurrency: 8 })
  const many = (count: number, zone: string) => Array.from({ length: count }, (_, index) => `n${index}.${zone}`)

  it.live("of the 21st domain need force; what is refused or not there does not count", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({ ...strict, pools: 40, slots: 1 })
      const names = many(24, "a.com")
      yield* add(world, names)
      for (let again = 0; again < 30; again++) {
        yield* world.good("haproxy_remove_domain", { domain: "not-there.a.com" })
        yield* world.good("haproxy_remove_domain", { domain: names[0], dry_run: true })
      }
      // All at once, by several callers: 20 get through, whichever they are.
      const results = yield* Effect.forEach(
        names,
        (domain, index) =>
          Effect.map(
            world.call("haproxy_remove_domain", { domain }, {
              actor: { via: "test", who: `caller ${index % 3}`, requestId: `r${index}` }
            }),
            (result) => [domain, result.code] as const
          ),
        { concurrency: "unbounded" }
      )
      const left = results.filter(([, code]) => code === "CONFLICT").map(([domain]) => domain)
      assert.deepStrictEqual([results.filter(([, code]) => code === "OK").length, left.length], [20, 4])
      const says = /^One more domain would be removed, after 20 within the last minute: more than 20/
      for (let again = 0; again < 5; again++) yield* refused(world, "haproxy_remove_domain", { domain: left[0] }, says)
      yield* world.good("haproxy_remove_domain", { domain: left[0], force: true })
      yield* refused(world, "haproxy_remove_domain", { domain: left[1] }, /after 21 within/)
      // Nothing to remove is nothing to refuse.
      assert.isFalse((yield* world.good("haproxy_remove_domain", { domain: left[0] }))["changed"])
      yield* world.consistent
    })).pipe(Effect.scoped))

  it.live("that were taken back do not count", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({ ...strict, pools: 40, slots: 1 })
      const names = many(20, "a.com")
      yield* add(world, names)
      yield* world.haproxy.pause
      const lost = yield* world.call("haproxy_remove_domain", { domain: names[0] }, { timeout: 700 })
      assert.include(["OUTCOME_UNKNOWN", "HAPROXY_UNREACHABLE"], lost.code)
      yield* world.haproxy.resume
      assert.include(yield* world.consistent, names[0]!)
      for (const domain of names) yield* world.good("haproxy_remove_domain", { domain })
    })).pipe(Effect.scoped))

  it.live("are counted one by one where one call removes many, and nobody is stopped without strict", () =>
    quiet(Effect.gen(function*() {
      for (const guardrails of ["strict", "inform"] as const) {
        const world = yield* makeWatchedWorld({ guardrails, pools: 3, slots: 1 })
        const rows = many(21, "a.com").map((domain, index) => [
          index + 1,
          index === 0 ? { domain, servers: "10.0.0.1:80" } : { domain, shares_with: "n0.a.com" }
        ])
        const imported = yield* world.run(Effect.orDie(importDomains({ rows })))
        const args = { change_id: imported.change_id }
        if (guardrails === "strict") {
          yield* refused(world, "haproxy_revert", args, /^21 more domains would be removed, after 0 within/)
          yield* world.good("haproxy_revert", { ...args, force: true })
        } else yield* world.good("haproxy_revert", args)
        assert.strictEqual(yield* world.consistent, "")
      }
    })).pipe(Effect.scoped))

  it("count for a minute, until then whatever became of those that were forgotten", () => {
    let now = 0
    const guardrails = Guardrails.make("strict", () => now)
    const check = (count: number) =>
      Result.isSuccess(
        Effect.runSync(
          Effect.result(
            guardrails.check({} as Plane, {}, many(count, "a.com").map((name) => removal(name)))
          ) as Effect.Effect<Result.Result<void, unknown>>
        )
      )
    const twenty = many(20, "b.com").map((name) => removal(name))
    assert.isTrue(check(20))
    assert.isFalse(check(21))
    guardrails.count("chg_1", twenty)
    assert.isFalse(check(1))
    guardrails.forget("chg_1")
    assert.isTrue(check(20), "it was taken back")
    guardrails.count("chg_2", twenty.slice(0, 15))
    now = 30_000
    guardrails.count("chg_3", twenty.slice(0, 5))
    assert.isFalse(check(1))
    now = 60_000
    assert.isTrue(check(15), "the first minute is over")
    assert.isFalse(check(16))
    now = 90_000
    assert.isTrue(check(20))
  })

  it("count a wildcard that leaves with its domain with it, another one by itself", () => {
    assert.strictEqual(Guardrails.removed([removal("a.com"), removal("*.a.com", true)]), 1)
    assert.strictEqual(Guardrails.removed([removal("*.a.com", true), removal("*.b.com")]), 2)
    const moved = { ...removal("c.com"), after: route("c.com") }
    assert.strictEqual(Guardrails.removed([moved, { ...removal("d.com"), before: null, after: route("d.com") }]), 0)
  })
})
