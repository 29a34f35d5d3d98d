/**
 * Makes the service of Certificates.ts: one permit for all that changes files, HAProxy or rows; issues that run beside
 * each other; the upkeep that goes on by itself.
 *
 * A change runs in a fiber of this scope: once begun it ends, also when its caller or the process is going away.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { Acme } from "../../acme/Acme.ts"
import type { ControlError } from "../../domain/Errors.ts"
import { CertificateFiles } from "../../haproxy/certificates/CertificateFiles.ts"
import type { PlaceOptions } from "../../haproxy/certificates/Place.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import { Store } from "../../store/Store.ts"
import { Caller } from "../Caller.ts"
import { newChangeId } from "../ChangeId.ts"
import * as Endings from "../Endings.ts"
import { PoolAllocator } from "../PoolAllocator.ts"
import type { PublisherShape } from "../replication/Publisher.ts"
import { Certificates, type Installed } from "./Certificates.ts"
import * as Installation from "./Installation.ts"
import * as Issuance from "./Issuance.ts"
import * as Issuing from "./Issuing.ts"
import * as Ledger from "./Ledger.ts"
import type { CertificatePlane } from "./Plane.ts"
import * as Proof from "./Proof.ts"
import * as Removal from "./Removal.ts"
import * as Shown from "./Shown.ts"
import * as Upkeep from "./Upkeep.ts"
import type { Workshop } from "./Workshop.ts"

export interface CertificatesOptions {
  readonly place: PlaceOptions
  /** HAPROXY_TLS_ADDRESS. */
  readonly tlsAddress: CertificatePlane["tlsAddress"]
  /** See {@link CertificatePlane.haproxyHost}. */
  readonly haproxyHost: string
  /** Milliseconds between comparisons that nothing asked for. */
  readonly compareEvery?: number
  /** Milliseconds from the start to the first renewal by itself. */
  readonly renewAfter?: number
}

/** Runs of acme.sh beside each other. */
const runsBeside = 4
/** Time that the install of an issued certificate may take, milliseconds: nobody's call waits for it alone. */
const issuedTime = 30_000
/** Kept back from a caller's deadline for taking back and for the answer, milliseconds, and its part at most. */
const reserve = 1_000
const reservePart = 0.2

/** After the change: its row is on the remote host too, or nobody knows. The permit is free meanwhile. */
const durable = (publisher: PublisherShape, deadline: number, changeId: string): Effect.Effect<void, ControlError> =>
  Effect.flatMap(
    publisher.published(deadline),
    (publication): Effect.Effect<void, ControlError> =>
      publication._tag === "Unknown"
        ? Effect.fail(Endings.notPublished(publication.reason, changeId))
        : Effect.void
  )

const make = Effect.fnUntraced(function*(options: CertificatesOptions) {
  const allocator = yield* PoolAllocator
  const { publisher } = allocator
  const isReader = (yield* publisher.refusal) !== null
  const plane: CertificatePlane = {
    runtime: yield* RuntimeApi,
    store: yield* Store,
    files: yield* CertificateFiles,
    acme: yield* Acme,
    place: options.place,
    tlsAddress: options.tlsAddress,
    haproxyHost: options.haproxyHost,
    // `observed` only reads a variable.
    listeners: () => Effect.runSync(allocator.observed)?.listeners ?? []
  }
  const scope = yield* Effect.scope
  const permit = yield* Semaphore.make(1)
  const turns = yield* Semaphore.make(runsBeside)
  const ledger = yield* Ledger.make(plane.store)
  const issuing = Issuing.make<Installed>(scope)
  let closing = false

  const upkeep: Upkeep.Upkeep = yield* Upkeep.make({
    plane,
    isReader,
    permit,
    issue: (request) => issue(request),
    compared: (state) => compared(state),
    ...(options.compareEvery === undefined ? {} : { compareEvery: options.compareEvery }),
    ...(options.renewAfter === undefined ? {} : { renewAfter: options.renewAfter })
  })
  const { folder, renewals, restorer } = upkeep
  const shop: Workshop = {
    plane,
    ledger,
    prove: Proof.make(plane),
    look: folder.look,
    serves: restorer.serves,
    doubt: restorer.doubt,
    closing: () => closing
  }

  const compared: Upkeep.UpkeepOptions["compared"] = Effect.fnUntraced(
    function*(state) {
      if (ledger.deletions.size > 0) yield* Removal.finish(shop, Date.now() + issuedTime)
      if ((yield* ledger.open) > 0) {
        yield* ledger.settle(yield* plane.store.certificates, state.loaded ?? new Map())
      }
    },
    Effect.catch((error) => Effect.logWarning(`What was left open cannot be settled now: ${String(error)}`))
  )

  /** One change, when its turn comes; from then on to its end. */
  const exclusively = Effect.fnUntraced(function*<A>(
    timeout: number,
    change: (about: { readonly changeId: string; readonly deadline: number }) => Effect.Effect<A, ControlError>,
    /** The caller was told OUTCOME_UNKNOWN, and then it failed: all is as before. */
    undone: (changeId: string) => Effect.Effect<void>
  ): Effect.fn.Return<A, ControlError> {
    if (closing) return yield* Endings.stopped()
    const ends = Date.now() + timeout
    const deadline = ends - Math.min(reserve, timeout * reservePart)
    const changeId = newChangeId()
    let begun = false
    let left = false
    let told = false
    const turn = Effect.suspend(() => {
      if (left || Date.now() >= deadline) return Effect.fail<ControlError>(Endings.noTurn())
      begun = true
      return Effect.uninterruptible(
        publisher.mayWrite(deadline).pipe(
          Effect.andThen(
            change({ changeId, deadline }).pipe(
              Effect.tapError(() => told ? undone(changeId) : Effect.void),
              Effect.ensuring(upkeep.changed)
            )
          )
        )
      )
    })
    const fiber = yield* Effect.forkIn(permit.withPermit(turn), scope)
    const gone = Effect.suspend(() => {
      left = true
      return begun ? Effect.void : Effect.asVoid(Effect.forkIn(Fiber.interrupt(fiber), scope))
    })
    return yield* Fiber.join(fiber).pipe(
      Effect.tap(() => durable(publisher, deadline, changeId)),
      Effect.onInterrupt(() => gone),
      Effect.timeoutOrElse({
        duration: Math.max(1, ends - Date.now()),
        orElse: (): Effect.Effect<never, ControlError> =>
          Effect.suspend(() => {
            told = begun
            return Effect.andThen(gone, Effect.fail(begun ? Endings.underWay(changeId) : Endings.noTurn()))
          })
      })
    )
  })

  /** A change that was taken back after its caller had gone: the log says so. */
  const noteUndone = (name: string, summary: string) => (changeId: string) =>
    plane.store.certificate(name).pipe(
      Effect.flatMap((row) => ledger.commit({ changeId, name, row, summary }, "reverted")),
      Effect.ignore
    )

  const install = Effect.fnUntraced(function*(
    request: Omit<Installation.InstallRequest, "changeId">,
    timeout: number
  ): Effect.fn.Return<Installed, ControlError> {
    const caller = yield* Caller
    return yield* exclusively(
      timeout,
      ({ changeId, deadline }) =>
        Installation.install(shop, { ...request, changeId }, deadline).pipe(Effect.provideService(Caller, caller)),
      noteUndone(request.name, request.summary)
    )
  })

  const issueOne = Issuance.make(shop, turns, (request) => install(request, issuedTime))
  const issue: Certificates["Service"]["issue"] = (request) =>
    Effect.flatMap(Caller, ({ dryRun }) =>
      dryRun === true
        ? issueOne(request)
        : issuing.run(request.name, request.names, Effect.ensuring(issueOne(request), upkeep.changed)))

  if (!isReader) yield* upkeep.start
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closing = true
    })
  )

  return Certificates.of({
    shown: Shown.make(plane),
    folder: plane.files.folder,
    state: restorer.state,
    known: folder.look,
    nextAttempt: renewals.nextAttempt,
    dueAt: renewals.dueAt,
    install: (request) => Effect.flatMap(Caller, ({ timeout }) => install(request, timeout)),
    remove: (request) =>
      Effect.flatMap(Caller, (caller) =>
        exclusively(
          caller.timeout,
          ({ changeId, deadline }) =>
            Removal.remove(shop, { ...request, changeId }, deadline).pipe(Effect.provideService(Caller, caller)),
          noteUndone(request.name, Ledger.deletedSummary(request.name))
        )),
    issue,
    underWay: issuing.underWay,
    renewDue: renewals.renewDue,
    restore: restorer.restore
  })
})

/** The certificates of one HAProxy, for as long as the layer lives. */
export const layer = (options: CertificatesOptions) => Layer.effect(Certificates, make(options))
