/**
 * Keeps HAProxy at the folder of certificates: compares on start, on every new connection (so on every new worker),
 * when somebody has a doubt, and every ten minutes; and knows how things stand.
 *
 * Guarantees: comparisons and changes never overlap (the permit); the folder is read before the permit is taken, so that
 * 10,000 certificates that are read for the first time hold up nobody; a comparison that failed is tried again.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { type ControlError, HaproxyUnreachable, TimedOut } from "../../domain/Errors.ts"
import { Caller } from "../Caller.ts"
import * as LostCommands from "../LostCommands.ts"
import type { CertificatesState } from "./Certificates.ts"
import type { Folder } from "./Folder.ts"
import * as Metrics from "./Metrics.ts"
import type { CertificatePlane } from "./Plane.ts"
import { restore } from "./Restore.ts"
import { follow } from "./Rows.ts"

export interface RestorerOptions {
  readonly plane: CertificatePlane
  readonly folder: Folder
  /** Of all changes of certificates. */
  readonly permit: Semaphore.Semaphore
  /** Runs under the permit after every comparison that came to its end. */
  readonly compared: (state: CertificatesState) => Effect.Effect<void>
  /** Milliseconds between comparisons that nothing asked for. Default: ten minutes. */
  readonly every?: number
}

export interface Restorer {
  readonly state: Effect.Effect<CertificatesState>
  /** Compares now, within the caller's timeout. */
  readonly restore: Effect.Effect<CertificatesState, ControlError>
  /** HAProxy may not hold what the folder holds: compare soon. */
  readonly doubt: Effect.Effect<void>
  /** HAProxy serves this now under a name; null: nothing. For those who hold the permit. */
  readonly serves: (name: string, sha1: string | null) => void
  /** How many certificates of ours HAProxy serves; 0 while that is not known. */
  readonly loaded: () => number
  /** Works for as long as it runs. */
  readonly run: Effect.Effect<never>
}

const tenMinutes = 600_000
/** Time that a comparison of its own may take, milliseconds: 10,000 certificates that HAProxy lacks fit. */
const longest = 120_000
/** Pause before a comparison that failed is tried again, milliseconds: the first, and the longest. */
const firstPause = 200
const longestPause = 30_000

export const make = ({ compared, every = tenMinutes, folder, permit, plane }: RestorerOptions): Restorer => {
  const woken = Effect.runSync(Queue.sliding<void>(1))
  let state: CertificatesState = {
    status: "unknown",
    reason: "HAProxy has not been compared with the folder yet",
    loaded: null,
    problems: [],
    lastRunAt: null
  }
  /** {@link CertificatesState.loaded}, to be changed in place: with 10,000 names a copy for each change costs more. */
  let loaded: Map<string, string> | null = null
  /** What a lost connection left may still be run, after a comparison that did not see it. */
  const lost = LostCommands.make(plane.runtime)
  /** The connection of the last comparison. */
  let seen = 0

  const fail = Effect.fnUntraced(function*(status: "unknown" | "error", reason: string) {
    const before = state.reason
    loaded = null
    state = { ...state, status, reason, loaded }
    yield* Metrics.restored(null)
    if (before !== reason) {
      yield* Effect.logWarning("HAProxy's certificates could not be compared with the folder").pipe(
        Effect.annotateLogs({ reason })
      )
    }
  })

  /** Under the permit: the folder, the rows and HAProxy of this moment. Nothing interrupts it half-way. */
  const compare = (deadline: number) =>
    Effect.uninterruptible(Effect.gen(function*() {
      yield* lost.settle
      const files = yield* folder.look
      const rows = yield* follow(plane.store, files)
      const found = yield* restore(plane, files, rows, deadline)
      const before = state.reason
      loaded = found.state.loaded === null ? null : new Map(found.state.loaded)
      state = { ...found.state, loaded }
      yield* Metrics.restored(found.repaired)
      yield* compared(state)
      if (found.repaired > 0 || before !== state.reason) {
        yield* Effect.logInfo("HAProxy's certificates are those of the folder").pipe(
          Effect.annotateLogs({ loaded: loaded?.size ?? 0, restored: found.repaired, problems: state.problems })
        )
      }
      return state
    }))

  /** Reads what is new in the folder first, while others work. */
  const once = (deadline: () => number) =>
    Effect.andThen(folder.look, permit.withPermit(Effect.suspend(() => compare(deadline())))).pipe(
      Effect.tapError((error) =>
        error._tag === "LinkLost" ? fail("unknown", error.reason) : fail("error", error.message)
      )
    )

  const now = Effect.gen(function*() {
    const { timeout } = yield* Caller
    const deadline = Date.now() + timeout
    return yield* once(() => deadline).pipe(
      Effect.catchTag("LinkLost", ({ reason }) =>
        Effect.fail(
          new HaproxyUnreachable({
            message: `HAProxy cannot be reached: ${reason}`,
            hint: "Check that HAProxy runs and that its Runtime API socket is the configured one."
          })
        )),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: (): Effect.Effect<never, ControlError> =>
          Effect.fail(
            new TimedOut({
              message: "The deadline passed before HAProxy's certificates were compared",
              hint: "It goes on by itself; ask again in a moment."
            })
          )
      }),
      Effect.tapError(() => doubt)
    )
  })

  const doubt = Effect.asVoid(Queue.offer(woken, undefined))

  const loop = Effect.gen(function*() {
    let pause = firstPause
    for (;;) {
      const link = yield* plane.runtime.link
      if (link._tag === "Down") {
        if (state.reason !== link.reason) yield* fail("unknown", link.reason)
        yield* Queue.take(woken)
        continue
      }
      seen = link.connection
      const result = yield* Effect.result(once(() => Date.now() + longest))
      if (Result.isSuccess(result)) {
        pause = firstPause
        const again = yield* lost.nextLook
        yield* Effect.timeoutOption(Queue.take(woken), again === null ? every : Math.min(again, every))
      } else {
        yield* Effect.timeoutOption(Queue.take(woken), pause)
        pause = Math.min(pause * 2, longestPause)
      }
    }
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.andThen(
        Effect.logError("The comparison of certificates died", cause),
        Effect.andThen(fail("error", "an internal error; see the log"), Effect.sleep(longestPause))
      )
    ),
    Effect.forever
  )

  return {
    state: Effect.sync(() => state),
    restore: now,
    doubt,
    serves: (name, sha1) => {
      if (sha1 === null) loaded?.delete(name)
      else loaded?.set(name, sha1)
    },
    loaded: () => loaded?.size ?? 0,
    run: Effect.andThen(
      Effect.forkChild(Stream.runForEach(
        plane.runtime.links,
        (link) => link._tag === "Up" && link.connection === seen ? Effect.void : doubt
      )),
      loop
    )
  }
}
