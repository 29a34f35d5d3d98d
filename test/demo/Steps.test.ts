import { describe, expect, it, vi } from "vitest"
import { NotProved, prove } from "../../scripts/demo/DemoFailure.ts"
import { makeScreen } from "../../scripts/demo/Screen.ts"
import { runSteps, type Step, summary } from "../../scripts/demo/Steps.ts"

const paper = () => {
  let text = ""
  const stream = { write: (more: string) => text += more } as unknown as NodeJS.WriteStream
  return { screen: makeScreen(stream, {}), text: () => text }
}
const never = new Promise<never>(() => {})
const good = (proved: string): Step => ({ doing: `doing ${proved}`, run: async () => ({ proved, details: ["why"] }) })

describe("the steps of the demo", () => {
  it("are numbered lines and a summary, when all are proved", async () => {
    const { screen, text } = paper()
    const outcome = await runSteps([good("one"), good("two")], screen, never)
    expect(summary(outcome)).toBe("2 passed, 0 failed")
    expect(text()).toMatch(/^ 1 ✓ one +\d+ ms\n {5}why\n 2 ✓ two +\d+ ms\n {5}why\n$/)
  })

  it("end at the first that is not proved", async () => {
    const { screen, text } = paper()
    const bad: Step = {
      doing: "lying",
      run: async () => {
        prove(1 + 1 === 3, "one and one are three", 2)
        return { proved: "never" }
      }
    }
    const outcome = await runSteps([good("one"), bad, good("three")], screen, never)
    expect(summary(outcome)).toBe("1 passed, 1 failed, 1 not run")
    expect(outcome.cause).toBeInstanceOf(NotProved)
    expect((outcome.cause as Error).message).toBe("not so: one and one are three; seen: 2")
    expect(text()).toContain(" 2 ✗ lying")
    expect(text()).not.toContain("three")
  })

  it("end when something outside ends the tour, although the step itself never would", async () => {
    const { screen } = paper()
    const stuck: Step = { doing: "waiting", run: () => never }
    const outcome = await runSteps([stuck], screen, Promise.reject(new Error("HAProxy ended by itself")))
    expect(summary(outcome)).toBe("0 passed, 1 failed")
    expect((outcome.cause as Error).message).toBe("HAProxy ended by itself")
  })

  it("say what takes long, without control characters where there is no terminal", async () => {
    vi.useFakeTimers()
    try {
      const { screen, text } = paper()
      const { promise, resolve } = Promise.withResolvers<void>()
      const slow: Step = {
        doing: "a",
        run: async (note) => {
          note("fetching")
          await promise
          return { proved: "b" }
        }
      }
      const outcome = runSteps([slow], screen, never)
      await vi.advanceTimersByTimeAsync(12_500)
      resolve()
      await outcome
      expect(text().match(/… fetching \(\d+ s\)\n/g)).toHaveLength(2)
      // oxlint-disable-next-line no-control-regex
      expect(text()).not.toMatch(/[\u001b\r]/)
    } finally {
      vi.useRealTimers()
    }
  })
})
