/**
 * One certificate taken away, top to bottom:
 *
 *   1 HAProxy   out of its list and of its memory; refused, when it is a bind's default certificate
 *   2 file      out of the folder, with a way back
 *   3 database  the row goes with the change that says so: from here on it is decided
 *   4 file      the way back goes
 *
 * A dry run ends before 1.
 *
 * What fails before 3 is taken back. A process that dies before 3 has the file back at its next start, and HAProxy gets
 * it again; one that dies after 3 finishes the deletion then ({@link finish}).
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ControlError, StorageFailed } from "../../domain/Errors.ts"
import * as Commands from "../../haproxy/CertificateCommands.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import * as Haproxy from "../../haproxy/certificates/Install.ts"
import { pathIn, type Place } from "../../haproxy/certificates/Place.ts"
import * as Info from "../../haproxy/InfoCommands.ts"
import { LinkLost } from "../../haproxy/RuntimeApi.ts"
import * as Tracing from "../../Tracing.ts"
import * as Endings from "../Endings.ts"
import { endOfCertificateDryRun } from "./Foresight.ts"
import { deletedSummary } from "./Ledger.ts"
import {
  findPlaceBy,
  isGone,
  noPlace,
  outcomeUnknown,
  readOld,
  unreachable,
  untilHeard,
  type Workshop
} from "./Workshop.ts"

export interface RemoveRequest {
  /** The change that it is, if it is one. */
  readonly changeId: string
  readonly name: string
  readonly warnings?: ReadonlyArray<string>
}

/** What a removal did. */
export interface Removed {
  readonly changed: boolean
  readonly changeId: string | null
  readonly revision: number
}

/** Milliseconds that taking back may have when the deadline has passed. */
const takeBackTime = 3_000

/** HAProxy gets the certificate again. Answers whether it has it. */
const putBack = Effect.fnUntraced(
  function*(shop: Workshop, place: Place | null, file: string, old: CertificateBundle | null, latest: number) {
    if (place === null) return true
    const deadline = Math.max(latest, Date.now() + takeBackTime)
    if (old === null) {
      yield* shop.doubt
      return false
    }
    const put = yield* Effect.result(untilHeard(
      shop,
      deadline,
      Haproxy.install(shop.plane.runtime, place, file, old, { publish: Effect.void, deadline })
    ))
    const clean = Result.isSuccess(put) && !isGone(put.success)
    if (!clean) yield* shop.doubt
    return clean
  }
)

/**
 * With the file gone: a worker that came while it was still there, by a reload, has it from there, and gives it up.
 * LinkLost: ask the worker that answers then.
 */
const goneFromAll = Effect.fnUntraced(
  function*({ plane: { runtime } }: Workshop, place: Place, file: string, deadline: number) {
    for (;;) {
      const link = yield* runtime.link
      const timeout = Math.max(1, deadline - Date.now())
      const [info, shown] = yield* runtime.exchange([Info.show, Commands.show(pathIn(place, file))], { timeout })
      if (
        Result.isFailure(info) || info.success.stopping || link._tag !== "Up" || info.success.pid !== link.epoch.pid
      ) {
        yield* runtime.reset("another worker took over")
        return yield* new LinkLost({ reason: "the worker that answered is stopping", sent: false })
      }
      if (Result.isSuccess(shown) && shown.success === null) return true
      yield* Haproxy.uninstall(runtime, place, file, deadline)
    }
  }
)

/** The protocol; the caller holds the permit and lets nothing interrupt it. */
export const remove = Tracing.fn("Certificates.remove")(
  function*(shop: Workshop, request: RemoveRequest, deadline: number): Effect.fn.Return<Removed, ControlError> {
    const { ledger, plane } = shop
    const { changeId, name } = request
    const summary = deletedSummary(name)
    const row = yield* plane.store.certificate(name)
    const old = yield* readOld(shop, name)
    const file = (yield* plane.files.fileOf(name)) ?? undefined
    const found = yield* findPlaceBy(shop, deadline)
    if (found._tag === "Gone") return yield* unreachable(found.reason)
    // Where HAProxy has no TLS there is nothing to take from it; where it has another place, it may load this one too.
    if (found._tag === "NoPlace" && found.kind !== "no-tls") return yield* noPlace(found)
    const place = found._tag === "Place" ? found.place : null
    const known = file ?? `${name}.pem`

    if (row !== null || file !== undefined) {
      yield* endOfCertificateDryRun(plane.store, {
        name,
        names: row?.facts.names ?? old?.facts.names ?? [],
        summary,
        files: file === undefined ? [] : [`${plane.files.folder}/${file}`],
        steps: [
          ...(place === null ? [] : [`HAProxy gives up ${known}`]),
          ...(file === undefined ? [] : [`${known} is deleted with its key, for good`])
        ],
        ...(request.warnings === undefined ? {} : { warnings: request.warnings })
      })
    }

    let had = false
    if (place !== null) {
      const taken = yield* untilHeard(
        shop,
        deadline,
        Effect.tap(Haproxy.uninstall(plane.runtime, place, known, deadline), (was) =>
          Effect.sync(() => {
            had ||= was
          }))
      )
      if (isGone(taken)) {
        if (!taken.sent) return yield* unreachable(taken.reason)
        yield* shop.doubt
        yield* Effect.ignore(ledger.commit({ changeId, name, row, summary }, "reverted"))
        return yield* outcomeUnknown(
          `HAProxy did not answer in time (${taken.reason}); the certificate stays, and HAProxy gets it again`,
          changeId
        )
      }
    }
    if (row === null && file === undefined && !had) {
      return { changed: false, changeId: null, revision: yield* plane.store.revision }
    }
    /** The error, when all is as before; else what is known. */
    const failed = Effect.fnUntraced(function*(error: ControlError) {
      return (yield* putBack(shop, place, known, old, deadline)) ? error : outcomeUnknown(error.message, changeId)
    })
    const removal = yield* Effect.result(plane.files.remove(name))
    if (Result.isFailure(removal)) return yield* yield* failed(removal.failure)
    if (place !== null) {
      const everywhere = yield* Effect.result(untilHeard(shop, deadline, goneFromAll(shop, place, known, deadline)))
      const error = Result.isFailure(everywhere)
        ? everywhere.failure
        : isGone(everywhere.success)
        ? unreachable(everywhere.success.reason)
        : null
      if (error !== null) {
        yield* Effect.ignore(removal.success.restore)
        yield* removal.success.discard
        yield* shop.doubt
        yield* Effect.ignore(ledger.commit({ changeId, name, row, summary }, "reverted"))
        return yield* outcomeUnknown(`${error.message}. The certificate stays, and HAProxy gets it again`, changeId)
      }
    }
    const committed = yield* Effect.result(ledger.commit({ changeId, name, row: null, summary }, "pending"))
    if (Result.isFailure(committed)) {
      if (committed.failure._tag === "CommitUncertain") {
        yield* removal.success.discard
        yield* shop.doubt
        return yield* Endings.commitUncertain(committed.failure.message, changeId)
      }
      const back = yield* Effect.result(removal.success.restore)
      yield* removal.success.discard
      return yield* Result.isSuccess(back)
        ? yield* failed(committed.failure)
        : outcomeUnknown(`${committed.failure.message} ${back.failure.message}`, changeId)
    }
    yield* removal.success.discard
    yield* ledger.deleted(changeId)
    shop.serves(name, null)
    return { changed: true, changeId, revision: committed.success }
  }
)

/**
 * Finishes deletions that were decided when the process died: the file that came back at the start goes again, unless
 * somebody put a newer one there since.
 */
export const finish = Effect.fnUntraced(
  function*(shop: Workshop, deadline: number): Effect.fn.Return<void, LinkLost | ControlError> {
    const { ledger: { deleted, deletions }, plane } = shop
    for (const [changeId, { at, name }] of deletions) {
      const file = (yield* shop.look).get(name)
      const row = yield* plane.store.certificate(name)
      if (row === null && file !== undefined && file.file.modifiedAt < at) {
        const found = yield* findPlaceBy(shop, deadline)
        if (found._tag === "Gone") return
        if (found._tag === "Place") {
          yield* Haproxy.uninstall(plane.runtime, found.place, file.file.file, deadline)
        }
        const removal = yield* plane.files.remove(name)
        yield* removal.discard
      }
      yield* deleted(changeId)
    }
  },
  Effect.catchIf(
    (error) => error instanceof StorageFailed,
    (error) => Effect.logWarning(`A deletion could not be finished: ${error.message}`)
  )
)
