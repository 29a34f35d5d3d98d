/** A campaign's short form, as the tests run it. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { addTally, type Campaign, judge } from "./Campaign.ts"
import { repeat } from "./Report.ts"

/** Another one every day, or CAMPAIGN_SEED to repeat a run. */
const seed = Number(process.env["CAMPAIGN_SEED"] ?? Math.floor(Date.now() / 86_400_000) * 1_000)

/** Runs it; a broken promise fails with the command that repeats it. */
export const short = (campaign: Campaign) =>
  Effect.gen(function*() {
    const runner = yield* campaign.open
    const tally = new Map<string, number>()
    const cases = Math.ceil(campaign.short / campaign.perCase)
    yield* Effect.forEach(Array.from({ length: cases }, (_, n) => seed + n), (one) =>
      Effect.map(judge(campaign, runner, one), (verdict) => {
        if (verdict._tag === "Held") {
          addTally(tally, verdict.tally)
        } else assert.fail(`${verdict.message}\n${repeat(campaign.name, one, campaign.perCase)}`)
      }), { concurrency: campaign.concurrency, discard: true })
    console.log(
      `campaign ${campaign.name}: ${campaign.short} ${campaign.unit} from seed ${seed}: ${
        [...tally].map(([what, times]) =>
          `${times} ${what}`
        ).join(", ")
      }`
    )
    assert.isAbove(tally.size, 0)
  }).pipe(Effect.scoped)
