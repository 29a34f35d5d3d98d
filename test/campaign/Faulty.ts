/** Every single point of failure, and two at a time at random (test/program/Happenings.ts). */
import * as Effect from "effect/Effect"
import { caseOf, consecutive, type Ended, happenings, type Planned, singles } from "../program/Happenings.ts"
import { Dice } from "../program/Verbs.model.ts"
import { undisturbed, writes } from "../program/Writes.ts"
import { type Campaign, counting, type Tally } from "./Campaign.ts"

const kinds = Object.keys(writes)

/** All that can happen, by kind of write. */
const plans = Effect.forEach(
  kinds,
  (kind) => Effect.map(undisturbed([kind]), ({ steps }) => singles(steps).map((planned) => ({ kind, planned })))
)

const tallyOf = (ended: ReadonlyArray<Ended>): Tally => {
  const tally: Record<string, number> = {}
  const count = counting(tally)
  for (const { code, reached } of ended) {
    count(code)
    count("happened", reached)
  }
  return tally
}

/** Every happening at every step of every kind of write. */
export const points: Campaign = {
  name: "points",
  title: "every step of every kind of write × everything that can happen there, one at a time",
  unit: "points",
  perCase: 1,
  full: 0,
  short: 0,
  table: Effect.map(plans, (all) => all.flat().length),
  minutes: 1,
  concurrency: 24,
  limit: 30_000,
  inMemory: true,
  mustSee: ["done", "HAPROXY_REFUSED", "OUTCOME_UNKNOWN", "happened"],
  open: Effect.map(plans, (all) => {
    const order = Object.keys(happenings)
    const at = ({ planned }: { readonly planned: Planned }) => order.indexOf(planned.happening)
    // One kind of trouble after the other: what is wrong with one shows soon.
    const table = all.flat().toSorted((a, b) => at(a) - at(b))
    return {
      run: (seed) => {
        const { kind, planned } = table[seed]!
        return Effect.map(caseOf(kind, [planned]), (ended) => tallyOf([ended]))
      }
    }
  })
}

/** Two happenings, in one write or in two that follow each other. */
export const pairs: Campaign = {
  name: "pairs",
  title:
    "two of them, at two steps of one write, or in two writes, the second while the first's trouble lasts or after",
  unit: "pairs",
  perCase: 1,
  full: 2_000,
  short: 40,
  minutes: 3,
  concurrency: 24,
  limit: 60_000,
  inMemory: true,
  mustSee: ["done", "HAPROXY_REFUSED", "OUTCOME_UNKNOWN", "both happened", "in one write", "in two writes"],
  open: Effect.map(plans, (all) => {
    const one = (dice: Dice) => {
      const { kind, planned } = dice.pick(dice.pick(all))
      return { kind, planned: [planned] }
    }
    const inOne = (dice: Dice) => {
      const of = dice.pick(all)
      const first = dice.pick(of)
      const others = of.filter(({ planned }) => planned.step !== first.planned.step)
      const both: ReadonlyArray<Planned> = [first.planned, dice.pick(others).planned]
      return Effect.map(caseOf(first.kind, both), (ended) => ({
        ...tallyOf([ended]),
        "in one write": 1,
        "both happened": ended.reached === 2 ? 1 : 0
      }))
    }
    const inTwo = (dice: Dice) => {
      const first = one(dice)
      let second = one(dice)
      while (second.kind === first.kind) second = one(dice)
      return Effect.map(consecutive(first, second, dice.next(2) === 0), (ended) => ({
        ...tallyOf(ended),
        "in two writes": 1,
        "both happened": ended.every(({ reached }) => reached === 1) ? 1 : 0
      }))
    }
    return {
      run: (seed) => {
        const dice = new Dice(seed)
        return dice.next(2) === 0 ? inOne(dice) : inTwo(dice)
      }
    }
  })
}
