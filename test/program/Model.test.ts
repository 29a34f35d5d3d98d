import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { newestLine, realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"
import { sequence, type Tally, troubles } from "./Model.ts"

/** First seed: another one every day, or MODEL_SEED to repeat a run. */
const firstSeed = Number(process.env["MODEL_SEED"] ?? Math.floor(Date.now() / 86_400_000) * 100_000)
/** Sequences in all, over the lines; the campaign asks for more. */
const sequences = Number(process.env["MODEL_SEQUENCES"] ?? 300)

describe("random sequences of verbs, restarts and foreign edits", () => {
  const share = Math.ceil(sequences / realLines.length)
  it.live.each(realLines.map((binary, index) => ({ line: binary.line, binary, seed: firstSeed + index * share })))(
    "database = files = HAProxy $line after every step",
    ({ binary, seed }) =>
      Effect.gen(function*() {
        console.log(`model: HAProxy ${binary.version}, seeds ${seed} to ${seed + share - 1}`)
        const world = yield* makeWorld({ binary: binary ?? newestLine, poolsFile: true })
        const tally: Tally = { steps: new Map() }
        for (let n = 0; n < share; n++) yield* sequence(world, seed + n, { steps: 8, troubles, tally })
        console.log(
          `model: HAProxy ${binary.version}: ${[...tally.steps].map(([what, times]) => `${times} ${what}`).join(", ")}`
        )
        for (
          const ending of [
            "done",
            "unchanged",
            "refused INVALID_INPUT",
            "refused CONFLICT",
            "refused NOT_FOUND",
            "trouble"
          ]
        ) {
          assert.isAbove(tally.steps.get(ending) ?? 0, 0, `the run never saw "${ending}"`)
        }
      }),
    300_000
  )
})
