/** Random sequences of verbs, restarts and foreign edits: over the real HAProxies, and over the fake with its faults. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Fault } from "../../src/testing.ts"
import { type Ground, sequence, type Tally, type Trouble, troubles } from "../program/Model.ts"
import type { Dice } from "../program/Verbs.model.ts"
import { within } from "../support/ControlPlane.ts"
import { type FakeWorld, makeFakeWorld } from "../support/FakeWorld.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"
import type { Campaign, Runner } from "./Campaign.ts"

const steps = 8

/** Runs sequences on some worlds, one at a time on each; the seed says on which. */
const runnerOn = <W extends Ground>(
  worlds: ReadonlyArray<{ readonly name: string; readonly world: W }>,
  of: ReadonlyArray<Trouble<W>>
): Runner => {
  const places = worlds.map((place) => ({ ...place, free: Semaphore.makeUnsafe(1) }))
  const run = (seed: number, length: number) =>
    Effect.suspend(() => {
      const { free, name, world } = places[seed % places.length]!
      const tally: Tally = { steps: new Map() }
      return free.withPermit(sequence(world, seed, { steps: length, troubles: of, tally })).pipe(
        Effect.map(() => ({ ...Object.fromEntries(tally.steps), [`on ${name}`]: 1 }))
      )
    })
  return {
    run: (seed) => run(seed, steps),
    shrink: Effect.fnUntraced(function*(seed) {
      for (let length = 1; length <= steps; length++) {
        const broken = yield* run(seed, length).pipe(
          Effect.map(() => null),
          Effect.catchDefect((defect) => Effect.succeed(`${length} steps are enough: ${String(defect)}`))
        )
        if (broken !== null) return broken
      }
      return null
    })
  }
}

/** The model over the real HAProxies. */
export const model: Campaign = {
  name: "model",
  title: "random verbs, one or several at once, restarts of either side and foreign edits over the real HAProxies",
  unit: "sequences",
  perCase: 1,
  full: 10_000,
  short: 0,
  minutes: 9,
  concurrency: 2 * realLines.length,
  limit: 60_000,
  inMemory: true,
  mustSee: ["done", "unchanged", "refused INVALID_INPUT", "refused CONFLICT", "refused NOT_FOUND", "trouble"],
  open: Effect.gen(function*() {
    const worlds = yield* Effect.forEach(
      [...realLines, ...realLines],
      (binary) => Effect.map(makeWorld({ binary, poolsFile: true }), (world) => ({ name: binary.line, world }))
    )
    return runnerOn(worlds, troubles)
  })
}

/** Milliseconds that a caller waits for a HAProxy that may never answer. */
const patience = 1_000

const faults: ReadonlyArray<readonly [text: string, fault: Fault]> = [
  ["will be refused", Fault.refuse("Out of memory error.")],
  ["will hang", Fault.hang()],
  ["will be run and hang", Fault.hang({ run: true })],
  ["will be lost with the connection", Fault.dropBefore],
  ["will be run, its answer lost", Fault.loseAnswer],
  ["will be answered, then the connection lost", Fault.answerThenDrop],
  ["will be answered by half", Fault.partial(1)],
  ["will be answered with nonsense", Fault.nonsense("What?\n\n")],
  ["will be answered slowly", Fault.slow(1)]
]

/** Commands that a write may send; those of the heartbeat come whenever they come. */
const ofWrites = /^(?:add|set|del|get) map |^set server |^show servers state pool_/

type Faulty = FakeWorld & Ground

const fakeTroubles: ReadonlyArray<Trouble<Faulty>> = [
  { text: "HAProxy is killed and started", happen: ({ fake }) => fake.restart },
  { text: "HAProxy is reloaded", happen: ({ fake }) => fake.reload },
  { text: "the connection is lost", happen: ({ fake }) => fake.dropConnections },
  { text: "the control plane is restarted", happen: ({ startPlane }) => startPlane },
  ...faults.map(([text, fault]): Trouble<Faulty> => ({
    text: `a command ${text}`,
    happen: ({ fake }, dice: Dice) => Effect.asVoid(fake.inject(ofWrites, fault, { nth: 1 + dice.next(6) }))
  }))
]

const faultyWorld = Effect.gen(function*() {
  const world = yield* makeFakeWorld({ pools: 5 })
  yield* world.startPlane
  return {
    ...world,
    run: (program) => world.run(within(patience)(program)),
    // A hung connection is given up, so that the reconciler need not wait for its deadline.
    consistent: (note) =>
      Effect.andThen(Effect.andThen(world.fake.clearFaults, world.fake.dropConnections), world.consistent(note))
  } satisfies Faulty
})

/** How many fakes one process has. */
const fakes = 12

/** The model over the fake. */
export const modelWithFaults: Campaign = {
  name: "model-faults",
  title: "the same over the fake HAProxy, whose commands are refused, lost, or answered by half, or never",
  unit: "sequences",
  perCase: 1,
  full: 2_000,
  short: 36,
  minutes: 2,
  concurrency: fakes,
  limit: 120_000,
  inMemory: true,
  mustSee: ["done", "unchanged", "refused HAPROXY_REFUSED", "unknown OUTCOME_UNKNOWN", "trouble"],
  open: Effect.map(
    Effect.forEach(
      Array.from({ length: fakes }),
      () => Effect.map(faultyWorld, (world) => ({ name: "the fake", world }))
    ),
    (worlds) => runnerOn(worlds, fakeTroubles)
  )
}
