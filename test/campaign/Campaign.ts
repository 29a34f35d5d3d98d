/**
 * A campaign: one kind of trouble, case after case from seeds, for as long as asked. What a case does is repeatable by
 * its seed as far as the trouble is (a moment in time is not, the choices are).
 *
 * A broken promise is a defect of the case, with what led to it in its message; a case that does not end by `limit` is
 * one too. Nothing else counts as a finding.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What happened in a case, for the table of results: how often each thing was seen. */
export type Tally = Readonly<Record<string, number>>

/** A campaign that is ready to run in this process. */
export interface Runner {
  readonly run: (seed: number) => Effect.Effect<Tally>
  /** Where cheap: the same seed cut short as far as it still fails; null when it fails no more. */
  readonly shrink?: (seed: number) => Effect.Effect<string | null>
}

export interface Campaign {
  readonly name: string
  /** One line: what is done, and what must hold. */
  readonly title: string
  /** What is counted: sequences, kills. */
  readonly unit: string
  /** Units of one case. */
  readonly perCase: number
  /** Units of the long form; with `table`, all of the table instead. */
  readonly full: number
  /** Units of the short form, which runs in CI (Campaign.test.ts); 0 where a test of its own is that. */
  readonly short: number
  /** Where all cases can be listed: how many there are. Seeds are then the numbers from 0. */
  readonly table?: Effect.Effect<number>
  /** Minutes that the long form may take on two quiet cores. */
  readonly minutes: number
  /** Cases side by side in one process. */
  readonly concurrency: number
  /** Milliseconds that one case may take. */
  readonly limit: number
  /** A full run in which one of these never occurred has tested nothing. */
  readonly mustSee: ReadonlyArray<string>
  /** Can it run on this machine? Says aloud what stays untested when not. */
  readonly canRun?: () => boolean
  /** What must hold of all cases of a long run together: what is wrong, or null. Not asked in CI, where other tests take their time. */
  readonly holds?: (tally: Tally) => string | null
  /** Its files may lie in memory: the time that the disk takes changes nothing of what is tested. */
  readonly inMemory: boolean
  /** Prepares what the cases share. */
  readonly open: Effect.Effect<Runner, never, Scope.Scope>
}

/** How a case ended. */
export type Verdict =
  | { readonly _tag: "Held"; readonly tally: Tally }
  | { readonly _tag: "Broken"; readonly message: string }

/** What one text has and another has not, line by line: two dumps differ in few lines of many. */
const difference = (found: string, expected: string): string => {
  const lacking = (of: string, from: string) => {
    const there = new Set(from.split("\n"))
    return of.split("\n").filter((line) => !there.has(line)).slice(0, 20)
  }
  return [
    ...lacking(found, expected).map((line) => `  found, not expected: ${line}`),
    ...lacking(expected, found).map((line) => `  expected, not found: ${line}`)
  ].join("\n")
}

/** A broken promise says all in its message; anything else is best found by its stack. */
const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.name !== "AssertionError") return String(error.stack)
  const { actual, expected } = error as { readonly actual?: unknown; readonly expected?: unknown }
  return typeof actual === "string" && typeof expected === "string" && expected.length > 40
    ? `${error.message}\n${difference(actual, expected)}`
    : error.message
}

/** Runs a case to its verdict; never fails. */
export const judge = (campaign: Campaign, runner: Runner, seed: number): Effect.Effect<Verdict> =>
  runner.run(seed).pipe(
    Effect.timeoutOrElse({
      duration: campaign.limit,
      orElse: () => Effect.die(new Error(`seed ${seed}: not over within ${campaign.limit} ms`))
    }),
    Effect.map((tally): Verdict => ({ _tag: "Held", tally })),
    Effect.catchDefect((defect) => Effect.succeed<Verdict>({ _tag: "Broken", message: messageOf(defect) }))
  )

/** Counts into a tally. */
export const counting = (tally: Record<string, number>) => (what: string, times = 1): void => {
  tally[what] = (tally[what] ?? 0) + times
}

/** Adds a tally to another. */
export const addTally = (into: Map<string, number>, tally: Tally): void => {
  for (const [what, times] of Object.entries(tally)) into.set(what, (into.get(what) ?? 0) + times)
}
