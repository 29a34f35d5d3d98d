/**
 * Gives memory back to the system after large work. Comparing or importing 100,000 domains leaves some 200 MB of
 * pages in V8's pools around 20 MB that live (seen on Node 24.21), and V8 keeps them for as long as the process is
 * quiet. Once it is, the heap is collected as when memory runs out, which takes 30 to 80 ms and returns the pages.
 *
 * For a process that is ours alone: a program that embeds the layers decides about its own heap.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { performance } from "node:perf_hooks"
import { getHeapStatistics, setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

type Collect = (options: { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" }) => void

/** Milliseconds between looks. */
const every = 2_000
/** A heap of this many bytes is left alone. */
const small = 64 * 1024 * 1024
/** Share of a look's time that the process may have been busy: above, somebody waits for it. */
const quiet = 0.1

let collect: Collect | undefined

/** Node hands the collector out under a flag only; this is the way to it in a process that runs. */
const collector = (): Collect => {
  if (collect === undefined) {
    setFlagsFromString("--expose-gc")
    collect = runInNewContext("gc") as Collect
    setFlagsFromString("--no-expose-gc")
  }
  return collect
}

/** Collects what can be collected and returns the pages. Answers the bytes of the heap before and after. */
export const trim = (): { readonly before: number; readonly after: number } => {
  const before = getHeapStatistics().total_heap_size
  collector()({ type: "major", execution: "sync", flavor: "last-resort" })
  return { before, after: getHeapStatistics().total_heap_size }
}

/** Trims the heap whenever it has grown to more than twice of what it was after the last time, and nobody waits. */
export const layer: Layer.Layer<never> = Layer.effectDiscard(Effect.suspend(() => {
  let floor = small / 2
  let last = performance.eventLoopUtilization()
  const look = Effect.suspend(() => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    if (utilization > quiet || getHeapStatistics().total_heap_size < Math.max(small, 2 * floor)) return Effect.void
    const { after, before } = trim()
    floor = after
    return Effect.logDebug("heap trimmed", { before, after })
  })
  return Effect.forkScoped(Effect.repeat(look, Schedule.spaced(every)))
}))
