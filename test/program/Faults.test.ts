/**
 * Every step of every kind of write × everything that can go wrong between HAProxy and us. The steps are found by
 * running the write once and recording the commands, so a step that is added later is covered without a new test.
 * Two at a time are the campaign's (test/campaign/Pairs.ts).
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { caseOf, singles } from "./Happenings.ts"
import { undisturbed, writes } from "./Writes.ts"

describe.each(Object.keys(writes))("%s", (kind) => {
  it.live("holds the promises whatever happens at any step", () =>
    Effect.gen(function*() {
      const { steps } = yield* undisturbed([kind])
      assert.isAbove(steps.length, 0)
      const cases = singles(steps)
      const endings = new Map<string, number>()
      yield* Effect.forEach(cases, (planned) =>
        Effect.map(caseOf(kind, [planned]), ({ code, reached }) => {
          assert.strictEqual(reached, 1, `${planned.step.text}: the step was never reached, so nothing was tested`)
          endings.set(code, (endings.get(code) ?? 0) + 1)
        }), { concurrency: 12, discard: true })
      console.log(
        `faults: ${kind}: ${cases.length} cases: ${[...endings].map(([code, n]) => `${n} ${code}`).join(", ")}`
      )
      // HAProxy coming back in time must lead to success, a refusal to a refusal: both have to occur.
      assert.isAbove(endings.get("done") ?? 0, 0)
      assert.isAbove(endings.get("HAPROXY_REFUSED") ?? 0, 0)
    }), 180_000)
})
