/**
 * One certificate from a checked bundle to an acknowledgement, top to bottom:
 *
 *   1 file      written durably under a name that nobody reads, while HAProxy reads the same (`set ssl cert`)
 *   2 HAProxy   the file is put in place; then HAProxy takes it, adds it to its list and is read back
 *   3 proof     a TLS handshake shows it
 *   4 database  its row and the change, in one commit
 *
 * A dry run ends before 1.  * What fails before the commit is taken back: the file, and what HAProxy had in memory. A lost link is waited for until
 * the deadline, and HAProxy looked at anew; when it is still away then, the file decides: not in place yet, nothing has
 * happened; in place, the change goes forward as soon as HAProxy is back, and the caller is told that it is not known.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import { type Certificate, type CertificateSource, validityAt } from "../../domain/Certificate.ts"
import { Conflict, type ControlError, HaproxyRefused, RemoteUnreachable } from "../../domain/Errors.ts"
import * as Commands from "../../haproxy/CertificateCommands.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import type { StagedCertificate } from "../../haproxy/certificates/CertificateFiles.ts"
import { ownFile } from "../../haproxy/certificates/FileNames.ts"
import * as Haproxy from "../../haproxy/certificates/Install.ts"
import { pathIn, type Place } from "../../haproxy/certificates/Place.ts"
import * as Info from "../../haproxy/InfoCommands.ts"
import { LinkLost } from "../../haproxy/RuntimeApi.ts"
import * as Tracing from "../../Tracing.ts"
import * as Endings from "../Endings.ts"
import type { Installed } from "./Certificates.ts"
import { endOfCertificateDryRun } from "./Foresight.ts"
import * as Metrics from "./Metrics.ts"
import type { Proof } from "./Proof.ts"
import * as Staging from "./Staging.ts"
import {
  findPlaceBy,
  isGone,
  isSame,
  noPlace,
  outcomeUnknown,
  ownerOf,
  readOld,
  unreachable,
  untilHeard,
  type Workshop
} from "./Workshop.ts"

export interface InstallRequest {
  /** The change that it is, if it is one. */
  readonly changeId: string
  readonly name: string
  readonly bundle: CertificateBundle
  readonly source: CertificateSource
  readonly summary: string
  readonly renewAt: number | null
}

/** Milliseconds that taking back may have when the deadline has passed. */
const takeBackTime = 3_000

/**
 * How often a handshake must show something else, and milliseconds in between: the new worker of a reload answers for
 * some moments before the old one, which was asked, says that it is stopping.
 */
const looks = 3
const lookAgain = 100

/** The row that an install leaves. */
const rowOf = ({ bundle, name, renewAt, source }: InstallRequest): Certificate => ({
  name,
  source,
  state: "active",
  facts: bundle.facts,
  renewAt,
  nextAttempt: null,
  failures: 0,
  lastError: null
})

/** Is the row as this install would leave it? */
const isRecorded = (row: Certificate | null, { bundle, renewAt, source }: InstallRequest): boolean =>
  row !== null && row.state === "active" && row.source === source && isSame(row.facts, bundle.facts)
  && row.renewAt === renewAt

/** Does HAProxy's worker of now hold exactly this, in use? */
const holds = Effect.fnUntraced(
  function*({ plane: { runtime } }: Workshop, place: Place, file: string, bundle: CertificateBundle, deadline: number) {
    const timeout = Math.max(1, deadline - Date.now())
    const link = yield* runtime.link
    const [info, shown] = yield* runtime.exchange([Info.show, Commands.show(pathIn(place, file))], { timeout })
    if (Result.isFailure(info) || Result.isFailure(shown)) return false
    // A worker that a reload told to stop says what nobody sees any more.
    if (info.success.stopping || link._tag !== "Up" || info.success.pid !== link.epoch.pid) {
      yield* runtime.reset("another worker took over")
      return yield* new LinkLost({ reason: "the worker that answered is stopping", sent: false })
    }
    return Haproxy.difference(shown.success, bundle.facts) === null
  }
)

/** A proof that speaks against the install, as an error. */
const refuted = Effect.fnUntraced(
  function*(shop: Workshop, name: string, proof: Extract<Proof, { readonly _tag: "Other" | "None" }>) {
    if (proof._tag === "None") {
      return new HaproxyRefused({
        message: `HAProxy holds ${name}, but a TLS handshake for ${proof.serverName} gets no certificate`,
        hint: "Nothing was changed. Check that the bind at HAPROXY_TLS_ADDRESS loads this folder."
      })
    }
    const file = yield* ownerOf(shop, proof.sha256)
    return new Conflict({
      message: `HAProxy answers for ${proof.serverName} with another certificate: `
        + `${file === null ? "" : `${file}, `}SHA-256 ${proof.sha256}`,
      hint: file === null
        ? "Nothing was changed. Another list or bind of HAProxy serves it: take it out there, or set HAPROXY_TLS_ADDRESS."
        : "Nothing was changed. Delete the other certificate first, or leave the name to it.",
      field: "domain"
    })
  }
)

/** Sentences about a certificate that was installed as it is. */
const warningsOf = ({ bundle, name }: InstallRequest, proof: Proof): ReadonlyArray<string> => {
  const validity = validityAt(bundle.facts, Date.now())
  return [
    ...bundle.warnings,
    ...(validity === "expired" ? [`${name} has expired: clients refuse it`] : []),
    ...(validity === "not_yet_valid" ? [`${name} is not valid yet, or this machine's clock is behind`] : []),
    ...(proof._tag === "Unknown"
      ? [`No TLS handshake proved it: ${proof.reason}; set HAPROXY_TLS_ADDRESS to where HAProxy answers TLS`]
      : [])
  ]
}

const noteProof = ({ _tag }: Proof): Effect.Effect<void> =>
  Metrics.proved(_tag === "Shown" ? "ok" : _tag === "Unknown" ? "unreachable" : "wrong")

/**
 * Takes back what an install did to HAProxy and to the file. Answers whether both are as before. What HAProxy had in
 * memory without a file cannot be given back: then it keeps the new one, and the next comparison says so.
 */
const takeBack = Effect.fnUntraced(
  function*(
    shop: Workshop,
    place: Place,
    staged: StagedCertificate,
    old: CertificateBundle | null,
    fresh: boolean | null,
    deadline: number
  ) {
    const restored = yield* Effect.result(staged.restore)
    const latest = Math.max(deadline, Date.now() + takeBackTime)
    if (old === null && fresh !== true) {
      yield* shop.doubt
      return false
    }
    const reverted = yield* Effect.result(
      untilHeard(shop, latest, Haproxy.revert(shop.plane.runtime, place, staged.file, old, latest))
    )
    const clean = Result.isSuccess(restored) && Result.isSuccess(reverted) && !isGone(reverted.success)
    if (!clean) yield* shop.doubt
    return clean
  }
)

/** The protocol; the caller holds the permit and lets nothing interrupt it. */
const protocol = Effect.fnUntraced(
  function*(shop: Workshop, request: InstallRequest, deadline: number): Effect.fn.Return<Installed, ControlError> {
    const { ledger, plane } = shop
    const { bundle, name, summary } = request
    const row = yield* plane.store.certificate(name)
    const old = yield* readOld(shop, name)
    const { changeId } = request
    const first = yield* findPlaceBy(shop, deadline)
    if (first._tag === "Gone") return yield* unreachable(first.reason)
    if (first._tag === "NoPlace") return yield* noPlace(first)
    let place = first.place

    const answer = (proof: Proof, changed: boolean, revision: number): Installed => ({
      certificate: changed || row === null ? rowOf(request) : row,
      changed,
      changeId: changed ? changeId : null,
      revision,
      proved: proof._tag === "Shown",
      warnings: warningsOf(request, proof)
    })

    if (isRecorded(row, request) && isSame(old?.facts, bundle.facts)) {
      const file = yield* plane.files.fileOf(name)
      const there = file !== null
        && (yield* untilHeard(shop, deadline, holds(shop, place, file, bundle, deadline))) === true
      if (there) {
        const proof = yield* shop.prove(bundle.facts, deadline)
        yield* noteProof(proof)
        if (proof._tag === "Shown" || proof._tag === "Unknown") {
          shop.serves(name, bundle.facts.sha1)
          return answer(proof, false, yield* plane.store.revision)
        }
      }
    }

    const known = (yield* plane.files.fileOf(name)) ?? ownFile(name)
    yield* endOfCertificateDryRun(plane.store, {
      name,
      names: bundle.facts.names,
      summary: `${summary}; HAProxy serves it`,
      files: [`${plane.files.folder}/${known}`],
      steps: [
        `HAProxy takes ${known}${old === null ? "" : " in place of what it serves from it"}; a handshake proves it`
      ],
      warnings: bundle.warnings
    })
    const staged = yield* Staging.begin(plane.files, name, bundle)
    const { file } = staged
    return yield* Effect.gen(function*() {
      let published = false
      /** HAProxy had nothing under this path; null: not looked at yet. */
      let fresh: boolean | null = null
      const publish = Effect.suspend(() =>
        published ? Effect.void : Effect.onExit(staged.publish, (exit) => {
          // Where the host was lost meanwhile, it may have been.
          published = Exit.isSuccess(exit) || Cause.squash(exit.cause) instanceof RemoteUnreachable
          return Effect.void
        })
      )
      /** 2 and 3: a whole attempt on the worker that answers now. */
      const attempt = Effect.gen(function*() {
        const now = yield* findPlaceBy(shop, deadline)
        if (now._tag === "Gone") return yield* new LinkLost({ reason: now.reason, sent: now.sent })
        if (now._tag === "NoPlace") return yield* noPlace(now)
        place = now.place
        const found = (shown: Commands.ShownCertificate | null) => {
          fresh ??= shown === null
        }
        yield* Haproxy.install(plane.runtime, place, file, bundle, { publish, found, before: old, deadline })
        for (let look = 1;; look++) {
          const proof = yield* shop.prove(bundle.facts, deadline)
          yield* noteProof(proof)
          if (!(yield* holds(shop, place, file, bundle, deadline))) {
            return yield* new HaproxyRefused({
              message: `HAProxy does not keep ${name} as it was set`,
              hint: "Somebody else may be changing certificates in HAProxy at the same time. Try again."
            })
          }
          if (proof._tag === "Shown" || proof._tag === "Unknown") return proof
          if (look === looks) return yield* yield* refuted(shop, name, proof)
          yield* Effect.sleep(lookAgain)
        }
      })
      const live = yield* Effect.result(untilHeard(shop, deadline, attempt))

      if (Result.isFailure(live)) {
        // Before the file was in place HAProxy was told to take nothing, and what it was told is taken back already.
        const clean = !published || (yield* takeBack(shop, place, staged, old, fresh, deadline))
        if (clean) return yield* live.failure
        return yield* yield* takenBack(shop, request, row, live.failure.message)
      }
      if (isGone(live.success)) {
        if (!published) {
          if (live.success.sent) yield* shop.doubt
          return yield* unreachable(live.success.reason)
        }
        yield* shop.doubt
        yield* ledger.commit({ changeId, name, row: rowOf(request), summary }, "pending").pipe(
          // Nobody would know why: HAProxy keeps, or gets back, what it had.
          Effect.catchTag("StorageFailed", () => Effect.ignore(staged.restore)),
          Effect.catchTag("CommitUncertain", () => Effect.void)
        )
        return yield* outcomeUnknown(`HAProxy did not answer in time (${live.success.reason})`, changeId)
      }

      const proof = live.success
      const committed = yield* Effect.result(ledger.commit({ changeId, name, row: rowOf(request), summary }, "applied"))
      if (Result.isFailure(committed)) {
        if (committed.failure._tag === "CommitUncertain") {
          yield* shop.doubt
          return yield* Endings.commitUncertain(committed.failure.message, changeId)
        }
        const clean = yield* takeBack(shop, place, staged, old, fresh, deadline)
        return yield* clean ? committed.failure : outcomeUnknown(committed.failure.message, changeId)
      }
      shop.serves(name, bundle.facts.sha1)
      return answer(proof, true, committed.success)
    }).pipe(Effect.ensuring(staged.discard))
  }
)

/** The file is as before and HAProxy will be: the log says so, and the caller that it is not known yet. */
const takenBack = Effect.fnUntraced(
  function*(shop: Workshop, request: InstallRequest, row: Certificate | null, why: string) {
    const { changeId, name, summary } = request
    yield* Effect.ignore(shop.ledger.commit({ changeId, name, row, summary }, "reverted"))
    return outcomeUnknown(`${why}. It was taken back, but HAProxy has not confirmed that yet`, changeId)
  }
)

/** Installs; see the module's head. `deadline` in milliseconds since 1970. */
export const install = Tracing.fn("Certificates.install")(
  function*(shop: Workshop, request: InstallRequest, deadline: number): Effect.fn.Return<Installed, ControlError> {
    return yield* protocol(shop, request, deadline).pipe(
      Effect.tap((installed) => installed.changed ? Metrics.installed("ok") : Effect.void),
      Effect.tapError(() => Metrics.installed("failed"))
    )
  }
)
