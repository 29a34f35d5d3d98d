/**
 * The power of HAProxy's host is cut: its file system (ext4 or XFS) is shut down without a flush, right after an answer or
 * in the middle of writes, and the pod is lost with its disk at the same moment. What comes back must hold every answer:
 * the newest whole copy of the database, and, before any control plane runs again, the files from which HAProxy starts.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeFarSite } from "../lab/FarSite.ts"
import { volumesWork } from "../lab/Volume.ts"
import { Dice } from "../program/Verbs.model.ts"
import { poll } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { type Campaign, counting } from "./Campaign.ts"
import { type Shipped, shipped } from "./Life.ts"
import { pod } from "./Pod.ts"
import { acknowledgedBy, base, Gone, Writer } from "./Writers.ts"

const clients = 4
const cuts = 5
/** The power goes so many acknowledged writes, and milliseconds, after the first. */
const writes = 12
const writeTime = 12

const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const chain = (program: Shipped, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const kind = seed % 2 === 0 ? "ext4" : "xfs"
    const far = yield* makeFarSite({ binary: realLines[seed % realLines.length]!, volume: kind })
    const writers = Array.from({ length: clients }, (_, id) => new Writer(id, new Dice(seed * 64 + id), false, true))
    const tally: Record<string, number> = { [`on ${kind}`]: cuts }
    const count = counting(tally)
    const acknowledged = () => acknowledgedBy(writers)
    const check = (dump: string, note: string) => {
      for (const writer of writers) writer.check(dump, note)
    }
    const begin = Effect.fnUntraced(function*(note: string) {
      const one = yield* pod(program, far)
      assert.isTrue(yield* Effect.promise(() => one.ready()))
      const dump = yield* far.agree(note)
      check(dump, note)
      for (const writer of writers) writer.learn(dump)
      return one
    })
    for (let cut = 1; cut <= cuts; cut++) {
      const middle = dice.next(2) === 0
      const note = `(seed ${seed}, ${kind}, cut ${cut} ${middle ? "in the middle of writes" : "right after an answer"})`
      yield* Effect.scoped(Effect.gen(function*() {
        const one = yield* begin(`before ${note}`)
        yield* Effect.promise(async () => {
          const baseCode = await one.client()("haproxy_add_domain", { domain: base.domain, ip: base.ip })
          assert.strictEqual(baseCode, "OK")
          const wanted = acknowledged() + 1 + dice.next(writes)
          const done = () => acknowledged() >= wanted
          const writing = Promise.all(writers.map(async (writer) => {
            const call = one.client()
            try {
              while ((middle || !done()) && await writer.write(call));
            } catch (error) {
              if (!(error instanceof Gone)) throw error
            }
          }))
          if (middle) {
            await Promise.race([writing, poll(`writes go through ${note}`, () => done() || undefined)])
            await after(dice.next(writeTime))
          } else await writing
          await far.power!.cut()
          await one.kill()
          await writing
        })
        count(middle ? "in the middle of writes" : "right after an answer")
      }))
      yield* Effect.promise(() => far.power!.back())
      // HAProxy alone, from its files.
      check(yield* far.files(), `in the files ${note}`)
      check(yield* far.live(), `live ${note}`)
      check(yield* far.newest(), `in the newest copy ${note}`)
    }
    yield* Effect.scoped(begin(`at the end (seed ${seed})`))
    count("acknowledged", acknowledged())
    return tally
  }).pipe(Effect.scoped)

export const farPower: Campaign = {
  name: "far-power",
  title: "the power of HAProxy's host is cut (ext4, XFS) and the pod is lost: files and newest copy hold every answer",
  unit: "cuts",
  perCase: cuts,
  full: 200,
  short: 5,
  minutes: 8,
  concurrency: 2,
  limit: 240_000,
  inMemory: true,
  canRun: volumesWork,
  mustSee: ["on ext4", "on xfs", "in the middle of writes", "right after an answer", "acknowledged"],
  open: Effect.map(shipped, (program) => ({ run: (seed) => chain(program, seed) }))
}
