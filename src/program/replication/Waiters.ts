/** Those who wait for commits to be durable on the remote host, and what they are told. Each wait ends by its deadline. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Publication } from "./Publisher.ts"

/** A timer holds no more, milliseconds. */
const longestWait = 2 ** 31 - 1

export const durable: Publication = { _tag: "Durable" }

interface Waiter {
  readonly commits: number
  readonly done: Deferred.Deferred<Publication>
}

export class Waiters {
  #waiting: ReadonlyArray<Waiter> = []

  /** So many commits are there. */
  reached(commits: number): void {
    const done = this.#waiting.filter((one) => one.commits <= commits)
    this.#waiting = this.#waiting.filter((one) => one.commits > commits)
    for (const { done: deferred } of done) Deferred.doneUnsafe(deferred, Effect.succeed(durable))
  }

  /** Nothing arrives any more. */
  end(reason: string): void {
    const all = this.#waiting
    this.#waiting = []
    for (const { done } of all) Deferred.doneUnsafe(done, Effect.succeed<Publication>({ _tag: "Unknown", reason }))
  }

  /**
   * Waits for commits to be there, at most to `deadline` (ms since 1970). They are waited for from the call on, not from when the
   * effect runs. `reason`: what keeps them, where something does.
   */
  wait(commits: number, deadline: number, reason: () => string): Effect.Effect<Publication> {
    const waiter: Waiter = { commits, done: Deferred.makeUnsafe() }
    this.#waiting = [...this.#waiting, waiter]
    return Deferred.await(waiter.done).pipe(
      Effect.timeoutOrElse({
        duration: Math.min(longestWait, Math.max(1, deadline - Date.now())),
        orElse: () =>
          Effect.sync((): Publication => ({ _tag: "Unknown", reason: reason() || "it did not answer in time" }))
      }),
      Effect.ensuring(Effect.sync(() => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter)
      }))
    )
  }
}
