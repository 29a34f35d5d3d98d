/**
 * HAProxy killed, paused or reloaded, or edited by somebody else, at any moment while six clients write: every call
 * ends, what was acknowledged is there, nothing that was refused is, and all is the same again after each event.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { withAllRights } from "../../src/domain/Principal.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import { Dice } from "../program/Verbs.model.ts"
import { poll } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld, type World } from "../support/World.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { acknowledgedBy, base, type Call, checkAndLearn, Writer } from "./Writers.ts"

const shape = { pools: 24, slots: 3, poolsFile: true }
const clients = 6
const events = 10
/** Milliseconds that a call may take, now and then too short for HAProxy to come back; and what a busy machine adds. */
const deadlines = [700, 3_000]
const slack = 4_000

const after = (ms: number) => Effect.promise(() => new Promise((resolve) => setTimeout(resolve, ms)))

interface Event {
  readonly text: string
  /** How often, of all weights. */
  readonly weight: number
  readonly happen: (world: World, dice: Dice) => Effect.Effect<unknown>
}

const names = (dice: Dice) => `n${dice.next(3)}.c${dice.next(clients)}.example.com`
const pool = (dice: Dice) => 1 + dice.next(6)

const edit = (command: (world: World, dice: Dice) => string): Event => ({
  text: "foreign edits",
  weight: 1,
  happen: (world, dice) => world.haproxy.command(command(world, dice))
})

/** What happens; more is added here. */
const kinds: ReadonlyArray<Event> = [
  { text: "HAProxy killed", weight: 9, happen: ({ haproxy }) => haproxy.restart },
  {
    text: "HAProxy killed and gone for long",
    weight: 1,
    happen: ({ haproxy }) => haproxy.kill.pipe(Effect.andThen(after(1_200)), Effect.andThen(haproxy.start))
  },
  { text: "HAProxy reloaded", weight: 2, happen: ({ haproxy }) => haproxy.reload },
  {
    text: "HAProxy paused",
    weight: 2,
    happen: ({ haproxy }, dice) =>
      haproxy.pause.pipe(Effect.andThen(after(dice.next(900))), Effect.andThen(haproxy.resume))
  },
  edit(({ site }, dice) => `del map ${site.runtimeDomainsMap} ${names(dice)}`),
  edit(({ site }, dice) => `set map ${site.runtimeDomainsMap} ${names(dice)} pool_${pool(dice)}`),
  edit(({ site }, dice) => `add map ${site.runtimeDomainsMap} ${names(dice)} pool_${pool(dice)}`),
  edit(({ site }) => `clear map ${site.runtimeDomainsMap}`),
  edit((_, dice) => {
    const at = pool(dice)
    return `set server pool_${at}/pool_${at}_1 addr 10.9.9.9 port 9`
  }),
  edit((_, dice) => {
    const at = pool(dice)
    return `set server pool_${at}/pool_${at}_1 state ${dice.pick(["ready", "maint", "drain"])}`
  })
]
const weighted = kinds.flatMap((event) => Array.from({ length: event.weight }, () => event))

const caller = {
  actor: { via: "test", who: "campaign", requestId: "campaign" },
  principal: withAllRights("program", "campaign"),
  progress: () => Effect.void
}

const caseOf = (seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const binary = realLines[seed % realLines.length]!
    const world = yield* makeWorld({ ...shape, binary })
    const writers = Array.from({ length: clients }, (_, id) => new Writer(id, new Dice(seed * 64 + id)))
    const tally: Record<string, number> = { [`on ${binary.line}`]: events }
    const count = counting(tally)
    const callWithin = (timeout: number): Call => async (tool, args) => {
      const began = performance.now()
      const result = await Effect.runPromise(
        world.run(callTool(tool, args, { ...caller, timeout })).pipe(Effect.provide(Logger.layer([])))
      )
      const took = performance.now() - began
      assert.isBelow(took, timeout + slack, `${tool} ended late (seed ${seed})`)
      return result.isError ? (result.structuredContent["error"] as { readonly code: string }).code : "OK"
    }
    assert.strictEqual(
      yield* Effect.promise(() => callWithin(10_000)("haproxy_add_domain", { domain: base.domain, ip: base.ip })),
      "OK"
    )
    const acknowledged = () => acknowledgedBy(writers)
    for (let event = 1; event <= events; event++) {
      const kind = dice.pick(weighted)
      const note = `(seed ${seed}, event ${event}: ${kind.text})`
      const call = callWithin(dice.pick(deadlines))
      let stop = false
      const writing = Promise.all(writers.map(async (writer) => {
        while (!stop && await writer.write(call));
      }))
      const reaches = (wanted: number) =>
        Effect.promise(() =>
          Promise.race([
            writing,
            poll(`writes go through ${note}`, () => acknowledged() >= wanted ? true : undefined)
          ])
        )
      const begun = acknowledged()
      yield* reaches(begun + 1 + dice.next(2 * clients))
      yield* after(dice.next(5))
      yield* kind.happen(world, dice)
      // As long as anybody knows enough of a name to write, writes go through again.
      yield* reaches(acknowledged() + clients)
      stop = true
      yield* Effect.promise(() => writing)
      count(kind.text)
      const dump = yield* world.consistent(note)
      checkAndLearn(writers, dump, note)
    }
    for (const writer of writers) for (const [code, times] of writer.codes) count(code, times)
    return tally
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

export const outages: Campaign = {
  name: "outages",
  title: "HAProxy killed, paused, reloaded or edited by somebody else while six clients write",
  unit: "events",
  perCase: events,
  full: 1_000,
  short: 20,
  minutes: 4,
  concurrency: 2,
  limit: 180_000,
  inMemory: false,
  mustSee: ["OK", "OUTCOME_UNKNOWN", ...new Set(kinds.map(({ text }) => text))],
  open: Effect.succeed({ run: caseOf })
}
