/**
 * Every step of every kind of write × everything that can go wrong between HAProxy and us. The steps are found by
 * running the write once and recording the commands, so a step that is added later is covered without a new test.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { dirname } from "node:path"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { addServer, addServers, removeServer, setServerState } from "../../src/program/Servers.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Fault } from "../../src/testing.ts"
import { within } from "../support/ControlPlane.ts"
import { dumpDesired } from "../support/Dump.ts"
import { type FakeWorld, makeFakeWorld } from "../support/FakeWorld.ts"
import { type Step, stepHere, stepsIn } from "./Steps.ts"

/** Milliseconds a caller waits; long enough for a reconnect, short enough for a test. */
const patience = 1_200

type Write = Effect.Effect<{ readonly changed: boolean }, ControlError, ProgramServices>

/** Kinds of writes, each from the same beginning: a.com with two servers, and b.com that shares it. */
const writes: Readonly<Record<string, Write>> = {
  "a domain with a wildcard and a server": addDomain({ domain: "c.com", ip: "10.0.0.9" }),
  "a domain that shares": addDomain({ domain: "www.c.com", share_with: "a.com" }),
  "a server in a pool in use": addServer({ domain: "a.com", ip: "10.0.0.3" }),
  "a drained server": setServerState({ domain: "a.com", slot: 1, state: "drain" }),
  "a server that leaves": removeServer({ domain: "a.com", slot: 2 }),
  "a share that leaves": removeDomain({ domain: "b.com" }),
  "a domain that leaves with its pool": removeDomain({ domain: "z.com" })
}

const begin = (world: FakeWorld) =>
  Effect.gen(function*() {
    yield* world.startPlane
    yield* world.run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
    yield* world.run(addServers({ domain: "a.com", servers: [{ ip: "10.0.0.2" }] }))
    yield* world.run(addDomain({ domain: "b.com", share_with: "a.com" }))
    yield* world.run(addDomain({ domain: "z.com", ip: "10.0.0.7" }))
    yield* world.consistent()
  }).pipe(Effect.orDie)

/** Commands that belong to the write alone, each with how often it was seen before in the same write. */
const stepsOf = (write: Write) =>
  Effect.gen(function*() {
    const world = yield* makeFakeWorld()
    yield* begin(world)
    const from = world.fake.commands.length
    yield* world.run(write).pipe(Effect.orDie)
    const steps = stepsIn(world.fake.commands.slice(from).map(({ text }) => text), dirname(world.plane.domainsMap))
    const database = yield* world.run(Effect.orDie(dumpDesired))
    return { steps, after: database }
  }).pipe(Effect.scoped)

type Happening = (world: FakeWorld, step: Step) => Effect.Effect<void>

/** Injected before the write; some need a hand at the moment the command arrives. */
const happenings: Readonly<
  Record<string, { readonly prepare: Happening; readonly meanwhile?: Happening; readonly afterwards?: Happening }>
> = {
  "is refused": {
    prepare: ({ fake }, step) =>
      Effect.asVoid(fake.inject(step.text, Fault.refuse("Out of memory error."), { nth: step.nth }))
  },
  "hangs": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.hang(), { nth: step.nth })),
    afterwards: ({ fake }) => fake.dropConnections
  },
  "is not run, connection lost": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.dropBefore, { nth: step.nth }))
  },
  "is done, answer lost": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.loseAnswer, { nth: step.nth }))
  },
  "is done and answered, then connection lost": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.answerThenDrop, { nth: step.nth }))
  },
  "is answered by half": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.partial(1), { nth: step.nth }))
  },
  "is answered with nonsense": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.nonsense("What?\n\n"), { nth: step.nth }))
  },
  "finds HAProxy crashing before it": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.hang(), { nth: step.nth })),
    meanwhile: ({ fake }, step) =>
      Effect.andThen(fake.awaitCommand(step.text, { after: fake.commands.length, nth: step.nth }), fake.restart)
  },
  "finds HAProxy crashing after it": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.hang({ run: true }), { nth: step.nth })),
    meanwhile: ({ fake }, step) =>
      Effect.andThen(fake.awaitCommand(step.text, { after: fake.commands.length, nth: step.nth }), fake.restart)
  },
  "finds HAProxy reloading": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.slow(2), { nth: step.nth })),
    meanwhile: ({ fake }, step) =>
      Effect.andThen(fake.awaitCommand(step.text, { after: fake.commands.length, nth: step.nth }), fake.reload)
  },
  "finds HAProxy paused for good, its buffer run later": {
    prepare: () => Effect.void,
    meanwhile: ({ fake }, step) =>
      Effect.andThen(fake.awaitCommand(step.text, { after: fake.commands.length, nth: step.nth }), fake.pause),
    afterwards: ({ fake }) => fake.resume
  },
  "finds HAProxy gone for good": {
    prepare: ({ fake }, step) => Effect.asVoid(fake.inject(step.text, Fault.hang(), { nth: step.nth })),
    meanwhile: ({ fake }, step) =>
      Effect.andThen(fake.awaitCommand(step.text, { after: fake.commands.length, nth: step.nth }), fake.kill),
    afterwards: ({ fake }) => fake.start
  }
}

/** One case: the write, with this happening at this step. Answers how it ended. */
const runCase = (write: Write, recorded: Step, name: string, after: string) =>
  Effect.gen(function*() {
    const happening = happenings[name]!
    const world = yield* makeFakeWorld()
    yield* begin(world)
    const before = yield* world.run(Effect.orDie(dumpDesired))
    const step = stepHere(recorded, dirname(world.plane.domainsMap))
    const from = world.fake.commands.length
    yield* happening.prepare(world, step)
    const meanwhile = yield* Effect.forkChild(happening.meanwhile?.(world, step) ?? Effect.void)
    // The watcher must be listening before the write begins.
    yield* Effect.yieldNow
    const began = performance.now()
    const exit = yield* Effect.exit(world.run(within(patience)(write)))
    const took = performance.now() - began
    const note = `${step.text} (${step.nth}) ${name}`
    assert.isBelow(took, patience + 1_000, `${note}: the call did not end by its deadline`)
    yield* Fiber.interrupt(meanwhile)
    const arrived = world.fake.commands.slice(from).filter(({ text }) => text === step.text).length
    assert.isAtLeast(arrived, step.nth, `${note}: the step was never reached, so nothing was tested`)
    yield* world.fake.clearFaults
    yield* happening.afterwards?.(world, step) ?? Effect.void
    yield* world.consistent(note)
    const now = yield* world.run(Effect.orDie(dumpDesired))
    if (Exit.isSuccess(exit)) {
      assert.strictEqual(now, after, `${note}: acknowledged, yet not so`)
      return "done"
    }
    const error = Exit.findErrorOption(exit)
    assert(error._tag === "Some", `${note}: the write died: ${String(exit.cause)}`)
    const { code } = error.value
    if (code === "OUTCOME_UNKNOWN") {
      assert.match(error.value.changeId ?? "", /^chg_/)
      assert.include([before, after], now, `${note}: neither as before nor as asked`)
    } else {
      assert.include(["HAPROXY_REFUSED", "HAPROXY_UNREACHABLE"], code, note)
      assert.strictEqual(now, before, `${note}: refused with ${code}, yet something happened`)
    }
    return code
  }).pipe(Effect.scoped)

describe.each(Object.keys(writes))("%s", (kind) => {
  it.live("holds the promises whatever happens at any step", () =>
    Effect.gen(function*() {
      const write = writes[kind]!
      const { after, steps } = yield* stepsOf(write)
      assert.isAbove(steps.length, 0)
      const cases = steps.flatMap((step) => Object.keys(happenings).map((name) => ({ step, name })))
      const endings = new Map<string, number>()
      yield* Effect.forEach(cases, ({ name, step }) =>
        Effect.map(runCase(write, step, name, after), (ending) => {
          endings.set(ending, (endings.get(ending) ?? 0) + 1)
        }), { concurrency: 12, discard: true })
      console.log(
        `faults: ${kind}: ${cases.length} cases: ${[...endings].map(([code, n]) => `${n} ${code}`).join(", ")}`
      )
      // HAProxy coming back in time must lead to success, a refusal to a refusal: both have to occur.
      assert.isAbove(endings.get("done") ?? 0, 0)
      assert.isAbove(endings.get("HAPROXY_REFUSED") ?? 0, 0)
    }), 180_000)
})
