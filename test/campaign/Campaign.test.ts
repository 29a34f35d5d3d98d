/**
 * The short form of the campaigns, with other seeds each day. Two of them have a short form of their own: `points` is
 * test/program/Faults.test.ts as a whole, `model` is test/program/Model.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { strace } from "../support/Strace.ts"
import { addTally, type Campaign, judge } from "./Campaign.ts"
import { campaigns } from "./Campaigns.ts"
import { caught, plants } from "./Plant.ts"
import { repeat } from "./Report.ts"

/** Another one every day, or CAMPAIGN_SEED to repeat a run. */
const seed = Number(process.env["CAMPAIGN_SEED"] ?? Math.floor(Date.now() / 86_400_000) * 1_000)

const traced = await strace() !== null
if (!traced) process.stderr.write("\nSKIPPED, NOT TESTED: power cuts (no strace that may trace processes)\n")

/** Asked once for each campaign: a no is said aloud. */
const able = new Map(campaigns.map(({ canRun, name }) => [name, name === "power" ? traced : canRun?.() ?? true]))
const canRun = (name: string) => able.get(name) === true

const short = (campaign: Campaign) =>
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

describe("the campaign's short form", () => {
  it.live.each(campaigns.filter((campaign) => campaign.short > 0 && canRun(campaign.name)))(
    "$name: $title",
    short,
    300_000
  )
})

describe("a bug built in on purpose", () => {
  it.live.each(plants.filter(({ byHand, campaign }) => byHand !== true && canRun(campaign)))(
    "$name is caught by the campaign $campaign",
    (plant) =>
      Effect.promise(async () => {
        const args = ["--short", "--seed", "1", "--workers", "1", "--count", plant.campaign === "power" ? "1" : "12"]
        assert.isTrue(await caught(plant, args))
      }),
    300_000
  )
})
