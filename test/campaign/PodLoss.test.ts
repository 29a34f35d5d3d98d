/** The short form of the campaign `pod-loss`, whose starts come one after the other: beside the others, not after them. */
import { describe, it } from "@effect/vitest"
import { podLoss } from "./PodLoss.ts"
import { short } from "./Short.ts"

describe.runIf(podLoss.canRun?.() ?? true)("the campaign's short form", () => {
  it.live(`${podLoss.name}: ${podLoss.title}`, () => short(podLoss), 1_200_000)
})
