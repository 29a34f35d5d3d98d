/** A pod: one life of the serving process with a local disk that goes with it. */
import * as Effect from "effect/Effect"
import type { FarSite } from "../lab/FarSite.ts"
import type { Env } from "../support/Settings.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import type { Tally } from "./Campaign.ts"
import { Life, type Shipped } from "./Life.ts"

/** Starts one on an empty disk; both are gone, the process by `kill -9`, when the scope ends. */
export const pod = (program: Shipped, far: FarSite, env: Env = {}) =>
  Effect.gen(function*() {
    const disk = yield* temporaryFolder("pod")
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Life(program, { ...far.env(disk), ...env }, 240_000)),
      (one) => Effect.promise(() => one.kill())
    )
  })

/** Milliseconds in which 99 of 100 starts must be ready. */
const limit = 3_000
const step = 250
const late = "ready later than that"

/** The bin of a start that took so long, for a tally. */
export const startBin = (ms: number): string => {
  if (ms > limit) return late
  return `ready in ${(Math.ceil(ms / step) * step / 1000).toFixed(2)} s`
}

/** What is wrong with the starts of a tally: more than one of a hundred was late. */
export const lateStarts = (tally: Tally): string | null => {
  const all = Object.entries(tally).filter(([what]) => what.startsWith("ready ")).reduce(
    (sum, [, times]) => sum + times,
    0
  )
  const wrong = tally[late] ?? 0
  return wrong > all / 100 ? `${wrong} of ${all} starts were not ready within ${limit / 1000} s` : null
}
