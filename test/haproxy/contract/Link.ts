/** The link: lives, ends, and what an exchange says of each. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Info from "../../../src/haproxy/InfoCommands.ts"
import * as Maps from "../../../src/haproxy/MapCommands.ts"
import { accepted, isDown, isUp, linkState, run, until, withApi } from "./Harness.ts"
import type { MakeTarget, Target } from "./Target.ts"

const sessions = (target: Target) =>
  Effect.map(target.command("show sess"), (text) => text.match(/fe=GLOBAL/g)?.length ?? 0)

export const linkContract = (make: MakeTarget): void => {
  describe("link", () => {
    it.live("is up with the epoch that HAProxy states", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        for (const transport of Object.values(target.transports)) {
          yield* withApi(transport, (api) =>
            Effect.gen(function*() {
              const link = yield* api.link
              assert(isUp(link))
              const info = yield* run(api, Info.show)
              assert.deepStrictEqual(link.epoch, {
                pid: info.pid,
                startTime: info.startTime,
                version: info.version
              })
              assert.deepStrictEqual(link.capabilities.line, target.line)
              assert.isFalse(info.stopping)
              assert.isAtMost(Math.abs(info.startTime - Date.now() / 1000), 60)
              // One connection, whatever we do, beside the one that asks here.
              assert.strictEqual(yield* sessions(target), 2)
            }))
          yield* until("our session is gone", Effect.map(sessions(target), (count) => count === 1))
        }
      }))

    it.live("answers every fiber with its own answers", () =>
      Effect.gen(function*() {
        const keys = Array.from({ length: 200 }, (_, i) => `h${i}.test`)
        const target = yield* make({ domains: keys.map((key, i) => `${key} v${i}`) })
        yield* withApi(target.transports.tcp, (api) =>
          Effect.gen(function*() {
            const one = (key: string) =>
              Effect.map(
                api.exchange([
                  Maps.get(target.domainsMap, key),
                  Maps.get(target.domainsMap, "none"),
                  Maps.get(target.domainsMap, key)
                ]),
                (verdicts) => verdicts.map(accepted)
              )
            const answers = yield* Effect.forEach(keys, one, { concurrency: "unbounded" })
            answers.forEach((answer, i) => assert.deepStrictEqual(answer, [`v${i}`, null, `v${i}`]))
          }))
      }))

    it.live("runs one large exchange, far beyond every buffer, in order", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        const map = target.domainsMap
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const count = 10_000
            const adds = Array.from({ length: count }, (_, i) => Maps.add(map, `h${i}.test`, `pool_${i % 4 + 1}`))
            const gets = Array.from({ length: count }, (_, i) => Maps.get(map, `h${i}.test`))
            const verdicts = yield* api.exchange([...adds, ...gets])
            for (const verdict of verdicts.slice(0, count)) accepted(verdict)
            verdicts.slice(count).forEach((verdict, i) => assert.strictEqual(accepted(verdict), `pool_${i % 4 + 1}`))
          }))
      }), 30_000)

    it.live("is kept through HAProxy's idle timeout", () =>
      Effect.gen(function*() {
        const target = yield* make({ statsTimeout: "400ms" })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            yield* Effect.sleep(1_000)
            const link = yield* api.link
            assert(isUp(link))
            assert.strictEqual(link.connection, 1)
          }))
      }))

    it.live("says at once when HAProxy is gone, and comes back with a new epoch", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        for (const transport of Object.values(target.transports)) {
          yield* withApi(transport, (api) =>
            Effect.gen(function*() {
              const before = yield* api.link
              assert(isUp(before))
              yield* run(api, Maps.add(target.domainsMap, "b.test", "pool_1"))
              yield* target.kill
              const killed = performance.now()
              yield* linkState(api, isDown)
              // By the end of the connection, not by a question that got no answer.
              assert.isBelow(performance.now() - killed, 1_500)
              const lost = yield* Effect.flip(api.exchange([Info.show]))
              assert.strictEqual(lost._tag, "LinkLost")
              assert.isFalse(lost.sent)
              yield* target.start
              const after = yield* linkState(api, isUp)
              assert.isAbove(after.connection, before.connection)
              assert.notStrictEqual(after.epoch.pid, before.epoch.pid)
              // A new life: the map is that of the file again.
              assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "b.test")), null)
              assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "a.test")), "pool_1")
            }))
        }
      }), 30_000)

    it.live("ends an exchange that HAProxy dies under, as sent", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            yield* target.pause
            const fiber = yield* Effect.forkChild(Effect.flip(api.exchange([Maps.add(target.domainsMap, "a", "b")])))
            // The fiber has written its command once it waits for the answer.
            yield* Effect.yieldNow
            yield* target.kill
            const lost = yield* Fiber.join(fiber)
            assert.isTrue(lost.sent)
          }), { heartbeat: 1_000 })
      }))

    it.live("leaves a worker that is stopping after a reload", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const before = yield* api.link
            assert(isUp(before))
            yield* target.reload
            const after = yield* linkState(
              api,
              (state): state is Extract<typeof state, { _tag: "Up" }> =>
                isUp(state) && state.epoch.pid !== before.epoch.pid
            )
            const info = yield* run(api, Info.show)
            assert.isFalse(info.stopping)
            assert.strictEqual(info.pid, after.epoch.pid)
          }))
      }))

    it.live("shows a stopping worker to an exchange that is faster than the supervisor", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            yield* target.reload
            // The kept connection still works, on the worker that nobody is served by any more.
            const [added, info] = yield* api.exchange([Maps.add(target.domainsMap, "a.test", "pool_1"), Info.show])
            accepted(added)
            assert.isTrue(accepted(info).stopping)
            assert.include(yield* target.command(`get map ${target.domainsMap} a.test`), "found=no")
            yield* api.reset("the worker is stopping")
            yield* linkState(
              api,
              (state): state is Extract<typeof state, { _tag: "Up" }> => isUp(state) && state.connection === 2
            )
            assert.isFalse((yield* run(api, Info.show)).stopping)
          }), { heartbeat: 60_000 })
      }))

    it.live(
      "drops a paused HAProxy by the timeout; quiesced makes the next read the truth",
      () =>
        Effect.gen(function*() {
          const target = yield* make({})
          const map = target.domainsMap
          for (const transport of Object.values(target.transports)) {
            yield* withApi(transport, (api) =>
              Effect.gen(function*() {
                const adds = Array.from({ length: 3_000 }, (_, i) => Maps.add(map, `h${i}.test`, "pool_1"))
                yield* target.pause
                const lost = yield* Effect.flip(api.exchange(adds, { timeout: 100 }))
                assert.isTrue(lost.sent)
                assert.isFalse(isUp(yield* linkState(api, isDown)))
                // Nothing can be known while it is paused.
                assert.isFalse(
                  yield* Effect.match(api.quiesced(100), { onFailure: () => false, onSuccess: (quiet) => quiet })
                )
                yield* target.resume
                assert.isTrue(yield* api.quiesced(10_000))
                const first = (yield* run(api, Maps.list)).find((one) => one.path === map)!.entries
                // Had any buffered command been left, it would have run in turns with these.
                for (let i = 0; i < 50; i++) {
                  const now = (yield* run(api, Maps.list)).find((one) => one.path === map)!.entries
                  assert.strictEqual(now, first)
                }
                yield* run(api, Maps.clear(map))
              }))
          }
        }),
      30_000
    )

    it.live("goes on after a caller was interrupted, and loses no answer", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        const map = target.domainsMap
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            for (let i = 0; i < 50; i++) {
              const many = Array.from({ length: 500 }, () => Maps.get(map, "none.test"))
              const fiber = yield* Effect.forkChild(api.exchange(many))
              const queued = yield* Effect.forkChild(api.exchange([Maps.add(map, "never.test", "pool_1")]))
              yield* Effect.yieldNow
              yield* Fiber.interrupt(queued)
              yield* Fiber.interrupt(fiber)
              assert.strictEqual(yield* run(api, Maps.get(map, "a.test")), "pool_1")
            }
            const link = yield* api.link
            assert(isUp(link))
            assert.strictEqual(link.connection, 1)
            // What waited for its turn when its caller went away never left.
            assert.strictEqual(yield* run(api, Maps.get(map, "never.test")), null)
          }))
      }))

    it.live("refuses to write what could be read as something else, and stays up", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            for (
              const key of [
                "a;clear map x",
                "a\nclear map",
                "a b",
                "",
                "a\\",
                "é.test",
                "a<",
                "a#",
                "a\"",
                "a'",
                "$HOME"
              ]
            ) {
              const exit = yield* Effect.exit(api.exchange([Maps.add(target.domainsMap, key, "pool_1")]))
              assert(Exit.isFailure(exit))
              assert.isTrue(Cause.hasDies(exit.cause), JSON.stringify(key))
            }
            assert.strictEqual((yield* run(api, Maps.list)).find((one) => one.path === target.domainsMap)?.entries, 1)
            assert.strictEqual(((yield* api.link) as { connection?: number }).connection, 1)
          }))
      }))

    it.live("ends an exchange that waits for its turn by its own timeout, unsent", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            yield* target.pause
            const first = yield* Effect.forkChild(Effect.result(api.exchange([Info.show])))
            yield* Effect.yieldNow
            const lost = yield* Effect.flip(
              api.exchange([Maps.add(target.domainsMap, "a.test", "pool_1")], { timeout: 50 })
            )
            assert.isFalse(lost.sent)
            yield* target.resume
            assert.isTrue(Result.isSuccess(yield* Fiber.join(first)))
            assert.strictEqual(yield* run(api, Maps.get(target.domainsMap, "a.test")), null)
          }), { heartbeat: 60_000 })
      }))
  })
}
