/**
 * The model-based run: random verbs (alone and several at once), restarts of HAProxy and of the control plane, foreign
 * edits and pauses; after every step the promises are checked. Every random choice comes from the seed, which is in
 * each message of a failure.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Store } from "../../src/store/Store.ts"
import { within } from "../support/ControlPlane.ts"
import { dumpDesired } from "../support/Dump.ts"
import type { World } from "../support/World.ts"
import { brokenInvariant } from "./invariants.ts"
import { Dice, endingOf, randomStep } from "./Verbs.model.ts"

/** What a sequence runs on: a control plane over a real HAProxy, or over the fake. */
export interface Ground {
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Effect.Effect<A, E>
  /** Asserts that database, files and HAProxy say the same, as they are. */
  readonly same: (note: string) => Effect.Effect<unknown>
  /** Reconciles, then asserts the same. */
  readonly consistent: (note: string) => Effect.Effect<unknown>
}

/** Something that happens to the system between two steps. */
export interface Trouble<W = World> {
  readonly text: string
  readonly happen: (world: W, dice: Dice) => Effect.Effect<void>
}

const edit = (text: string, command: (world: World, dice: Dice) => string): Trouble => ({
  text,
  happen: (world, dice) => Effect.asVoid(world.haproxy.command(command(world, dice)))
})

const someName = (dice: Dice) => dice.pick(["a.com", "b.com", "www.a.com", "new.foreign.com"])
const somePool = (dice: Dice) => dice.next(4) + 1

/** What may go wrong around a real HAProxy. */
export const troubles: ReadonlyArray<Trouble> = [
  { text: "HAProxy is killed and started", happen: (world) => world.haproxy.restart },
  { text: "HAProxy is reloaded", happen: (world) => Effect.asVoid(world.haproxy.reload) },
  { text: "the control plane is restarted", happen: (world) => world.restartPlane },
  {
    text: "both are restarted",
    happen: (world) => Effect.andThen(Effect.andThen(world.stopPlane, world.haproxy.restart), world.restartPlane)
  },
  edit("somebody removes an entry", ({ site }, dice) => `del map ${site.runtimeDomainsMap} ${someName(dice)}`),
  edit(
    "somebody repoints an entry",
    ({ site }, dice) => `set map ${site.runtimeDomainsMap} ${someName(dice)} pool_${somePool(dice)}`
  ),
  edit(
    "somebody adds an entry of ours",
    ({ site }, dice) => `add map ${site.runtimeDomainsMap} ${someName(dice)} pool_${somePool(dice)}`
  ),
  edit(
    "somebody adds a wildcard entry",
    ({ site }, dice) => `add map ${site.runtimeWildcardsMap} .a.com pool_${somePool(dice)}`
  ),
  edit("somebody clears the map", ({ site }) => `clear map ${site.runtimeDomainsMap}`),
  edit("somebody moves a server", (_, dice) => `set server pool_${somePool(dice)}/pool_1_1 addr 10.9.9.9 port 9`),
  edit(
    "somebody moves a server of pool 1",
    (_, dice) => `set server pool_1/pool_1_${dice.next(3) + 1} addr 10.9.9.9 port 9`
  ),
  edit(
    "somebody sets a state",
    (_, dice) => `set server pool_1/pool_1_${dice.next(3) + 1} state ${dice.pick(["ready", "maint", "drain"])}`
  ),
  edit("somebody sets a weight", (_, dice) => `set server pool_2/pool_2_1 weight ${dice.next(200)}`)
]

type AnyStep = ReturnType<typeof randomStep>

const routedNames = Effect.map(
  Effect.flatMap(Store, (store) => store.allRoutes),
  (routes) => new Set<string>(routes.map((route) => route.name))
)

/** Before a sequence begins nothing is wrong, so there is time. */
const patiently = within(10_000)

/** Removes everything, so that a sequence begins with nothing. */
const empty = (world: Ground) =>
  Effect.gen(function*() {
    // An empty database that never held anything refuses to touch maps with entries of ours: begin with a past.
    yield* world.run(Effect.ignore(patiently(addDomain({ domain: "a.com" }))))
    for (const domain of yield* world.run(Effect.orDie(routedNames))) {
      yield* world.run(Effect.orDie(patiently(removeDomain({ domain }))))
    }
  })

const perform = (world: Ground, step: AnyStep, note: string) =>
  Effect.gen(function*() {
    const before = yield* world.run(Effect.orDie(dumpDesired))
    const exit = yield* Effect.exit(
      world.run(
        step.program as Effect.Effect<{ readonly changed: boolean; readonly summary: string }, ControlError, never>
      )
    )
    const { code, ending } = endingOf(exit)
    const after = yield* world.run(Effect.orDie(dumpDesired))
    if (ending === "refused") assert.strictEqual(after, before, `${note}: refused with ${code}, yet the database moved`)
    if (ending === "unchanged") assert.strictEqual(after, before, `${note}: "changed: false", yet the database moved`)
    if (ending === "done") {
      assert.notStrictEqual(after, before, `${note}: "changed: true", yet the database is as before`)
      const routed = yield* world.run(Effect.orDie(routedNames))
      const expected = new Set(routed)
      step.names(expected)
      assert.deepStrictEqual([...expected].sort(), [...routed].sort(), `${note}: acknowledged, yet not so`)
    }
    return `${ending}${code === "" ? "" : ` ${code}`}`
  })

/** How often each ending was seen: a run in which nothing ever succeeds proves nothing. */
export interface Tally {
  readonly steps: Map<string, number>
}

/** How a sequence goes. */
export interface SequenceOptions<W> {
  readonly steps: number
  readonly troubles: ReadonlyArray<Trouble<W>>
  readonly tally: Tally
}

/** One sequence from one seed. Fails (as a defect) with the seed and the history in its message. */
export const sequence = Effect.fnUntraced(function*<W extends Ground>(
  world: W,
  seed: number,
  options: SequenceOptions<W>
) {
  const dice = new Dice(seed)
  const history: Array<string> = []
  const count = (what: string) => options.tally.steps.set(what, (options.tally.steps.get(what) ?? 0) + 1)
  /** Nothing happened since the last check that only the reconciler sets right. */
  let calm = true
  const check = Effect.fnUntraced(function*() {
    const note = `(seed ${seed}: ${history.join("; ")})`
    // What is answered is so at the answer: the reconciler gets its chance only after trouble.
    yield* calm ? world.same(note) : world.consistent(note)
    calm = true
    const broken = yield* world.run(Effect.orDie(brokenInvariant))
    assert.strictEqual(broken, null, `seed ${seed}: ${history.join("; ")}`)
  })
  yield* empty(world)
  for (let n = 0; n < options.steps; n++) {
    const kind = dice.next(10)
    if (kind === 0 && options.troubles.length > 0) {
      const trouble = dice.pick(options.troubles)
      history.push(trouble.text)
      yield* trouble.happen(world, dice)
      count("trouble")
      calm = false
      // Half of the time the next step meets it unrepaired.
      if (dice.next(2) === 0) continue
    } else if (kind === 1) {
      const routed = [...yield* world.run(Effect.orDie(routedNames))].sort()
      const steps = Array.from({ length: 2 + dice.next(4) }, () => randomStep(dice, routed))
      history.push(`together: ${steps.map((step) => step.text).join(" | ")}`)
      const exits = yield* Effect.forEach(steps, (step) => Effect.exit(world.run(step.program)), {
        concurrency: "unbounded"
      })
      for (const exit of exits) {
        const { ending } = endingOf(exit)
        count(ending)
        if (ending === "unknown") calm = false
      }
    } else {
      const step = randomStep(dice, [...yield* world.run(Effect.orDie(routedNames))].sort())
      history.push(step.text)
      const result = yield* perform(world, step, `seed ${seed}: ${history.join("; ")}`)
      history[history.length - 1] = `${step.text} → ${result}`
      if (result.startsWith("unknown")) calm = false
      count(result)
    }
    yield* check()
  }
  yield* world.consistent(`(seed ${seed}, at the end: ${history.join("; ")})`)
})
