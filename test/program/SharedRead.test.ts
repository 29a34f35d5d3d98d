/** Reads that many wait for: how many there are, and that nobody gets an answer from before they asked. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { shared } from "../../src/program/SharedRead.ts"
import { until } from "../haproxy/contract/Harness.ts"

/** Reads that end when they are told to; `gates` has one for each that began. */
const makeReads = () => {
  const gates: Array<Deferred.Deferred<string, string>> = []
  const read = Effect.suspend(() => {
    const gate = Deferred.makeUnsafe<string, string>()
    gates.push(gate)
    return Deferred.await(gate)
  })
  return { gates, read }
}

const begun = (gates: ReadonlyArray<unknown>, count: number) =>
  until(`read ${count}`, Effect.sync(() => gates.length >= count))

describe("a shared read", () => {
  it.live("is one for all who asked before it began", () =>
    Effect.gen(function*() {
      const owner = {}
      const { gates, read } = makeReads()
      const ask = Effect.forkChild(shared(owner, "all", read))
      const first = yield* ask
      yield* begun(gates, 1)
      // These ask while the first read is going on: what it says may be from before they asked.
      const later = [yield* ask, yield* ask, yield* ask]
      const other = yield* Effect.forkChild(shared({}, "all", read))
      yield* begun(gates, 2)
      const otherKind = yield* Effect.forkChild(shared(owner, "other", read))
      yield* begun(gates, 3)
      yield* Deferred.succeed(gates[0]!, "first")
      assert.strictEqual(yield* Fiber.join(first), "first")
      yield* begun(gates, 4)
      yield* Deferred.succeed(gates[3]!, "later")
      assert.deepStrictEqual(yield* Effect.forEach(later, Fiber.join), ["later", "later", "later"])
      yield* Deferred.succeed(gates[1]!, "another HAProxy")
      assert.strictEqual(yield* Fiber.join(other), "another HAProxy")
      yield* Deferred.succeed(gates[2]!, "another kind")
      assert.strictEqual(yield* Fiber.join(otherKind), "another kind")
      assert.lengthOf(gates, 4)
      // Nothing is kept.
      const next = yield* ask
      yield* begun(gates, 5)
      yield* Deferred.succeed(gates[4]!, "next")
      assert.strictEqual(yield* Fiber.join(next), "next")
    }))

  it.live("goes on with the next when the one that reads fails or goes away", () =>
    Effect.gen(function*() {
      const owner = {}
      const { gates, read } = makeReads()
      const ask = Effect.forkChild(shared(owner, "all", read))
      const first = yield* ask
      yield* begun(gates, 1)
      const second = yield* ask
      const third = yield* ask
      yield* Deferred.fail(gates[0]!, "broken")
      assert.strictEqual(yield* Effect.flip(Fiber.join(first)), "broken")
      yield* begun(gates, 2)
      yield* Fiber.interrupt(second)
      yield* begun(gates, 3)
      yield* Deferred.succeed(gates[2]!, "third")
      assert.strictEqual(yield* Fiber.join(third), "third")
      assert.lengthOf(gates, 3)
    }))
})
