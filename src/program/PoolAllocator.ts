/**
 * The actor that every write goes through: one fiber, one permit, a bounded mailbox.
 *
 * Guarantees: writes are decided one after the other on the state that the one before left; those that wait
 * together and do not touch the same names share one batch (Batch.ts); a batch begins only while HAProxy is
 * known to run the desired state in this epoch, and once begun runs to its end, also when callers or the
 * process are going away. Every submit ends by the caller's timeout. The reconciler runs here too, so it never
 * races a write.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { ControlError } from "../domain/Errors.ts"
import type { GuardrailMode } from "../domain/Guardrail.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import { runBatch } from "./Batch.ts"
import { asBatch } from "./BatchSpan.ts"
import { Caller } from "./Caller.ts"
import { isCertificateChange } from "./certificates/Ledger.ts"
import { newChangeId } from "./ChangeId.ts"
import type { Job } from "./Deciding.ts"
import type { Decide, Written } from "./Decision.ts"
import { foresee } from "./DryRun.ts"
import * as Endings from "./Endings.ts"
import { liveSessions } from "./Foresight.ts"
import * as Guardrails from "./Guardrails.ts"
import { Limits } from "./Limits.ts"
import * as LostCommands from "./LostCommands.ts"
import * as Metrics from "./Metrics.ts"
import type { Node } from "./Node.ts"
import { looksUnchanged, type Plane, reconcile as runReconcile } from "./Reconciler.ts"
import { Publisher, type PublisherShape } from "./replication/Publisher.ts"
import { notSynced, type SyncState } from "./SyncState.ts"
import { migrationTool, takeOver } from "./TakeOver.ts"

/** Writes that may wait; the next one is BUSY. Room for a thousand shares in one batch. */
const mailbox = 2_048
/** Jobs of one batch. */
const batchSize = 1_024
/** Time that a reconcile of its own may take, milliseconds: a swap of a million entries fits. */
const reconcileTime = 30_000
/** After so many cheap comparisons comes a full one. */
const cheapInARow = 9
/** Pause before a failed reconcile is tried again, milliseconds: the first, and the longest while it keeps failing. */
const retryPause = 100
const longestPause = 2_000

/** Milliseconds after the start of one that takes over from another at which HAProxy is compared once more. */
const afterTakeOver = [2_000, 10_000, 30_000]

export interface AllocatorOptions {
  /** HAPROXY_RUNTIME_MAP_FILE, when set. */
  readonly runtimeMapFile?: string | null
  /** Milliseconds between comparisons that nothing asked for. Default: a minute. */
  readonly reconcileEvery?: number
  /** From so many routes on, most of the regular comparisons are the cheap kind. Default: 5,000. */
  readonly cheapFrom?: number
  /** MCP_GUARDRAILS. Default: inform. */
  readonly guardrails?: GuardrailMode
}

export class PoolAllocator extends Context.Service<PoolAllocator, {
  /** Queues a write and waits for its verdict, at most the caller's timeout (see Caller). */
  readonly submit: <A>(decide: Decide<A>) => Effect.Effect<Written<A>, ControlError>
  readonly sync: Effect.Effect<SyncState>
  /** Asks for a comparison and waits until one that began after now has ended, or the caller's timeout. */
  readonly reconcile: Effect.Effect<SyncState, ControlError>
  /** Runs something while no write and no comparison does; those that come meanwhile wait for its end. */
  readonly withoutWrites: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** What the last comparison saw; null while HAProxy is not known to run the desired state. */
  readonly observed: Effect.Effect<Node | null>
  /** Takes what HAProxy runs into the desired state, then compares: see TakeOver.ts. */
  readonly takeOver: Effect.Effect<SyncState, ControlError>
  /** Of the remote copy of the database. */
  readonly publisher: PublisherShape
  /** Writes waiting for their turn. */
  readonly queued: Effect.Effect<number>
  /**
   * Tells that the process is going away: no new write is taken, and nobody waits for a HAProxy that is not there,
   * neither those whose write has begun (OUTCOME_UNKNOWN soon) nor those in the queue (CANCELLED).
   */
  readonly stopping: Effect.Effect<void>
}>()("haproxy-mcp/program/PoolAllocator") {
  static readonly layer = (options: AllocatorOptions = {}) => Layer.effect(PoolAllocator, make(options))
}

const make = Effect.fnUntraced(function*(options: AllocatorOptions) {
  const limits = yield* Limits
  let closing = false
  const plane: Plane = {
    runtime: yield* RuntimeApi,
    store: yield* Store,
    files: yield* MapFiles,
    limits: limits.pools,
    hostAddresses: limits.haproxyIsHere ? limits.localAddresses : null,
    runtimeMapFile: options.runtimeMapFile ?? null,
    closing: () => closing,
    publisher: yield* Publisher,
    guardrails: Guardrails.make(options.guardrails ?? "inform")
  }
  const permit = yield* Semaphore.make(1)
  /** One element: "look again". What there is to do is read from the state below. */
  const wake = yield* Queue.sliding<void>(1)
  let waiting: Array<Job> = []
  let asked: Array<Deferred.Deferred<SyncState>> = []
  let node: Node | null = null
  /** A comparison is due: any, or a full one. */
  let due: "no" | "tick" | "full" = "full"
  let cheap = 0
  let sync = notSynced("HAProxy has not been compared yet")
  let blocked: ControlError | null = null
  let pause = retryPause
  // Those of certificates are for the comparison with their folder to settle.
  const pending = (yield* plane.store.pendingChanges.pipe(Effect.orDie)).filter((change) =>
    !isCertificateChange(change)
  )
  const unsettled = new Set<string>(pending.map((change) => change.changeId))
  /** What HAProxy runs is to be taken over before the next comparison. */
  let takingOver = pending.some((change) => change.tool === migrationTool)

  const lost = LostCommands.make(plane.runtime)

  const nudge = () => {
    Queue.offerUnsafe(wake, undefined)
  }

  const lose = (reason: string) => {
    node = null
    sync = { ...sync, inSync: false, reason }
  }

  /** Brings HAProxy to the desired state; leaves `node` null when that failed. */
  const compare = Effect.gen(function*() {
    const answering = asked
    asked = []
    due = "no"
    yield* lost.settle
    const deadline = Date.now() + reconcileTime
    const result = yield* Effect.result(
      plane.publisher.mayWrite(deadline).pipe(
        Effect.andThen(takingOver ? takeOver(plane, limits, deadline) : Effect.void),
        Effect.andThen(runReconcile(plane, deadline))
      )
    )
    if (Result.isFailure(result)) {
      const failure = result.failure
      const before = sync.reason
      lose(failure._tag === "LinkLost" ? failure.reason : failure.message)
      yield* Metrics.reconciled(null)
      blocked = failure._tag === "LinkLost" ? null : failure
      if (sync.reason !== before) {
        yield* Effect.logWarning("HAProxy could not be brought to the desired state").pipe(
          Effect.annotateLogs({ reason: sync.reason })
        )
      }
      asked.push(...answering)
      pause = failure._tag === "LinkLost" ? retryPause : Math.min(pause * 2, longestPause)
      yield* Effect.forkIn(Effect.andThen(Effect.sleep(pause), Effect.sync(nudge)), scope)
      return
    }
    const { drift, node: found, problems } = result.success
    const foreign = found.maps.domains.foreign.size + found.maps.wildcards.foreign.size
    if (drift > 0 || sync.reason !== "") {
      yield* Effect.logInfo("HAProxy runs the desired state").pipe(
        Effect.annotateLogs({ drift, foreign, epoch: found.epoch, problems })
      )
    }
    node = found
    blocked = null
    pause = retryPause
    sync = { inSync: true, reason: "", lastRunAt: Date.now(), lastDrift: drift, foreign, problems }
    yield* Metrics.reconciled(drift)
    for (const changeId of unsettled) yield* plane.store.settle(changeId, "applied")
    unsettled.clear()
    if (takingOver) yield* Effect.ignore(plane.store.flush)
    takingOver = false
    const again = yield* lost.nextLook
    if (again !== null) {
      const look = Effect.sync(() => {
        due = "full"
        nudge()
      })
      yield* Effect.forkIn(Effect.andThen(Effect.sleep(again), look), scope)
    }
    for (const deferred of answering) Deferred.doneUnsafe(deferred, Effect.succeed(sync))
  })

  /** Is the cheap look enough this time, and does it find nothing? */
  const seemsFine = Effect.fnUntraced(function*(known: Node) {
    const { domains, wildcards } = yield* plane.store.counts
    if (domains + wildcards < (options.cheapFrom ?? 5_000) || sync.problems.length > 0 || cheap >= cheapInARow) {
      cheap = 0
      return false
    }
    cheap++
    const fine = yield* looksUnchanged(plane, known, Date.now() + reconcileTime)
    if (fine) sync = { ...sync, lastRunAt: Date.now(), lastDrift: 0 }
    return fine
  }, Effect.orElseSucceed(() => false))

  const batch = Effect.fnUntraced(function*(on: Node) {
    const jobs = waiting.splice(0, batchSize).filter((job) => !job.gone)
    if (jobs.length === 0) return
    const began = performance.now()
    const result = yield* plane.publisher.deciding(runBatch(plane, on, jobs).pipe(asBatch(jobs)))
    yield* Metrics.batchDone(jobs.length - result.putOff.length, performance.now() - began)
    waiting = [...result.putOff, ...waiting]
    for (const changeId of result.unsettled) unsettled.add(changeId)
    if (result.node === null) lose("the last write did not end as planned")
    else node = result.node
    if (result.drifted || (yield* lost.isNew)) due = "full"
  })

  /** This process only reads: nothing is written, and HAProxy is left alone. */
  const refuse = (error: ControlError) => {
    lose(error.message)
    blocked = error
    for (const job of waiting) Deferred.doneUnsafe(job.done, Effect.fail(error))
    waiting = []
    for (const deferred of asked) Deferred.doneUnsafe(deferred, Effect.succeed(sync))
    asked = []
    due = "no"
  }

  /** Another control plane may be at work: what HAProxy runs may be ahead of what this one knows. */
  const leaveAlone = () => {
    lose("HAProxy is not compared: another control plane may be at work, and nothing was written from here")
    for (const deferred of asked) Deferred.doneUnsafe(deferred, Effect.succeed(sync))
    asked = []
    due = "no"
  }

  const turn = Effect.gen(function*() {
    for (;;) {
      const refusal = yield* plane.publisher.refusal
      if (refusal !== null) return refuse(refusal)
      if (waiting.length === 0 && (yield* plane.publisher.isGuest)) return leaveAlone()
      const link = yield* plane.runtime.link
      if (link._tag === "Down") return lose(link.reason)
      if (node !== null && node.connection !== link.connection) lose("HAProxy was reconnected")
      if (due === "tick" && asked.length === 0 && node !== null && (yield* seemsFine(node))) due = "no"
      if (node === null || due !== "no" || asked.length > 0) {
        yield* compare
        if (node === null) return
      }
      waiting = waiting.filter((job) => !job.gone)
      if (waiting.length === 0 && due === "no") return
      if (waiting.length > 0) yield* batch(node)
    }
  }).pipe(
    Effect.catchCause((cause) =>
      Effect.sync(() => {
        lose("an internal error; see the log")
        nudge()
      }).pipe(Effect.andThen(Effect.logError("the actor's turn died", cause)), Effect.andThen(Effect.sleep(retryPause)))
    )
  )

  const cancelWaiting = () => {
    for (const job of waiting) Deferred.doneUnsafe(job.done, Effect.fail(Endings.stopped()))
    waiting = []
  }
  // What a turn leaves waiting, waits for HAProxy.
  const lastTurn = Effect.sync(() => {
    if (closing) cancelWaiting()
  })

  const scope = yield* Effect.scope
  yield* Metrics.watch({ queued: () => waiting.length, inSync: () => sync.inSync, foreign: () => sync.foreign })
  yield* Effect.addFinalizer(() => Effect.sync(cancelWaiting))
  yield* Effect.forkScoped(Effect.forever(
    Effect.andThen(Queue.take(wake), permit.withPermit(Effect.uninterruptible(Effect.andThen(turn, lastTurn))))
  ))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closing = true
    })
  )
  yield* Effect.forkScoped(Stream.runForEach(plane.runtime.links, () => Effect.sync(nudge)))
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.sleep(options.reconcileEvery ?? 60_000),
    Effect.sync(() => {
      if (due === "no") due = "tick"
      nudge()
    })
  )))
  // What a control plane that was overtaken had on its way may still reach HAProxy, when that one goes on.
  if (plane.publisher.mode !== "off") {
    for (const pause of afterTakeOver) {
      yield* Effect.forkScoped(Effect.andThen(
        Effect.sleep(pause),
        Effect.sync(() => {
          due = "full"
          nudge()
        })
      ))
    }
  }
  nudge()

  /** The error of a job whose turn did not come before its deadline. */
  const tooLate = (): ControlError => node !== null ? Endings.noTurn() : blocked ?? Endings.notInSync(sync.reason)

  const submit = Tracing.fn("submit")(function*<A>(decide: Decide<A>): Effect.fn.Return<Written<A>, ControlError> {
    const caller = yield* Caller
    if (closing) return yield* Endings.stopped()
    const refusal = yield* plane.publisher.refusal
    if (refusal !== null) return yield* refusal
    if (waiting.length >= mailbox) return yield* Endings.full(mailbox)
    const job: Job = {
      changeId: newChangeId(),
      caller,
      decide,
      deadline: Date.now() + caller.timeout,
      done: Deferred.makeUnsafe(),
      span: yield* Tracing.current,
      begun: false,
      gone: false
    }
    waiting.push(job)
    nudge()
    return yield* (Deferred.await(job.done) as Effect.Effect<Written<A>, ControlError>).pipe(
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          if (!job.begun) job.gone = true
        })
      ),
      Effect.timeoutOrElse({
        duration: caller.timeout,
        orElse: (): Effect.Effect<never, ControlError> =>
          job.begun
            ? Effect.fail(Endings.underWay(job.changeId))
            : Effect.suspend(() => Effect.fail(tooLate()))
      })
    )
  })

  const reconcile = Effect.gen(function*() {
    const caller = yield* Caller
    const deferred = Deferred.makeUnsafe<SyncState>()
    asked.push(deferred)
    nudge()
    return yield* Deferred.await(deferred).pipe(
      Effect.timeoutOrElse({ duration: caller.timeout, orElse: () => Effect.suspend(() => Effect.fail(tooLate())) })
    )
  })

  return PoolAllocator.of({
    submit,
    sync: Effect.sync(() => sync),
    observed: Effect.sync(() => node),
    queued: Effect.sync(() => waiting.length),
    publisher: plane.publisher,
    withoutWrites: (work) => permit.withPermit(work),
    stopping: Effect.sync(() => {
      closing = true
      nudge()
    }),
    reconcile,
    takeOver: Effect.suspend(() => {
      takingOver = true
      return Effect.tapError(reconcile, () => Effect.sync(() => void (takingOver = false)))
    })
  })
})

/** Submits a decision and adds to its answer which change it was. A dry run ends here. */
export const write = Effect.fnUntraced(function*<A extends Answer & { readonly warnings: ReadonlyArray<string> }>(
  decide: Decide<A>
) {
  const allocator = yield* PoolAllocator
  const { answer, changed, changeId, follows, foreseen, revision } = yield* allocator.submit(decide)
  if (foreseen !== undefined) {
    const plan = { ...foreseen.plan, live_sessions: yield* liveSessions(foreseen.edits) }
    const { summary, warnings } = answer
    return yield* foresee({
      answer: { ...answer, revision },
      summary,
      plan,
      warnings: [...new Set([...foreseen.warnings, ...warnings])]
    })
  }
  return {
    ...answer,
    changed,
    ...(changeId === null ? {} : { change_id: changeId }),
    revision,
    ...(follows ? { warnings: [...answer.warnings, Endings.publishedLater] } : {})
  }
})
