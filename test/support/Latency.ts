/**
 * How long requests through HAProxy take while something else goes on. Visitors and the server behind HAProxy live in a
 * thread of their own, so that a busy test does not look like a slow HAProxy.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"

/** Whom to visit. */
export interface Visit {
  /** HAProxy's port. */
  readonly port: number
  readonly host: string
  /** How many visit at once, each on a connection of its own. */
  readonly visitors: number
}

/** Milliseconds of the requests that ended since the last tally, and what went wrong, in words. */
export interface LatencyTally {
  readonly requests: number
  readonly failures: ReadonlyArray<string>
  readonly p50: number
  readonly p99: number
  readonly worst: number
}

export interface Latency {
  /** Of the server on 127.0.0.1 that HAProxy shall send the visits to. */
  readonly originPort: number
  /** Begins to visit, without end. */
  readonly visit: (whom: Visit) => Effect.Effect<void>
  /** What happened since it was asked last. */
  readonly tally: Effect.Effect<LatencyTally>
}

/** Asks the thread; it answers one message for each. */
const ask = (worker: Worker, message: Visit | "tally" | "port"): Effect.Effect<unknown> =>
  Effect.promise(() =>
    new Promise((resolve, reject) => {
      worker.once("error", reject)
      worker.once("message", (answer) => {
        worker.off("error", reject)
        resolve(answer)
      })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(message)
    })
  )

/** Lives as long as the scope. */
export const startLatency: Effect.Effect<Latency, never, Scope.Scope> = Effect.gen(function*() {
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(new URL("./LatencyWorker.ts", import.meta.url))),
    (started) => Effect.promise(() => started.terminate())
  )
  return {
    originPort: (yield* ask(worker, "port")) as number,
    visit: (whom) => Effect.asVoid(ask(worker, whom)),
    tally: Effect.map(ask(worker, "tally"), (tally) => tally as LatencyTally)
  }
})
