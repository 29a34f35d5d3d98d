/**
 * Runs the steps one after the other, up to the first that is not proved: the later ones stand on it. Nothing waits
 * for ever: every step ends when the time of the whole tour is over, when a program that it needs ends by itself, or
 * when the person stops the demo.
 */
import type { Screen } from "./Screen.ts"

/** What a step showed. */
export interface Proof {
  /** One line: what is so. */
  readonly proved: string
  /** Lines beneath it. */
  readonly details?: ReadonlyArray<string>
}

export interface Step {
  /** What it does, for the time in which it does it. */
  readonly doing: string
  /** Proves something or throws. `note` tells what it is at. */
  readonly run: (note: (text: string) => void) => Promise<Proof>
}

export interface Outcome {
  readonly passed: number
  readonly failed: number
  /** Steps that were not begun, because an earlier one failed. */
  readonly skipped: number
  /** Why the failed one failed. */
  readonly cause?: unknown
}

/**
 * Runs them. `interrupted` rejects when something outside ends the tour: the step under way then counts as failed
 * with that reason.
 */
export const runSteps = async (
  steps: ReadonlyArray<Step>,
  screen: Screen,
  interrupted: Promise<never>
): Promise<Outcome> => {
  for (const [index, step] of steps.entries()) {
    const began = performance.now()
    screen.begin(step.doing)
    try {
      const work = step.run(screen.note)
      work.catch(() => {})
      const proof = await Promise.race([work, interrupted])
      screen.done(index + 1, proof.proved, proof.details ?? [], performance.now() - began)
    } catch (cause) {
      screen.failed(index + 1, step.doing, performance.now() - began)
      return { passed: index, failed: 1, skipped: steps.length - index - 1, cause }
    }
  }
  return { passed: steps.length, failed: 0, skipped: 0 }
}

/** `12 passed, 0 failed`, and what was not tried. */
export const summary = ({ failed, passed, skipped }: Outcome): string =>
  `${passed} passed, ${failed} failed${skipped === 0 ? "" : `, ${skipped} not run`}`
