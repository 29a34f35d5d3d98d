/**
 * A change that was sent and lost may be run by HAProxy after the comparison that followed its loss. (Seen once on a
 * busy machine: HAProxy 3.4 continued after a pause, and one of its threads ran the old buffer later than another one
 * answered the new connection.) No thread can be made to wait, so an old session that stays open stands for it, and
 * the test runs its command.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { connect } from "node:net"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { inSync, within } from "../support/ControlPlane.ts"
import { dumpDatabase, dumpRuntime } from "../support/Dump.ts"
import { becomes } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"

/** A session of the Runtime API that is older than any that follows. */
const openSession = (path: string) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<ReturnType<typeof connect>>((resolve, reject) => {
        const socket = connect(path)
        socket.once("error", reject)
        socket.once("data", () => resolve(socket))
        socket.write("prompt\n")
      })
    ),
    (socket) => Effect.sync(() => socket.destroy())
  )

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("what a lost connection ran late does not stay", () =>
    Effect.gen(function*() {
      // By itself the reconciler would not look again while this test runs.
      const world = yield* makeWorld({ binary, reconcileEvery: 3_600_000 })
      const { haproxy, run, site } = world
      yield* run(addDomain({ domain: "before.com", ip: "10.0.0.1" }))
      yield* openSession(site.runtimeSocket)
      yield* haproxy.pause
      const lost = yield* Effect.flip(run(within(700)(removeDomain({ domain: "before.com" }))))
      assert.strictEqual(lost.code, "OUTCOME_UNKNOWN")
      yield* haproxy.resume
      yield* run(Effect.orDie(inSync))
      yield* haproxy.command(`del map ${site.runtimeDomainsMap} before.com`)
      const maps = [site.runtimeDomainsMap, site.runtimeWildcardsMap]
      const database = yield* run(Effect.orDie(dumpDatabase))
      yield* Effect.promise(() =>
        becomes(
          "HAProxy is the database again",
          async () => await Effect.runPromise(dumpRuntime(site.runtimeSocket, maps)) === database
        )
      )
      assert.isTrue((yield* run(Effect.flatMap(PoolAllocator, (allocator) => allocator.sync))).inSync)
    }).pipe(Effect.scoped), 60_000)
})
