/**
 * Adds domains in this process, one caller and many in turn, and prints rates as JSON. A process of its own, so that
 * its disk can be made slow. Argument: a {@link Task} as JSON. Ends by itself, and when its standard input closes.
 */
import * as Effect from "effect/Effect"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import type { Site } from "../../test/support/RealHaproxy.ts"
import { rateOf, ratesInTurn } from "../Load.ts"
import { describeFsync } from "../Machine.ts"
import { type Plane, startPlane } from "../Plane.ts"
import { freshName, ownerOf } from "../Population.ts"
import { makeProfiler, noProfiler } from "../Profile.ts"

/** What to do. */
export interface Task {
  readonly site: Site
  readonly database: string
  readonly callers: number
  readonly rounds: number
  /** Additions of one round by one caller, and by all. */
  readonly single: number
  readonly many: number
  readonly profile: boolean
}

/** Additions per second, round by round. */
export interface Rates {
  readonly one: ReadonlyArray<number>
  readonly many: ReadonlyArray<number>
  /** Milliseconds of one small fsync in this process. */
  readonly fsync: number
}

process.stdin.once("close", () => process.exit(1)).resume()

const task = JSON.parse(process.argv[2]!) as Task

const side = (plane: Plane, callers: number, calls: number) => async () => {
  const names = Array.from({ length: calls }, freshName)
  const rate = await rateOf(
    callers,
    calls,
    (_, index) => plane.run(addDomain({ domain: names[index]!, share_with: ownerOf(index) }))
  )
  await Promise.all(names.map((domain) => plane.run(removeDomain({ domain }))))
  return rate
}

const program = Effect.gen(function*() {
  const plane = yield* startPlane(task.site, task.database, true)
  const sides = { one: side(plane, 1, task.single), many: side(plane, task.callers, task.many) }
  return yield* Effect.promise(async (): Promise<Rates> => {
    await ratesInTurn(1, sides)
    const rates = await ratesInTurn(task.rounds, sides)
    const profiler = task.profile ? makeProfiler("bench/results", (text) => console.error(text)) : noProfiler
    await profiler.record("many-callers", () => ratesInTurn(3, { many: sides.many }))
    return { ...rates, fsync: describeFsync(task.site.dir).p50 }
  })
})

console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(program))))
process.exit(0)
