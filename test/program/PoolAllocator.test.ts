import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { operation } from "../../src/program/Operations.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { Fault } from "../../src/testing.ts"
import { within } from "../support/ControlPlane.ts"
import { dumpDatabase } from "../support/Dump.ts"
import { type FakeWorld, makeFakeWorld } from "../support/FakeWorld.ts"

const codeOf = <A, E extends { readonly code: string }>(exit: Exit.Exit<A, E>) => {
  if (Exit.isSuccess(exit)) return "done"
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" ? error.value.code : "died"
}

const queued = Effect.flatMap(PoolAllocator, (allocator) => allocator.queued)

/** Runs `meanwhile` while a write is held in the middle by HAProxy; then lets it go. */
const whileHeld = <A, E>(world: FakeWorld, meanwhile: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const from = world.fake.commands.length
    yield* world.fake.inject("add map", Fault.hang({ run: true }))
    const held = yield* Effect.forkChild(Effect.exit(world.run(addDomain({ domain: "held.com" }))))
    yield* world.fake.awaitCommand("add map", { after: from })
    const result = yield* meanwhile
    yield* world.fake.dropConnections
    return { result, held: codeOf(yield* Fiber.join(held)) }
  })

const begun = Effect.gen(function*() {
  const world = yield* makeFakeWorld({ pools: 20 })
  yield* world.startPlane
  yield* world.run(addDomain({ domain: "base.com", ip: "10.0.0.1" }))
  return world
})

describe("the actor", () => {
  it.live("takes waiting writes together: one commit, a verdict each, and collisions one after the other", () =>
    Effect.gen(function*() {
      const world = yield* begun
      const names = Array.from({ length: 200 }, (_, n) => `s${n}.example.com`)
      const { held, result } = yield* whileHeld(
        world,
        Effect.gen(function*() {
          const writes = yield* Effect.forEach(
            names,
            (domain) => Effect.forkChild(world.run(addDomain({ domain, share_with: "base.com" })))
          )
          const bad = yield* Effect.forkChild(
            Effect.exit(world.run(addDomain({ domain: "x.com", share_with: "nobody.com" })))
          )
          // The same name twice with different wishes: the second decides on what the first left.
          const first = yield* Effect.forkChild(
            Effect.exit(world.run(addDomain({ domain: "twice.com", ip: "10.0.0.2" })))
          )
          const second = yield* Effect.forkChild(
            Effect.exit(world.run(addDomain({ domain: "twice.com", ip: "10.0.0.3" })))
          )
          while ((yield* world.run(queued)) < names.length + 3) yield* Effect.yieldNow
          return { writes, bad, first, second }
        })
      )
      assert.strictEqual(held, "done")
      const answers = yield* Effect.forEach(result.writes, Fiber.join)
      assert.strictEqual(new Set(answers.map((answer) => answer.revision)).size, 1, "they did not share one commit")
      assert.strictEqual(new Set(answers.map((answer) => answer.change_id)).size, names.length)
      assert.strictEqual(codeOf(yield* Fiber.join(result.bad)), "NOT_FOUND")
      assert.deepStrictEqual([codeOf(yield* Fiber.join(result.first)), codeOf(yield* Fiber.join(result.second))], [
        "done",
        "CONFLICT"
      ])
      yield* world.consistent()
    }))

  it.live("drops a caller that went away before its turn, and finishes one whose turn had begun", () =>
    Effect.gen(function*() {
      const world = yield* begun
      const { held } = yield* whileHeld(
        world,
        Effect.gen(function*() {
          const waiting = yield* Effect.forkChild(world.run(addDomain({ domain: "gone.com" })))
          while ((yield* world.run(queued)) < 1) yield* Effect.yieldNow
          yield* Fiber.interrupt(waiting)
        })
      )
      assert.strictEqual(held, "done")
      const from = world.fake.commands.length
      yield* world.fake.inject("add map", Fault.slow(3))
      const begunWrite = yield* Effect.forkChild(world.run(addDomain({ domain: "begun.com" })))
      yield* world.fake.awaitCommand("show map", { after: from })
      yield* Fiber.interrupt(begunWrite)
      const dump = yield* world.consistent()
      assert.notMatch(dump, /gone\.com/)
      assert.match(dump, /map begun\.com/)
    }))

  it.live("answers BUSY at once when the mailbox is full, and nothing of it is written", () =>
    Effect.gen(function*() {
      const world = yield* begun
      const { result } = yield* whileHeld(
        world,
        Effect.gen(function*() {
          const fibers = yield* Effect.forEach(Array.from({ length: 2_060 }, (_, n) => n), (n) =>
            Effect.forkChild(
              Effect.exit(world.run(addDomain({ domain: `b${n}.example.com`, share_with: "base.com" })))
            ))
          while ((yield* world.run(queued)) < 2_048) yield* Effect.yieldNow
          return fibers
        })
      )
      const codes = (yield* Effect.forEach(result, Fiber.join)).map(codeOf)
      assert.strictEqual(codes.filter((code) => code === "BUSY").length, 12)
      assert.strictEqual(codes.filter((code) => code === "done").length, 2_048)
      const dump = yield* world.consistent()
      assert.strictEqual(dump.match(/^map b\d+\.example/gm)?.length, 2_048)
    }), 60_000)

  it.live("ends every call by its deadline, and says why", () =>
    Effect.gen(function*() {
      const world = yield* begun
      const before = yield* world.run(Effect.orDie(dumpDatabase))
      const { result } = yield* whileHeld(world, Effect.exit(world.run(within(300)(addDomain({ domain: "late.com" })))))
      assert.strictEqual(codeOf(result), "TIMEOUT")
      yield* world.run(removeDomain({ domain: "held.com" }))
      yield* world.fake.kill
      const down = yield* Effect.exit(world.run(within(300)(addDomain({ domain: "down.com" }))))
      assert.strictEqual(codeOf(down), "HAPROXY_UNREACHABLE")
      // Reads go on.
      assert.strictEqual(yield* world.run(Effect.orDie(dumpDatabase)), before)
      yield* world.fake.start
      yield* world.consistent()
    }))

  it.live("tells later what became of a change whose outcome was unknown", () =>
    Effect.gen(function*() {
      const world = yield* begun
      yield* world.fake.inject("add map", Fault.hang({ run: true }))
      const error = yield* Effect.flip(world.run(within(700)(addDomain({ domain: "maybe.com" }))))
      assert.strictEqual(error.code, "OUTCOME_UNKNOWN")
      yield* world.fake.dropConnections
      const dump = yield* world.consistent()
      const followed = yield* world.run(operation({ operation_id: error.changeId ?? "" }))
      assert.strictEqual(followed.status, dump.includes("maybe.com") ? "applied" : "reverted")
    }))
})
