/**
 * What can go wrong between HAProxy and us at a step of a write, and what the promises say of it: one write or more,
 * each with happenings at its steps.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dirname } from "node:path"
import { Fault } from "../../src/testing.ts"
import { within } from "../support/ControlPlane.ts"
import { dumpDatabase, dumpRuntimeBy } from "../support/Dump.ts"
import type { FakeWorld } from "../support/FakeWorld.ts"
import { type Step, stepHere } from "./Steps.ts"
import { begin, desired, undisturbed, type Write, writes, writesWorld } from "./Writes.ts"

/** Milliseconds a caller waits; long enough for a reconnect, short enough for a test. */
const patience = 1_200

type Hand = (world: FakeWorld, step: Step) => Effect.Effect<void>

interface Happening {
  /** Injected before the write. */
  readonly prepare: Hand
  /** Some need a hand at the moment the command arrives. */
  readonly meanwhile?: Hand
  /** Ends what would last for ever. */
  readonly afterwards?: Hand
  /** Only at commands that change something. */
  readonly changing?: boolean
}

const injected = (fault: (step: Step) => Fault): Hand => ({ fake }, step) =>
  Effect.asVoid(fake.inject(step.text, fault(step), { nth: step.nth }))

const onArrival = (hand: (world: FakeWorld) => Effect.Effect<void>): Hand => (world, step) =>
  Effect.andThen(
    world.fake.awaitCommand(step.text, { after: world.fake.commands.length, nth: step.nth }),
    hand(world)
  )

/** By what the command does then. */
export const happenings: Readonly<Record<string, Happening>> = {
  "is answered as if done, and is not": { prepare: injected(({ answer }) => Fault.pretend(answer)), changing: true },
  "is refused": { prepare: injected(() => Fault.refuse("Out of memory error.")) },
  "hangs": { prepare: injected(() => Fault.hang()), afterwards: ({ fake }) => fake.dropConnections },
  "is not run, connection lost": { prepare: injected(() => Fault.dropBefore) },
  "is done, answer lost": { prepare: injected(() => Fault.loseAnswer) },
  "is done and answered, then connection lost": { prepare: injected(() => Fault.answerThenDrop) },
  "is answered by half": { prepare: injected(() => Fault.partial(1)) },
  "is answered with nonsense": { prepare: injected(() => Fault.nonsense("What?\n\n")) },
  "finds HAProxy crashing before it": {
    prepare: injected(() => Fault.hang()),
    meanwhile: onArrival(({ fake }) => fake.restart)
  },
  "finds HAProxy crashing after it": {
    prepare: injected(() => Fault.hang({ run: true })),
    meanwhile: onArrival(({ fake }) => fake.restart)
  },
  "finds HAProxy reloading": {
    prepare: injected(() => Fault.slow(2)),
    meanwhile: onArrival(({ fake }) => fake.reload)
  },
  "finds HAProxy paused for good, its buffer run later": {
    prepare: () => Effect.void,
    meanwhile: onArrival(({ fake }) => fake.pause),
    afterwards: ({ fake }) => fake.resume
  },
  "finds HAProxy gone for good": {
    prepare: injected(() => Fault.hang()),
    meanwhile: onArrival(({ fake }) => fake.kill),
    afterwards: ({ fake }) => fake.start
  }
}

/** Something that happens at a step. */
export interface Planned {
  readonly step: Step
  readonly happening: string
}

/** All that can happen at these steps, one at a time. */
export const singles = (steps: ReadonlyArray<Step>): ReadonlyArray<Planned> =>
  steps.flatMap((step) =>
    Object.entries(happenings)
      .filter(([, { changing }]) => changing !== true || !/^(?:get|show) /.test(step.text))
      .map(([happening]) => ({ step, happening }))
  )

/** How a write ended. */
export interface Ended {
  /** `done` or the code of the error. */
  readonly code: string
  /** How many of the happenings came about. */
  readonly reached: number
}

/** Ends what of the happenings would last. */
export const calm = Effect.fnUntraced(function*(world: FakeWorld, planned: ReadonlyArray<Planned>) {
  yield* world.fake.clearFaults
  for (const { happening, step } of planned) yield* happenings[happening]!.afterwards?.(world, step) ?? Effect.void
})

/**
 * Makes a write while things happen; `queued`: it may have to wait for one before it longer than its caller waits.
 * Checks that it ends in time, and what can be checked before all is calm again.
 */
export const attempt = Effect.fnUntraced(function*(
  world: FakeWorld,
  write: Write,
  planned: ReadonlyArray<Planned>,
  note: string,
  queued = false
) {
  const here = planned.map(({ happening, step }) => ({
    happening: happenings[happening]!,
    step: stepHere(step, dirname(world.plane.domainsMap))
  }))
  const from = world.fake.commands.length
  for (const { happening, step } of here) yield* happening.prepare(world, step)
  const watchers = yield* Effect.forEach(
    here,
    ({ happening, step }) => Effect.forkChild(happening.meanwhile?.(world, step) ?? Effect.void)
  )
  // The watchers must be listening before the write begins.
  yield* Effect.yieldNow
  const began = performance.now()
  const exit = yield* Effect.exit(world.run(within(patience)(write)))
  const took = performance.now() - began
  assert.isBelow(took, patience + 1_000, `${note}: the call did not end by its deadline`)
  yield* Effect.forEach(watchers, (watcher) => Fiber.interrupt(watcher))
  const seen = world.fake.commands.slice(from)
  const reached = here.filter(({ step }) => seen.filter(({ text }) => text === step.text).length >= step.nth).length
  if (Exit.isSuccess(exit)) {
    // Live at the answer, not only once the reconciler has been there. (The fake may be paused by now.)
    const runtime = yield* dumpRuntimeBy((command) => Effect.runPromise(world.fake.run(command)), [
      world.plane.domainsMap,
      world.plane.wildcardsMap
    ])
    const database = yield* world.run(Effect.orDie(dumpDatabase))
    assert.strictEqual(runtime, database, `${note}: acknowledged, yet HAProxy is not the database`)
    return { code: "done", reached } satisfies Ended
  }
  const error = Exit.findErrorOption(exit)
  assert(error._tag === "Some", `${note}: the write died: ${String(exit.cause)}`)
  const { code } = error.value
  if (code === "OUTCOME_UNKNOWN") assert.match(error.value.changeId ?? "", /^chg_/)
  else assert.include(["HAPROXY_REFUSED", "HAPROXY_UNREACHABLE", ...(queued ? ["TIMEOUT"] : [])], code, note)
  return { code, reached } satisfies Ended
})

/** The desired states that an ending allows. */
const allowed = (code: string, before: ReadonlyArray<string>, after: ReadonlyArray<string>): ReadonlyArray<string> =>
  code === "done" ? after : code === "OUTCOME_UNKNOWN" ? [...before, ...after] : before

const told = (kind: string, planned: ReadonlyArray<Planned>) =>
  `${kind}: ${planned.map(({ happening, step }) => `"${step.text}" (${step.nth}) ${happening}`).join(", and ")}`

/** One write with what happens in it, in a world of its own. */
export const caseOf = (kind: string, planned: ReadonlyArray<Planned>) =>
  Effect.gen(function*() {
    const note = told(kind, planned)
    const world = yield* writesWorld
    yield* begin(world)
    const before = yield* world.run(Effect.orDie(desired))
    const { after } = yield* undisturbed([kind])
    const ended = yield* attempt(world, writes[kind]!, planned, note)
    yield* calm(world, planned)
    yield* world.consistent(note)
    const now = yield* world.run(Effect.orDie(desired))
    assert.include(allowed(ended.code, [before], [after]), now, `${note}: answered ${ended.code}, yet it is not so`)
    return ended
  }).pipe(Effect.scoped)

/** Two writes, one after the other, with what happens in each; `calmly`: the first's trouble ends before the second. */
export const consecutive = (
  first: { readonly kind: string; readonly planned: ReadonlyArray<Planned> },
  second: { readonly kind: string; readonly planned: ReadonlyArray<Planned> },
  calmly: boolean
) =>
  Effect.gen(function*() {
    const note = `${told(first.kind, first.planned)}; then${calmly ? "" : " at once"} ${
      told(second.kind, second.planned)
    }`
    const world = yield* writesWorld
    yield* begin(world)
    const one = yield* attempt(world, writes[first.kind]!, first.planned, note)
    if (calmly) yield* calm(world, first.planned)
    const two = yield* attempt(world, writes[second.kind]!, second.planned, note, true)
    yield* calm(world, [...(calmly ? [] : first.planned), ...second.planned])
    yield* world.consistent(note)
    const now = yield* world.run(Effect.orDie(desired))
    const after = (...kinds: ReadonlyArray<string>) => Effect.map(undisturbed(kinds), (found) => found.after)
    const states = allowed(
      two.code,
      allowed(one.code, [yield* after()], [yield* after(first.kind)]),
      allowed(one.code, [yield* after(second.kind)], [yield* after(first.kind, second.kind)])
    )
    assert.include(states, now, `${note}: answered ${one.code} and ${two.code}, yet it is not so`)
    return [one, two] as const
  }).pipe(Effect.scoped)
