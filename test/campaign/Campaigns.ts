/** All campaigns, in the order in which they run. A new one is added here. */
import type { Campaign } from "./Campaign.ts"
import { certificates, certificatesPebble } from "./Certificates.ts"
import { farKills } from "./FarKills.ts"
import { farPower } from "./FarPower.ts"
import { pairs, points } from "./Faulty.ts"
import { killed } from "./Kills.ts"
import { model, modelWithFaults } from "./Models.ts"
import { outages } from "./Outages.ts"
import { podLoss } from "./PodLoss.ts"
import { power } from "./Power.ts"
import { threeWriters } from "./ThreeWriters.ts"

export const campaigns: ReadonlyArray<Campaign> = [
  points,
  pairs,
  model,
  modelWithFaults,
  killed,
  outages,
  power,
  certificates,
  certificatesPebble,
  podLoss,
  farKills,
  farPower,
  threeWriters
]
