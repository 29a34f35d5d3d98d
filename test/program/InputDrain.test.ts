/** Waiting for servers to drain, and following what outlives a call. Real sessions on a real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { LongestCall } from "../../src/program/Operations.ts"
import { startHeldOrigin } from "../support/HeldOrigin.ts"
import { errorOf, makeWatchedWorld, quiet, type WatchedWorld } from "../support/WatchedWorld.ts"

const domain = "a.example"

/** a.example with a server that holds what it gets in slot 1, and one that nobody asks in slot 2. */
const makeHeld = Effect.gen(function*() {
  const world = yield* makeWatchedWorld()
  const origin = yield* startHeldOrigin
  yield* world.good("haproxy_add_domain", { domain, ip: "127.0.0.1", http_port: origin.port })
  yield* world.good("haproxy_add_server", { domain, ip: "10.255.255.1" })
  yield* world.good("haproxy_set_server_state", { domain, slot: 2, state: "maint" })
  const hold = (count: number) =>
    Effect.forEach(
      Array.from({ length: count }),
      () => origin.hold(world.haproxy.site.httpPort, domain),
      { discard: true }
    )
  return { world, origin, hold }
})

/** Waits until HAProxy has been asked so many times more for its sessions. */
const looked = Effect.fnUntraced(function*(world: WatchedWorld, times: number) {
  const asked = () => world.sent.filter((command) => command.startsWith("show stat")).length
  const before = asked()
  for (const end = Date.now() + 10_000; asked() < before + times; yield* Effect.sleep(5)) {
    if (Date.now() > end) throw new Error("nobody looks at the sessions")
  }
})

describe("wait_drain", () => {
  it.live("is refused for a server that goes on taking requests", () =>
    quiet(Effect.gen(function*() {
      const { world } = yield* makeHeld
      const ready = yield* world.bad("haproxy_wait_drain", { domain, slot: 1 }, "CONFLICT")
      assert.match(ready.message, /Slot 1 of pool_1 is ready and goes on taking requests/)
      assert.match(ready.hint, /haproxy_set_server_state/)
      const empty = yield* world.bad("haproxy_wait_drain", { domain, slot: 3 }, "NOT_FOUND")
      assert.deepStrictEqual(empty.valid_values, ["1", "2"])
      yield* world.good("haproxy_add_domain", { domain: "empty.example" })
      const none = yield* world.bad("haproxy_wait_drain", { domain: "empty.example" }, "CONFLICT")
      assert.match(none.message, /empty\.example has no servers/)
    })))

  it.live("says what is left at the end of the time, without an error, and reports progress", () =>
    quiet(Effect.gen(function*() {
      const { hold, origin, world } = yield* makeHeld
      // Nothing open: drained at once, all servers that leave.
      const idle = yield* world.good("haproxy_wait_drain", { domain, timeout: 5 })
      assert.deepInclude(idle, { drained: true, remaining: [] })
      assert.isBelow(idle["waited_ms"] as number, 2_000)

      yield* hold(2)
      yield* world.good("haproxy_set_server_state", { domain, slot: 1, state: "drain" })
      const progress: Array<string> = []
      const result = yield* world.call("haproxy_wait_drain", { domain, slot: 1, timeout: 1 }, {
        progress: (done, total, message) => Effect.sync(() => void progress.push(`${done}/${total} ${message}`))
      })
      assert.isFalse(result.isError, result.text)
      const answer = result.structuredContent
      assert.deepInclude(answer, { domain, drained: false, remaining: [{ slot: 1, current_sessions: 2 }] })
      assert.match(String(answer["summary"]), /^2 sessions are left after 1 s$/)
      assert.notProperty(answer, "operation_id")
      assert.isAtLeast(answer["waited_ms"] as number, 1_000)
      assert.isAtLeast(progress.length, 2)
      assert.strictEqual(progress[0], "0/2 2 sessions are left")

      // The sessions end while somebody waits.
      const waiting = yield* Effect.forkChild(world.good("haproxy_wait_drain", { domain, timeout: 20 }))
      yield* looked(world, 1)
      yield* origin.release
      const drained = yield* Fiber.join(waiting)
      assert.deepInclude(drained, { drained: true, remaining: [] })
      assert.match(String(drained["summary"]), /^All 2 servers of a\.example drained after \d+ ms$/)
    })))

  it.live("longer than a call may last it goes on, and is followed by its id", () =>
    quiet(Effect.gen(function*() {
      const { hold, origin, world } = yield* makeHeld
      yield* hold(1)
      yield* world.good("haproxy_set_server_state", { domain, slot: 1, state: "drain" })
      const progress: Array<string> = []
      const result = yield* world.call("haproxy_wait_drain", { domain, slot: 1, timeout: 30 }, {
        progress: (_done, _total, message) => Effect.sync(() => void progress.push(message))
      }).pipe(Effect.provideService(LongestCall, 500))
      const begun = result.structuredContent
      assert.deepInclude(begun, { drained: false, remaining: [{ slot: 1, current_sessions: 1 }] })
      assert.match(String(begun["summary"]), /^1 session is left; still draining: follow it with haproxy_operation$/)
      const operation_id = begun["operation_id"]
      assert.match(String(operation_id), /^op_/)

      const running = yield* world.good("haproxy_operation", { operation_id })
      assert.deepInclude(running, {
        tool: "haproxy_wait_drain",
        status: "running",
        finished_at: null,
        result: null,
        failure: null
      })
      // Its caller is gone: nobody is told of progress any more.
      const heard = progress.length
      const following = yield* Effect.forkChild(world.good("haproxy_operation", { operation_id, wait: 20 }))
      yield* looked(world, 2)
      yield* origin.release
      const done = yield* Fiber.join(following)
      assert.deepInclude(done, { status: "done", failure: null })
      assert.deepInclude(done["result"], { drained: true, remaining: [] })
      assert.isString(done["finished_at"])
      assert.strictEqual(progress.length, heard)
      // It can be asked again.
      assert.deepStrictEqual(yield* world.good("haproxy_operation", { operation_id }), done)
    })))

  it.live("within a call's length it answers itself, also when it was begun as an operation", () =>
    quiet(Effect.gen(function*() {
      const { world } = yield* makeHeld
      const result = yield* world.call("haproxy_wait_drain", { domain, slot: 2, timeout: 3_600 })
      assert.deepInclude(result.structuredContent, { drained: true })
      assert.notProperty(result.structuredContent, "operation_id")
    })))
})

describe("haproxy_operation", () => {
  it.live("knows operations and changes, and nothing else", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld()
      const added = yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
      const change = yield* world.good("haproxy_operation", { operation_id: added["change_id"], wait: 1 })
      assert.deepInclude(change, { tool: "haproxy_add_domain", status: "applied", result: null, failure: null })
      assert.match(String(change["summary"]), /^It is done: a\.example is routed to pool_1/)
      // Changes are remembered over a restart.
      yield* world.restartPlane()
      assert.deepStrictEqual(yield* world.good("haproxy_operation", { operation_id: added["change_id"] }), change)
      for (const operation_id of ["chg_nope", "op_nope", "", "a.example"]) {
        const error = yield* world.bad("haproxy_operation", { operation_id }, "NOT_FOUND")
        assert.match(error.message, new RegExp(`has the id "${operation_id}"$`))
        assert.match(error.hint, /change_id of an earlier answer/)
      }
    })))

  it.live("tells what became of a change whose outcome was not known", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld()
      yield* world.good("haproxy_add_domain", { domain: "first.example", ip: "10.0.0.1" })
      const before = yield* world.consistent
      yield* world.haproxy.pause
      const result = yield* world.call("haproxy_add_domain", { domain, ip: "10.0.0.2" }, { timeout: 900 })
      yield* world.haproxy.resume
      const error = errorOf(result)
      assert.strictEqual(error.code, "OUTCOME_UNKNOWN")
      assert.isTrue(error.retryable)
      assert.match(error.hint, /haproxy_operation/)
      const change = yield* world.good("haproxy_operation", { operation_id: error.change_id, wait: 10 })
      assert.deepInclude(change, { tool: "haproxy_add_domain", status: "reverted" })
      assert.match(String(change["summary"]), /^It was taken back: /)
      assert.strictEqual(yield* world.consistent, before)
    })))
})
