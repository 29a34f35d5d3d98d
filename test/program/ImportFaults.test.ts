/**
 * A large import, which goes live by a swap of whole maps, and everything that can go wrong at each of its steps: after
 * the answer all of it is there or nothing, and database, files and HAProxy say the same.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { listDomains } from "../../src/program/DomainList.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { importDomains } from "../../src/program/Import.ts"
import { Fault, type FaultOptions } from "../../src/testing.ts"
import { makeFakeWorld } from "../support/FakeWorld.ts"

/** More edits than are applied one by one. */
const count = 4_400

const rows = Array.from({ length: count }, (_, index) => [
  index + 2,
  index === 0
    ? { domain: "owner.example.com", servers: "10.0.0.1:80" }
    : { domain: `n${index}.example.com`, shares_with: "owner.example.com" }
])

const steps = ["show map ", "set server", "show servers state", "prepare map", "add map @", "commit map"] as const

const faults: ReadonlyArray<readonly [name: string, fault: Fault, options?: FaultOptions]> = [
  ["is refused once", Fault.refuse("no.")],
  ["is refused always", Fault.refuse("no."), { times: Number.POSITIVE_INFINITY }],
  ["is done and its answer lost", Fault.loseAnswer],
  ["is not done and the connection lost", Fault.dropBefore],
  ["pretends", Fault.pretend("\n"), { times: Number.POSITIVE_INFINITY }]
]

const cases = steps.flatMap((step) => faults.map(([name, fault, options]) => ({ step, name, fault, options })))

describe("a large import", () => {
  it.live("is whole or not at all, whatever happens at any step", () =>
    Effect.gen(function*() {
      const endings = new Map<string, number>()
      yield* Effect.forEach(cases, ({ fault, name, options, step }) =>
        Effect.gen(function*() {
          const what = `${step} ${name}`
          const world = yield* makeFakeWorld()
          yield* world.startPlane
          yield* world.run(addDomain({ domain: "there.example.net", ip: "10.0.0.9" }))
          const before = yield* world.consistent(what)
          const injected = yield* world.fake.inject(step, fault, options)
          const result = yield* Effect.result(world.run(importDomains({ rows })))
          assert.isAbove(injected.hits, 0, `${what}: never reached`)
          yield* world.fake.clearFaults
          const after = yield* world.consistent(what)
          const code = Result.isSuccess(result) ? "done" : result.failure.code
          endings.set(code, (endings.get(code) ?? 0) + 1)
          if (Result.isSuccess(result)) {
            assert.strictEqual(result.success.added, count, what)
            assert.strictEqual((yield* world.run(listDomains({}))).total, count + 1, what)
          } else assert.strictEqual(after, before, `${what}: ${code}`)
          // Once all is well it is taken, or is there.
          const again = yield* world.run(importDomains({ rows }))
          assert.strictEqual(again.changed, Result.isFailure(result), what)
          yield* world.consistent(what)
        }).pipe(Effect.scoped), { concurrency: 4, discard: true })
      console.log(`faults: import: ${[...endings].map(([code, n]) => `${n} ${code}`).join(", ")}`)
      assert.isAbove(endings.get("done") ?? 0, 0)
      assert.isAbove(endings.get("HAPROXY_REFUSED") ?? 0, 0)
    }), 120_000)
})
