/**
 * The short form of the campaigns, with other seeds each day. Some have a short form elsewhere: `points` is
 * test/program/Faults.test.ts as a whole, `model` is test/program/Model.test.ts. `pod-loss` takes minutes and has a file of its
 * own (PodLoss.test.ts), so that it runs beside the others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { strace } from "../support/Strace.ts"
import { campaigns } from "./Campaigns.ts"
import { caught, plants } from "./Plant.ts"
import { podLoss } from "./PodLoss.ts"
import { short } from "./Short.ts"

const traced = await strace() !== null
if (!traced) process.stderr.write("\nSKIPPED, NOT TESTED: power cuts (no strace that may trace processes)\n")

/** Asked once for each campaign: a no is said aloud. */
const able = new Map(campaigns.map(({ canRun, name }) => [name, name === "power" ? traced : canRun?.() ?? true]))
const canRun = (name: string) => able.get(name) === true

describe("the campaign's short form", () => {
  it.live.each(campaigns.filter((one) => one.short > 0 && one !== podLoss && canRun(one.name)))(
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
