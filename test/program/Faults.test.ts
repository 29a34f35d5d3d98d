/**
 * Every step of every kind of write × everything that can go wrong between HAProxy and us. The steps are found by
 * running the write once and recording the commands, so a step that is added later is covered without a new test.
 * Two at a time are the campaign's (test/campaign/Pairs.ts).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { caseOf, type Planned, singles } from "./Happenings.ts"
import { undisturbed, writes } from "./Writes.ts"

describe.each(Object.keys(writes))("%s", (kind) => {
  it.live("holds the promises whatever happens at any step", () =>
    Effect.gen(function*() {
      const { steps } = yield* undisturbed([kind])
      assert.isAbove(steps.length, 0)
      const cases = singles(steps)
      const endings = new Map<string, number>()
      const one = (planned: Planned) => caseOf(kind, [planned])
      const late: Array<Planned> = []
      yield* Effect.forEach(cases, (planned) =>
        Effect.map(one(planned), ({ code, reached }) => {
          if (reached === 1) endings.set(code, (endings.get(code) ?? 0) + 1)
          else late.push(planned)
        }), { concurrency: 12, discard: true })
      // On a starved machine a call can reach its deadline before its step: such a case is run again, alone.
      for (const planned of late) {
        const { code, reached } = yield* one(planned)
        assert.strictEqual(reached, 1, `${planned.step.text}: the step was never reached, so nothing was tested`)
        endings.set(code, (endings.get(code) ?? 0) + 1)
      }
      console.log(
        `faults: ${kind}: ${cases.length} cases: ${[...endings].map(([code, n]) => `${n} ${code}`).join(", ")}`
      )
      // HAProxy coming back in time must lead to success, a refusal to a refusal: both have to occur.
      assert.isAbove(endings.get("done") ?? 0, 0)
      assert.isAbove(endings.get("HAPROXY_REFUSED") ?? 0, 0)
    }), 180_000)
})
