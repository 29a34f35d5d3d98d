/**
 * The pod is lost: `kill -9` of a control plane while clients write some fifty times a second, and its local disk is wiped
 * each time. What was acknowledged must be in the newest copy on the remote host, and the next pod, which begins with
 * nothing, brings HAProxy and its files to exactly that.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeFarSite } from "../lab/FarSite.ts"
import { labsWork } from "../lab/Lab.ts"
import { Dice } from "../program/Verbs.model.ts"
import { poll } from "../support/Poll.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { type Campaign, counting, type Tally } from "./Campaign.ts"
import { type Shipped, shipped } from "./Life.ts"
import { lateStarts, pod, startBin } from "./Pod.ts"
import { acknowledgedBy, base, checkAndLearn, Writer, writeUntilGone } from "./Writers.ts"

const clients = 6
/** Milliseconds between two writes of one client: fifty a second in all. */
const pace = 120
const kills = 10
/** A pod is killed within so many milliseconds of its start; or so many after some acknowledged write, of the first 8. */
const startTime = 400
const writes = 8
const writeTime = 60

const after = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const chain = (program: Shipped, seed: number) =>
  Effect.gen(function*() {
    const dice = new Dice(seed)
    const far = yield* makeFarSite({ binary: realLines[seed % realLines.length]! })
    const writers = Array.from({ length: clients }, (_, id) => new Writer(id, new Dice(seed * 64 + id)))
    const tally: Record<string, number> = {}
    const count = counting(tally)
    const acknowledged = () => acknowledgedBy(writers)
    const begin = Effect.fnUntraced(function*(note: string) {
      const began = performance.now()
      const one = yield* pod(program, far)
      assert.isTrue(yield* Effect.promise(() => one.ready()))
      count(startBin(performance.now() - began))
      const dump = yield* far.agree(note)
      checkAndLearn(writers, dump, note)
      return one
    })
    yield* Effect.scoped(Effect.gen(function*() {
      const first = yield* begin(`at the first start (seed ${seed})`)
      const code = yield* Effect.promise(() =>
        first.client()("haproxy_add_domain", { domain: base.domain, ip: base.ip })
      )
      assert.strictEqual(code, "OK")
    }))
    for (let kill = 1; kill <= kills; kill++) {
      const note = `(seed ${seed}, kill ${kill})`
      yield* Effect.scoped(Effect.gen(function*() {
        if (dice.next(5) === 0) {
          const one = yield* pod(program, far)
          yield* Effect.promise(async () => {
            await after(dice.next(startTime))
            await one.kill()
          })
          count("killed at its start")
          return
        }
        const one = yield* begin(note)
        yield* Effect.promise(async () => {
          const begun = acknowledged()
          const writing = Promise.all(writers.map((writer) => writeUntilGone(writer, one.client(), pace)))
          const enough = 1 + dice.next(writes)
          await Promise.race([poll("writes go through", () => acknowledged() >= begun + enough || undefined), writing])
          await after(dice.next(writeTime))
          await one.kill()
          await writing
        })
        count("killed while it wrote")
      }))
    }
    yield* Effect.scoped(begin(`at the end (seed ${seed})`))
    count("acknowledged", acknowledged())
    return tally
  }).pipe(Effect.scoped)

export const podLoss: Campaign = {
  name: "pod-loss",
  title: "kill -9 of the control plane under fifty writes a second, its disk wiped each time; the next one has it all",
  unit: "kills",
  perCase: kills,
  full: 2_000,
  short: 200,
  minutes: 12,
  // Starts are judged: several at once on one processor would measure each other.
  concurrency: 1,
  limit: 240_000,
  inMemory: true,
  canRun: labsWork,
  mustSee: ["killed at its start", "killed while it wrote", "acknowledged"],
  holds: (tally: Tally) => lateStarts(tally),
  open: Effect.map(shipped, (program) => ({ run: (seed) => chain(program, seed) }))
}
