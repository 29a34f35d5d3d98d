/**
 * Every step of a change of certificates × everything that can go wrong between HAProxy and us: what was refused has not
 * happened, what was acknowledged is so, and what was unknown becomes what the change log says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { operation } from "../../../src/program/Operations.ts"
import { within } from "../../support/ControlPlane.ts"
import { calm, happenings, type Planned, singles } from "../Happenings.ts"
import { stepHere } from "../Steps.ts"
import { compared } from "./support/Issuer.ts"
import { begin, folderOf, same, undisturbed, writes, writesWorld } from "./support/Writes.ts"

/** Milliseconds a caller waits; long enough for a reconnect, short enough for a test. */
const patience = 1_200

const caseOf = (kind: string, planned: Planned, before: string, after: string) =>
  Effect.gen(function*() {
    const note = `${kind}: "${planned.step.text}" (${planned.step.nth}) ${planned.happening}`
    const world = yield* writesWorld
    yield* begin(world)
    const step = stepHere(planned.step, folderOf(world))
    const happening = happenings[planned.happening]!
    const from = world.fake.commands.length
    yield* happening.prepare(world, step)
    const watcher = yield* Effect.forkChild(happening.meanwhile?.(world, step) ?? Effect.void)
    // It must be listening before the write begins.
    yield* Effect.yieldNow
    const began = performance.now()
    const exit = yield* Effect.exit(world.run(within(patience)(writes[kind]!)))
    assert.isBelow(performance.now() - began, patience + 1_000, `${note}: the call did not end by its deadline`)
    yield* Fiber.interrupt(watcher)
    const seen = world.fake.commands.slice(from).filter(({ text }) => text === step.text).length
    if (Exit.isSuccess(exit)) assert.strictEqual(yield* same(world, note), after, `${note}: acknowledged, yet not so`)
    const error = Exit.isSuccess(exit) ? null : Option.getOrNull(Exit.findErrorOption(exit))
    assert(Exit.isSuccess(exit) || error !== null, `${note}: the write died: ${String(exit)}`)
    const code = error === null ? "done" : error.code

    yield* calm(world, [{ ...planned, step }])
    yield* world.run(Effect.orDie(within(30_000)(compared)))
    const now = yield* same(world, note)
    if (code === "OUTCOME_UNKNOWN") {
      const change = error?.changeId ?? ""
      const { status } = yield* world.run(Effect.orDie(operation({ operation_id: change, wait: 5 })))
      assert.strictEqual(now, status === "applied" ? after : before, `${note}: the log says ${status}`)
      assert.include(["applied", "reverted"], status, note)
    } else {
      assert.include(["done", "HAPROXY_REFUSED", "HAPROXY_UNREACHABLE"], code, note)
      assert.strictEqual(now, code === "done" ? after : before, `${note}: answered ${code}, yet it is not so`)
    }
    return { code, reached: seen >= step.nth }
  }).pipe(Effect.scoped)

describe.each(Object.keys(writes))("%s", (kind) => {
  it.live("holds the promises whatever happens at any step", () =>
    Effect.gen(function*() {
      const { after, before, steps } = yield* undisturbed(kind)
      // Looks at the beginning are the same for all; the last one is what an answer rests on. `abort` finds nothing.
      const last = steps.findLast(({ text }) => text.startsWith("show"))
      const chosen = steps.filter((step) => !/^(?:show|abort) /.test(step.text) || step === last)
      const endings = new Map<string, number>()
      const late: Array<Planned> = []
      yield* Effect.forEach(singles(chosen), (planned) =>
        Effect.map(caseOf(kind, planned, before, after), ({ code, reached }) => {
          if (reached) {
            endings.set(code, (endings.get(code) ?? 0) + 1)
          } else late.push(planned)
        }), { concurrency: 10, discard: true })
      // On a starved machine a call can reach its deadline before its step: such a case is run again, alone.
      for (const planned of late) {
        const { code, reached } = yield* caseOf(kind, planned, before, after)
        assert.isTrue(reached, `${planned.step.text}: the step was never reached, so nothing was tested`)
        endings.set(code, (endings.get(code) ?? 0) + 1)
      }
      console.log(`faults: ${kind}: ${
        [...endings].map(([code, n]) => `${n} ${code}`).join(", ")
      }`)
      assert.isAbove(endings.get("done") ?? 0, 0)
      assert.isAbove(endings.get("HAPROXY_REFUSED") ?? 0, 0)
    }), 180_000)
})
