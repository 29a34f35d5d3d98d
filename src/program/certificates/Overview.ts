/**
 * All certificates in a few numbers, for health and metrics.
 *
 * For metrics the rows are kept as they were after the last change: whoever changes one says so ({@link Overview.changed}),
 * and they are read again soon, but never so often that reading 10,000 of them would be work worth speaking of. What
 * depends on the time (valid, expired) is reckoned when somebody asks.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Certificate } from "../../domain/Certificate.ts"
import type { Store } from "../../store/Store.ts"
import type { Folder } from "./Folder.ts"
import type { CertificateStatus } from "./Shapes.ts"
import { type Standing, standings, statuses, statusOf } from "./Standing.ts"

/** See the module's head. Times in milliseconds since 1970. */
export interface Numbers {
  readonly counts: Readonly<Record<CertificateStatus, number>>
  readonly total: number
  /** Their last attempt failed. */
  readonly failing: number
  /** The most failures in a row of any. */
  readonly failuresInARow: number
  /** When the first of those that there are ends (or ended); null: there are none. */
  readonly nextExpiry: number | null
  /** When the next one is renewed or tried again; null: none is. */
  readonly nextAttempt: number | null
}

/** Counts at a moment. `momentOf` says when one is renewed or tried again. */
export const numbersOf = (
  all: ReadonlyArray<Standing>,
  now: number,
  momentOf: (certificate: Certificate, now: number) => number | null
): Numbers => {
  const counts = Object.fromEntries(statuses.map((status) => [status, 0])) as Record<CertificateStatus, number>
  let failing = 0
  let failuresInARow = 0
  let nextExpiry = Infinity
  let nextAttempt = Infinity
  for (const one of all) {
    counts[statusOf(one, now)]++
    if (one.file?.facts != null) nextExpiry = Math.min(nextExpiry, one.file.facts.notAfter)
    if (one.row === null) continue
    if (one.row.failures > 0) failing++
    failuresInARow = Math.max(failuresInARow, one.row.failures)
    nextAttempt = Math.min(nextAttempt, momentOf(one.row, now) ?? Infinity)
  }
  return {
    counts,
    total: all.length,
    failing,
    failuresInARow,
    nextExpiry: nextExpiry === Infinity ? null : nextExpiry,
    nextAttempt: nextAttempt === Infinity ? null : nextAttempt
  }
}

export interface Overview {
  /** Rows or files have changed. */
  readonly changed: Effect.Effect<void>
  /** Reads rows again after changes, for as long as it runs. */
  readonly run: Effect.Effect<never>
  /** As last read. */
  readonly all: () => ReadonlyArray<Standing>
}

/** Readings take at most this part of the time. */
const share = 1 / 20
const shortestPause = 50

export const make = (store: Store["Service"], folder: Folder): Overview => {
  const woken = Effect.runSync(Queue.sliding<void>(1))
  let all: ReadonlyArray<Standing> = []
  const read = Effect.gen(function*() {
    const began = performance.now()
    const files = yield* folder.look
    all = standings(yield* store.certificates, files)
    return performance.now() - began
  }).pipe(Effect.catch((error) => Effect.as(Effect.logDebug(error.message), 1_000)))
  return {
    changed: Effect.asVoid(Queue.offer(woken, undefined)),
    run: Effect.forever(Effect.gen(function*() {
      const took = yield* read
      yield* Effect.sleep(Math.max(shortestPause, took / share))
      yield* Queue.take(woken)
    })),
    all: () => all
  }
}
