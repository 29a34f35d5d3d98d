/**
 * The fiber that renews certificates: wakes when one is due, at least once an hour because clocks jump, and works
 * through what is due in rounds.
 *
 * Guarantees: at most {@link beside} certificates are renewed beside each other, the one that ends first before all
 * others; one that fails waits longer each time (RenewalPlan.ts), also when its row cannot be written; a CA, a disk or
 * a HAProxy that fails for everybody ends the round early, and the next one waits. It never takes anything away: the
 * certificate of before serves until the new one is proved. What a renewal is, is the engine's (`issue`).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Semaphore from "effect/Semaphore"
import type { Certificate } from "../../domain/Certificate.ts"
import { Cancelled, type ControlError, Internal, type StorageFailed } from "../../domain/Errors.ts"
import type { Certificates, Installed } from "./Certificates.ts"
import { noteFailure, oneLine } from "./Failures.ts"
import type { CertificatePlane } from "./Plane.ts"
import * as Advice from "./RenewalAdvice.ts"
import { dueMoment, nextMoment, roundPause, shortestPause } from "./RenewalPlan.ts"

/** Certificates that are renewed beside each other. */
export const beside = 4
/** Failures of the CA in a row, of whatever certificate, that end a round. */
const enough = 3
/** The fiber wakes at least so often, and begins rounds no closer to each other; milliseconds. */
const longestSleep = 3_600_000
const shortestSleep = 60_000
/** Readings of all rows that take longer, in milliseconds, take at most this part of the time. */
const shortReading = 5
const readingShare = 1 / 50
/** Until it looks again whether HAProxy can take certificates; milliseconds. */
const notReadyPause = 10_000

/** What renewals are made with. */
export interface RenewalOptions {
  readonly plane: Pick<CertificatePlane, "store" | "files" | "acme">
  /** Issues and installs, and leaves the row active with `renewAt` from `renewalOf`. */
  readonly issue: (
    request: { readonly name: string; readonly names: ReadonlyArray<string>; readonly summary: string }
  ) => Effect.Effect<Installed, ControlError>
  /** Could a certificate be installed now? A round by itself waits for it. */
  readonly ready: Effect.Effect<boolean>
  /** Runs after the row of a failed renewal was changed. */
  readonly noted: Effect.Effect<void>
}

export interface Renewals {
  /** Works for as long as it runs. */
  readonly run: Effect.Effect<never>
  /** One round now, whatever the CA did to the round before; see Certificates.renewDue. */
  readonly renewDue: Certificates["Service"]["renewDue"]
  /** See Certificates.nextAttempt. */
  readonly nextAttempt: (certificate: Certificate) => Effect.Effect<number | null>
  /** When it is due, without the pause after a failure; null: not renewed here. */
  readonly dueAt: (certificate: Certificate) => Effect.Effect<number | null>
  /** The same at a moment, for those who ask about thousands. */
  readonly momentOf: (certificate: Certificate, now: number) => number | null
  /** Rows have changed: look when the next one is due. */
  readonly wake: Effect.Effect<void>
}

/** What one attempt came to; `left`: not begun, because the round ended. */
type Attempt = "renewed" | "gone" | "left" | { readonly failed: ControlError }

/** How much of a round a failure ends: only this one's renewal, maybe the CA's whole service, or everything. */
const reach = (error: ControlError): "one" | "ca" | "all" =>
  error._tag === "AcmeFailed" ? (error.retryable ? "ca" : "one") : error._tag === "Internal" ? "ca" : "all"

export const make = ({ issue, noted, plane, ready }: RenewalOptions): Renewals => {
  const { store } = plane
  const advice = Advice.make(plane)
  const round = Semaphore.makeUnsafe(1)
  const woken = Effect.runSync(Queue.sliding<void>(1))
  /** Names that were tried → not before this time again, whatever their rows say. */
  const held = new Map<string, number>()
  /** Rounds in a row that ended early, and when the next one by itself may begin. */
  let early = { rounds: 0, until: 0 }

  const momentOf = (certificate: Certificate, now: number): number | null => {
    const next = nextMoment(certificate, advice.window(certificate), now)
    const until = held.get(certificate.name) ?? 0
    return next === null || until - now > shortestPause ? next : Math.max(next, until)
  }

  const attempt = Effect.fnUntraced(function*(name: string): Effect.fn.Return<Attempt, StorageFailed> {
    const now = yield* Clock.currentTimeMillis
    // Others may have renewed or removed it since the round began.
    const row = yield* store.certificate(name)
    const moment = row === null ? null : momentOf(row, now)
    if (row === null || moment === null || moment > now) return "gone"
    held.set(name, now + shortestPause)
    const exit = yield* Effect.exit(issue({
      name,
      names: row.facts.names,
      summary: `Renewed the certificate ${name}`
    }))
    if (Exit.isSuccess(exit)) {
      held.delete(name)
      return "renewed"
    }
    const error = Option.getOrNull(Exit.findErrorOption(exit))
    if (error !== null) return { failed: error }
    if (Cause.hasInterruptsOnly(exit.cause)) {
      return { failed: new Cancelled({ message: "The renewal was cancelled", hint: "It begins again by itself." }) }
    }
    yield* Effect.logError(`The renewal of ${name} died`, exit.cause)
    return { failed: new Internal({ message: "The renewal died", hint: "The server's log has the details." }) }
  })

  const renewDue: Renewals["renewDue"] = round.withPermit(Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const rows = (yield* store.certificates).filter((row) => row.source === "acme" && row.state === "active")
    for (const name of held.keys()) if (held.get(name)! <= now) held.delete(name)
    const due = rows
      .filter((row) => (momentOf(row, now) ?? Infinity) <= now)
      .sort((a, b) => a.facts.notAfter - b.facts.notAfter)
    const renewed: Array<string> = []
    const failed: Array<{ readonly certificate: string; readonly error: string }> = []
    let down = 0
    let over: ControlError | null = null
    let left = 0
    const one = Effect.fnUntraced(function*({ name }: Certificate) {
      if (over !== null) {
        left++
        return
      }
      const came = yield* attempt(name)
      if (came === "renewed") {
        down = 0
        renewed.push(name)
      } else if (typeof came === "object") {
        const error = came.failed
        failed.push({ certificate: name, error: oneLine(error.message) })
        const reaches = reach(error)
        if (reaches === "ca") down++
        if (reaches === "all" || down >= enough) over ??= error
        if (error._tag !== "Cancelled") yield* Effect.andThen(noteFailure(store, name, error), noted)
        yield* Effect.logWarning("A certificate could not be renewed").pipe(
          Effect.annotateLogs({ certificate: name, reason: oneLine(error.message) })
        )
      }
    })
    yield* Effect.forEach(due, one, { concurrency: beside, discard: true })
    const ended = over as ControlError | null
    if (ended === null) early = { rounds: 0, until: 0 }
    else {
      const rounds = early.rounds + 1
      early = { rounds, until: roundPause(rounds, yield* Random.next) + (yield* Clock.currentTimeMillis) }
      yield* Effect.logWarning("Renewals pause, because they fail for all certificates alike").pipe(
        Effect.annotateLogs({ left, reason: oneLine(ended.message), until: new Date(early.until).toISOString() })
      )
    }
    if (renewed.length > 0) {
      yield* Effect.logInfo("Certificates were renewed").pipe(
        Effect.annotateLogs({ renewed: renewed.length, failed: failed.length, left })
      )
    }
    return { due: due.length, renewed, failed, skipped: rows.length - due.length + left }
  }))

  /** When the next round by itself begins. */
  const nextRound = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    let next = Infinity
    for (const row of yield* store.certificates) next = Math.min(next, momentOf(row, now) ?? Infinity)
    // A pause longer than any comes from another clock.
    const paused = early.until - now > roundPause(early.rounds, 1) ? 0 : early.until
    return Math.max(next, paused) - now
  })

  const turn = Effect.gen(function*() {
    const began = performance.now()
    const wait = yield* nextRound
    // Many changes after one another: reading thousands of rows for each would hold up the next one.
    const took = performance.now() - began
    if (wait > 0) {
      const paused = took > shortReading ? Math.min(wait, took / readingShare) : 0
      if (paused > 0) yield* Effect.sleep(paused)
      yield* Effect.timeoutOption(Queue.take(woken), Math.min(wait - paused, longestSleep))
      return
    }
    if (!(yield* ready)) return yield* Effect.sleep(notReadyPause)
    yield* renewDue
    yield* Effect.sleep(shortestSleep)
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.andThen(Effect.logError("The renewal of certificates stumbled", cause), Effect.sleep(shortestSleep))
    )
  )

  const wake = Effect.asVoid(Queue.offer(woken, undefined))

  return {
    run: Effect.andThen(Effect.forkChild(advice.run(wake)), Effect.forever(turn)),
    renewDue,
    nextAttempt: (certificate) => Effect.map(Clock.currentTimeMillis, (now) => momentOf(certificate, now)),
    dueAt: (certificate) =>
      Effect.map(Clock.currentTimeMillis, (now) => dueMoment(certificate, advice.window(certificate), now)),
    momentOf,
    wake
  }
}
