/**
 * One batch of writes, from the mailbox to the answers: the write path, top to bottom.
 *
 *   1 decide    every job in its own savepoint, all in one durable commit; a job that collides with a neighbour
 *               is put off to the next batch; meanwhile HAProxy is asked whether the keys are free, and the remote,
 *               where there is one, whether this process is still the one that writes
 *   2 live      the edits are applied to HAProxy and read back (Apply.ts), while the files are staged under temp
 *               names; a lost link is followed by a full reconcile, until the deadline
 *   3 take back what HAProxy refused, or what is not known at the deadline, is undone: its inverse is committed
 *               and HAProxy is brought to it
 *   4 files     the files HAProxy starts from are put in place, in one go; side by side, what is decided is published
 *               to the remote
 *   5 answer    every job gets its own verdict; those that wait for the remote do so beside the next batch; a dry run
 *               gets it after 1
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { type Edit, inverse, writesOf } from "../domain/Change.ts"
import type { ControlError } from "../domain/Errors.ts"
import { type Ahead, applyJobs } from "./Apply.ts"
import { newChangeId } from "./ChangeId.ts"
import { applyInTurns, decideAll, isLarge, type Job, type Planned } from "./Deciding.ts"
import * as Endings from "./Endings.ts"
import * as Metrics from "./Metrics.ts"
import type { Node } from "./Node.ts"
import { type Plane, reconcile, type Reconciled, slotKey } from "./Reconciler.ts"
import { askedSince, asking, mayNotWrite } from "./replication/Asking.ts"
import type { Publication } from "./replication/Publisher.ts"
import { answer, answerRehearsed, answerSettled } from "./Settled.ts"

/** What a batch leaves behind. */
export interface BatchResult {
  /** Jobs that collided with a neighbour: the next batch takes them first. */
  readonly putOff: ReadonlyArray<Job>
  /** Null: HAProxy's state is not known any more, reconcile before anything else. */
  readonly node: Node | null
  /** Somebody else edits our maps: reconcile soon. */
  readonly drifted: boolean
  /** Changes that stay in the database although their fate is unknown: the next reconcile settles them. */
  readonly unsettled: ReadonlyArray<string>
}

/** Kept back from the deadline for the inverse and the answer, milliseconds. */
const reserve = 400
/** The same for each edit of a large batch, and for all of them, milliseconds. */
const reservePerEdit = 0.1
const longestReserve = 10_000
/** How long HAProxy gets to take an inverse when the deadline has passed already, milliseconds. */
const takeBackTime = 3_000
/** How long a begun batch still waits for HAProxy once the process is going away, milliseconds. */
const closingTime = 1_000
/** How long a lost connection's buffered commands may still run, milliseconds (see RuntimeApi.quiesced). */
const quiesceTime = 1_000

/** 2, the long way round: wait for HAProxy, let old commands drain, bring everything to the desired state. */
const recover = Effect.fnUntraced(function*(plane: Plane, latest: number, before: boolean) {
  let sent = before
  let reason = "HAProxy did not come back"
  let deadline = latest
  for (; Date.now() < deadline; yield* Effect.sleep(20)) {
    if (plane.closing()) deadline = Math.min(deadline, Date.now() + closingTime)
    const link = yield* plane.runtime.link
    if (link._tag === "Down") {
      reason = link.reason
      continue
    }
    if (sent) yield* Effect.result(plane.runtime.quiesced(Math.min(quiesceTime, Math.max(1, deadline - Date.now()))))
    // A reconcile by one that was overtaken meanwhile would undo what the other one did.
    const refusal = yield* mayNotWrite(plane.publisher, deadline)
    if (refusal !== null) return { _tag: "lost", reason: refusal.message, sent: true } as const
    const result = yield* Effect.result(reconcile(plane, deadline))
    if (Result.isSuccess(result)) return result.success
    if (result.failure._tag !== "LinkLost") return result.failure
    reason = result.failure.reason
    sent ||= result.failure.sent
  }
  return { _tag: "lost", reason, sent } as const
})

interface Live {
  readonly fates: ReadonlyArray<Endings.Fate>
  readonly node: Node | null
  readonly drifted: boolean
  /** A reconcile wrote the files already. */
  readonly filesCurrent: boolean
}

const fateAfter = (reconciled: Reconciled, edits: ReadonlyArray<Edit>): Endings.Fate => {
  if (reconciled.refused.size === 0) return { _tag: "live" }
  const keys = writesOf(edits)
  for (const edit of edits) if (edit.kind === "server" && edit.after !== null) keys.add(slotKey(edit.pool, edit.slot))
  for (const key of keys) {
    const text = reconciled.refused.get(key)
    if (text !== undefined) return { _tag: "refused", text }
  }
  return { _tag: "live" }
}

/** 2, after a link was lost or for a large batch: a reconcile that carries all of it. */
const goLiveWhole = Effect.fnUntraced(
  function*(plane: Plane, planned: ReadonlyArray<Planned>, sent: boolean, deadline: number) {
    const found = yield* recover(plane, deadline, sent)
    const all = (fate: Endings.Fate): Live => ({
      fates: planned.map(() => fate),
      node: null,
      drifted: false,
      filesCurrent: false
    })
    if (!("_tag" in found)) {
      const live: Live = {
        fates: planned.map(({ plan }) => fateAfter(found, plan.edits)),
        node: found.node,
        drifted: false,
        filesCurrent: true
      }
      return live
    }
    return found._tag === "lost"
      ? all({ _tag: "lost", sent: found.sent, reason: found.reason })
      : all({ _tag: "failed", error: found })
  }
)

/** 2: makes the batch live. */
const goLive = Effect.fnUntraced(
  function*(plane: Plane, node: Node, planned: ReadonlyArray<Planned>, ahead: Ahead | null, deadline: number) {
    if (isLarge(planned)) {
      // A swap of whole maps instead of some commands per entry.
      for (const { job } of planned) yield* job.caller.progress(60, 100, "committed; making it live in HAProxy")
      return yield* goLiveWhole(plane, planned, false, deadline)
    }
    const applied = yield* Effect.result(
      applyJobs(plane.runtime, node, planned.map(({ plan }) => plan.edits), deadline, ahead)
    )
    if (Result.isSuccess(applied)) {
      const live: Live = {
        fates: applied.success.verdicts,
        node,
        drifted: applied.success.drifted,
        filesCurrent: false
      }
      return live
    }
    const { reason, sent } = applied.failure
    yield* Effect.logWarning("the link was lost in the middle of a batch").pipe(Effect.annotateLogs({ reason, sent }))
    return yield* goLiveWhole(plane, planned, sent, deadline)
  }
)

/** Commits the inverses of what is not to stay. */
const commitInverses = Effect.fnUntraced(function*({ guardrails, store }: Plane, losers: ReadonlyArray<Planned>) {
  for (const { job } of losers) {
    guardrails.forget(job.changeId)
    yield* store.settle(job.changeId, "reverted")
  }
  yield* store.commit(Effect.forEach(losers.toReversed(), ({ job, plan }) =>
    Effect.andThen(
      applyInTurns(store, inverse(plan.edits)),
      store.record({
        changeId: newChangeId(),
        actor: job.caller.actor,
        tool: "rollback",
        summary: `Took back ${job.changeId}`,
        edits: inverse(plan.edits),
        outcome: "applied",
        audit: { token: job.caller.principal.id, args: { change_id: job.changeId } }
      })
    ), { discard: true }))
})

/**
 * 3: commits the inverses of what is not to stay, and brings HAProxy to them, and the files where they can be written.
 * Null: HAProxy could not be brought there yet.
 */
const takeBack = Effect.fnUntraced(function*(plane: Plane, losers: ReadonlyArray<Planned>, deadline: number) {
  yield* commitInverses(plane, losers)
  const until = Math.max(deadline, Date.now() + takeBackTime)
  const link = yield* plane.runtime.link
  const isIdle = link._tag === "Down" || (yield* mayNotWrite(plane.publisher, until)) !== null
  const result = isIdle ? null : yield* Effect.result(reconcile(plane, until, "tried"))
  return result !== null && Result.isSuccess(result) ? result.success : null
})

/** Runs one batch to its answers. Never fails: every trouble is somebody's verdict. */
export const runBatch = Effect.fnUntraced(function*(plane: Plane, node: Node, jobs: ReadonlyArray<Job>) {
  for (const job of jobs) job.begun = true
  const deadline = Math.max(...jobs.map((job) => job.deadline)) - reserve
  const remote = yield* asking(plane.publisher, deadline)
  const decided = yield* Effect.result(decideAll(plane, node, jobs, deadline))
  if (Result.isFailure(decided)) {
    const failure = decided.failure
    const uncertain = failure._tag === "CommitUncertain"
    for (const job of jobs) {
      if (!uncertain) plane.guardrails.forget(job.changeId)
      answer(
        job,
        Exit.fail(uncertain ? Endings.commitUncertain(failure.message, job.changeId) : failure)
      )
    }
    // Committed or not, HAProxy has not heard of it: the reconciler compares once the database answers again.
    const result: BatchResult = {
      putOff: [],
      node: uncertain ? null : node,
      drifted: false,
      unsettled: uncertain ? jobs.map((job) => job.changeId) : []
    }
    return result
  }
  const { ahead, planned, putOff, rehearsed, revision, settled } = decided.success
  const now = planned.length === 0 ? yield* plane.store.revision : revision
  for (const job of putOff) job.begun = false
  if (rehearsed.length > 0) yield* answerRehearsed(rehearsed, now, yield* remote)
  if (settled.length > 0) yield* answerSettled(plane, settled, now, deadline)
  if (planned.length === 0) {
    const result: BatchResult = { putOff, node, drifted: false, unsettled: [] }
    return result
  }
  const fenced = yield* remote
  if (fenced !== null) return yield* refuseAll(plane, node, planned, putOff, fenced)
  const edits = planned.reduce((sum, { plan }) => sum + plan.edits.length, 0)
  const latest = isLarge(planned) ? deadline - Math.min(longestReserve, edits * reservePerEdit) : deadline
  return yield* carryOut(plane, node, planned, ahead, revision, latest, putOff)
})

/**
 * This process may not write: what was committed is taken back, and neither HAProxy nor the remote ever hears of it (nothing
 * leaves before its verdict: Publisher.deciding).
 */
const refuseAll = Effect.fnUntraced(function*(
  plane: Plane,
  node: Node,
  planned: ReadonlyArray<Planned>,
  putOff: ReadonlyArray<Job>,
  error: ControlError
) {
  const taken = yield* Effect.result(commitInverses(plane, planned))
  for (const { job } of planned) {
    answer(
      job,
      Exit.fail(
        Result.isFailure(taken)
          ? Endings.notTakenBack(taken.failure.message, job.changeId)
          : error
      )
    )
  }
  const result: BatchResult = {
    putOff,
    node: Result.isSuccess(taken) ? node : null,
    drifted: false,
    unsettled: Result.isSuccess(taken) ? [] : planned.map(({ job }) => job.changeId)
  }
  return result
})

/** 2 to 5, for what was committed. */
const carryOut = Effect.fnUntraced(function*(
  plane: Plane,
  before: Node,
  planned: ReadonlyArray<Planned>,
  ahead: Ahead | null,
  revision: number,
  deadline: number,
  putOff: ReadonlyArray<Job>
) {
  const began = performance.now()
  const edits = planned.flatMap(({ plan }) => plan.edits)
  if (!isLarge(planned)) yield* plane.files.stage(edits)
  const live = yield* goLive(plane, before, planned, ahead, deadline)
  yield* Metrics.applied(performance.now() - began)
  let node = live.node
  const fates = [...live.fates]
  const unsettled: Array<string> = []

  /** Takes back the jobs whose fate is not `live`, and answers them. True: the files are current afterwards. */
  const reject = Effect.fnUntraced(function*(losers: ReadonlyArray<number>) {
    yield* plane.files.unstage
    // Where a file may hold the change, it counts as taken back only with the files.
    const doubt = live.filesCurrent || !(yield* plane.files.intact)
    const taken = yield* Effect.result(takeBack(plane, losers.map((index) => planned[index]!), deadline))
    const back = Result.isSuccess(taken) ? taken.success : null
    node = back?.filesCurrent === true ? back.node : null
    const clean = back !== null && (back.filesCurrent || !doubt)
    for (const index of losers) {
      const { job } = planned[index]!
      const fate = fates[index]!
      if (Result.isFailure(taken)) {
        unsettled.push(job.changeId)
        answer(
          job,
          Exit.fail(
            Endings.notTakenBack(taken.failure.message, job.changeId)
          )
        )
      } else answer(job, Exit.fail(Endings.takenBack(fate, job.changeId, clean)))
    }
    return node !== null
  })

  const isLive = (index: number) => fates[index]!._tag === "live"
  const indexes = planned.map((_, index) => index)
  // It may have taken long: the files of one that took over meanwhile are left alone.
  const overtaken = yield* askedSince(plane.publisher, began, deadline)
  if (overtaken !== null) {
    for (const at of indexes) fates[at] = { _tag: "lost", sent: true, reason: overtaken.message }
  }
  const losers = indexes.filter((index) => !isLive(index))
  let filesCurrent = live.filesCurrent
  if (losers.length > 0) filesCurrent = yield* reject(losers)
  const winners = indexes.filter(isLive)
  const publishing = winners.length > 0 && plane.publisher.mode !== "off"
    ? yield* Effect.forkDetach(plane.publisher.published(deadline))
    : null
  if (winners.length > 0 && !filesCurrent) {
    const written = yield* Effect.result(plane.files.apply(winners.flatMap((index) => planned[index]!.plan.edits)))
    if (Result.isFailure(written)) {
      for (const index of winners) fates[index] = { _tag: "failed", error: written.failure }
      yield* reject(winners)
    }
  }
  const done = winners.filter(isLive).map((index) => planned[index]!)
  const acknowledge = (publication: Publication) => answerDone(plane, done, revision, publication)
  if (publishing === null) yield* acknowledge({ _tag: "Durable" })
  // The next batch need not wait for the remote: it may share the next upload.
  else yield* Effect.forkDetach(Effect.flatMap(Fiber.join(publishing), acknowledge))
  const result: BatchResult = { putOff, node, drifted: live.drifted, unsettled }
  return result
})

/** 5, for those that are live and in the files. */
const answerDone = Effect.fnUntraced(function*(
  plane: Plane,
  done: ReadonlyArray<Planned>,
  revision: number,
  publication: Publication
) {
  for (const { job, plan } of done) {
    const { changeId } = job
    if (publication._tag === "Unknown") {
      yield* plane.publisher.afterwards(plane.store.settle(changeId, "applied"))
      answer(job, Exit.fail(Endings.notPublished(publication.reason, changeId)))
      continue
    }
    yield* plane.store.settle(changeId, "applied")
    const follows = publication._tag === "Behind"
    answer(job, Exit.succeed({ answer: plan.answer, changed: true, changeId, revision, follows }))
  }
})
