/**
 * The way to HAProxy's host breaks: the SFTP server, a session's sshd or the whole sshd is killed at any moment while six
 * clients write, and comes back sooner or later. Every call ends; nobody takes a cut connection for another writer; after
 * each event the newest copy on the host, HAProxy and its files are the same and hold all that was acknowledged. Now and
 * then the pod goes as well, with its disk.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type FarSite, makeFarSite } from "../lab/FarSite.ts"
import { labsWork } from "../lab/Lab.ts"
import { Dice } from "../program/Verbs.model.ts"
import { poll } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { type Life, type Shipped, shipped } from "./Life.ts"
import { pod } from "./Pod.ts"
import { acknowledgedBy, base, checkAndLearn, Writer } from "./Writers.ts"

const clients = 6
const events = 10
/** Milliseconds that a call may take, and what a busy machine adds. */
const callTime = 3_000
const slack = 4_000

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

interface Event {
  readonly text: string
  readonly weight: number
  readonly happen: (far: FarSite, dice: Dice) => Promise<void>
}

const kinds: ReadonlyArray<Event> = [
  { text: "sftp-server killed", weight: 4, happen: async ({ sshd }) => sshd.killSftp() },
  { text: "a session's sshd killed", weight: 3, happen: async ({ sshd }) => sshd.killSessions() },
  {
    text: "sshd killed",
    weight: 2,
    happen: async ({ sshd }, dice) => {
      await sshd.kill()
      await after(dice.next(300))
      await sshd.start()
    }
  },
  {
    text: "sshd gone for long",
    weight: 1,
    happen: async ({ sshd }) => {
      await sshd.kill()
      await after(callTime / 2)
      await sshd.start()
    }
  }
]
const weighted = kinds.flatMap((event) => Array.from({ length: event.weight }, () => event))

const chain = (program: Shipped, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const far = yield* makeFarSite({ binary: realLines[seed % realLines.length]! })
    const writers = Array.from({ length: clients }, (_, id) => new Writer(id, new Dice(seed * 64 + id)))
    const tally: Record<string, number> = {}
    const count = counting(tally)
    const acknowledged = () => acknowledgedBy(writers)
    const settled = Effect.fnUntraced(function*(one: Life, note: string) {
      assert.isTrue(yield* Effect.promise(() => one.ready()))
      const dump = yield* far.agree(note)
      checkAndLearn(writers, dump, note)
    })
    let left = events
    while (left > 0) {
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* pod(program, far, { MCP_CALL_TIMEOUT: `${callTime}ms` })
        yield* settled(one, `after a start (seed ${seed}, ${left} events left)`)
        const call = one.client()
        assert.strictEqual(
          yield* Effect.promise(() => call("haproxy_add_domain", { domain: base.domain, ip: base.ip })),
          "OK"
        )
        const calls = writers.map(() => one.client())
        do {
          const kind = dice.pick(weighted)
          const note = `(seed ${seed}, event ${events - left + 1}: ${kind.text})`
          yield* Effect.promise(async () => {
            let stop = false
            const writing = Promise.all(writers.map(async (writer, id) => {
              const timed: typeof call = async (tool, args) => {
                const began = performance.now()
                const code = await calls[id]!(tool, args)
                assert.isBelow(performance.now() - began, callTime + slack, `${tool} ended late ${note}`)
                return code
              }
              while (!stop && await writer.write(timed));
            }))
            const reaches = (wanted: number) =>
              Promise.race([writing, poll(`writes go through ${note}`, () => acknowledged() >= wanted || undefined)])
            await reaches(acknowledged() + 1 + dice.next(2 * clients))
            await after(dice.next(5))
            await kind.happen(far, dice)
            // As long as anybody knows enough of a name to write, writes go through again.
            await reaches(acknowledged() + clients)
            stop = true
            await writing
          })
          count(kind.text)
          yield* settled(one, note)
        } while (--left > 0 && dice.next(4) > 0)
        count("pod lost")
      }))
    }
    for (const writer of writers) for (const [code, times] of writer.codes) count(code, times)
    return tally
  }).pipe(Effect.scoped)

export const farKills: Campaign = {
  name: "far-kills",
  title: "sshd, a session of it or its SFTP server killed while six clients write; now and then the pod is lost, too",
  unit: "events",
  perCase: events,
  full: 200,
  short: 10,
  minutes: 4,
  concurrency: 2,
  limit: 240_000,
  inMemory: true,
  canRun: labsWork,
  mustSee: ["OK", "pod lost", ...kinds.map(({ text }) => text)],
  open: Effect.map(shipped, (program) => ({ run: (seed) => chain(program, seed) }))
}
