/**
 * The first step of a batch: every waiting job decides in a savepoint of its own, all in one durable commit. One bad
 * request never fails its neighbours; one that writes what a neighbour reads or writes waits for the next batch.
 */
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type { AnySpan } from "effect/Tracer"
import { ownListener } from "../domain/Address.ts"
import { collide, type Edit, writesOf } from "../domain/Change.ts"
import { type ControlError, Internal } from "../domain/Errors.ts"
import type { PoolNumber, SlotNumber } from "../domain/Pool.ts"
import { mapKey, type RouteName } from "../domain/RouteName.ts"
import type { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { askAhead } from "./Apply.ts"
import { auditOf } from "./AuditTrail.ts"
import { Caller, type CallerShape } from "./Caller.ts"
import type { Decide, Foresight, Plan, View, Written } from "./Decision.ts"
import { foreseeEdits } from "./Foresight.ts"
import { exists, mapOf, type Node } from "./Node.ts"
import { keepWithin } from "./Reach.ts"
import type { Plane } from "./Reconciler.ts"
/** A write waiting for its turn. */
export interface Job {
  readonly changeId: string
  readonly caller: CallerShape
  readonly decide: Decide<unknown>
  /** Milliseconds since 1970. */
  readonly deadline: number
  readonly done: Deferred.Deferred<Written<unknown>, ControlError>
  /** Of the caller's waiting for it, where anyone collects spans: what is done for this job hangs below it. */
  readonly span: AnySpan | undefined
  /** Its batch has begun: it runs to its end, whatever the caller does. */
  begun: boolean
  /** The caller went away before that. */
  gone: boolean
}

class Collision extends Schema.TaggedError<Collision>()("Collision", {}) {}

/** A dry run's job, and what it would do. */
export interface Rehearsed {
  readonly job: Job
  readonly answer: unknown
  readonly foreseen: Foresight
}

/** A job whose edits are committed. */
export interface Planned {
  readonly job: Job
  readonly plan: Plan<unknown>
}

const viewOf = (plane: Plane, node: Node, writes: ReadonlySet<string>): View => ({
  usable: (pool: PoolNumber, slot?: SlotNumber) => exists(node, pool, slot) && !writes.has(`pool:${pool}`),
  reserved: (pool: PoolNumber) => node.reserved.has(pool),
  foreign: (name: RouteName) => {
    const map = mapOf(name)
    const live = node.maps[map].foreign.get(mapKey(name))
    return live === undefined
      ? Effect.map(plane.files.foreignEntry(map, mapKey(name)), (entry) => entry?.value ?? null)
      : Effect.succeed(live)
  },
  // Loopback is always HAProxy's host: it is HAProxy who connects.
  ownListener: (ip, port) => ownListener(ip, port, node.listeners, plane.hostAddresses ?? undefined)?.name ?? null
})

/**
 * Edits above which a batch is large: it is made live by a swap of whole maps, and nothing is begun ahead of its commit
 * (much work for little gain).
 */
const mostEdits = 4_096

/** Is it cheaper to replace whole maps than to apply the edits one by one? */
export const isLarge = (planned: ReadonlyArray<Planned>): boolean =>
  planned.reduce((sum, { plan }) => sum + plan.edits.length, 0) > mostEdits

/** Edits that are written without a pause for others: some milliseconds. */
const stride = 2_048

/** Writes edits of any number inside a commit; other fibers get their turns, and the caller hears of a long way. */
export const applyInTurns = Effect.fnUntraced(
  function*(store: Store["Service"], edits: ReadonlyArray<Edit>, caller?: CallerShape) {
    if (edits.length <= stride) return yield* store.apply(edits)
    for (let from = 0; from < edits.length; from += stride) {
      yield* store.apply(edits.slice(from, from + stride))
      if (caller !== undefined) {
        yield* caller.progress(35 + 20 * from / edits.length, 100, `wrote ${from} of ${edits.length} rows`)
      }
      yield* Effect.yieldNow
    }
  }
)

/**
 * Decides all jobs in one durable commit, by `deadline`. A job that collides with a neighbour is put off. HAProxy is
 * asked what must be known first (Apply.ts) while the disk takes the commit. A dry run decides as every other job, on a
 * state that no neighbour is changing, and writes nothing.
 */
export const decideAll = (plane: Plane, node: Node, jobs: ReadonlyArray<Job>, deadline: number) => {
  const { store } = plane
  return store.commit(Effect.gen(function*() {
    const revision = yield* store.nextRevision
    const batch = { reads: new Set<string>(), writes: new Set<string>() }
    const planned: Array<Planned> = []
    const settled: Array<readonly [Job, Exit.Exit<Plan<unknown>, ControlError>]> = []
    const putOff: Array<Job> = []
    const rehearsed: Array<Rehearsed> = []
    for (const job of jobs) {
      const isDry = job.caller.dryRun === true
      const exit = yield* Effect.exit(store.savepoint(Effect.gen(function*() {
        const traced = Tracing.span("decide", () => ({ parent: job.span }))
        const decided = Effect.provideService(job.decide(viewOf(plane, node, batch.writes)), Caller, job.caller)
        const plan = yield* traced(decided)
        yield* keepWithin(store, job.caller.principal, plan.edits)
        yield* plane.guardrails.check(plane, job.caller, plan.edits)
        const footprint = { reads: new Set(plan.reads), writes: writesOf(plan.edits) }
        if (collide(footprint, batch)) return yield* new Collision()
        if (isDry) {
          const foreseen = yield* foreseeEdits(plane, node, plan.edits)
          rehearsed.push({ job, answer: plan.answer, foreseen })
          return plan
        }
        if (plan.edits.length > stride) yield* Effect.yieldNow
        if (plan.edits.length > 0) {
          yield* applyInTurns(store, plan.edits, job.caller)
          yield* store.record({
            changeId: job.changeId,
            actor: job.caller.actor,
            tool: job.caller.tool,
            summary: plan.summary,
            edits: plan.edits,
            outcome: "pending",
            audit: auditOf(job.caller)
          })
        }
        plane.guardrails.count(job.changeId, plan.edits)
        for (const key of footprint.reads) batch.reads.add(key)
        for (const key of footprint.writes) batch.writes.add(key)
        return plan
      })))
      if (Exit.isSuccess(exit)) {
        if (isDry) continue
        if (exit.value.edits.length > 0) planned.push({ job, plan: exit.value })
        else settled.push([job, Exit.succeed(exit.value)])
      } else {
        plane.guardrails.forget(job.changeId)
        const error = Exit.findErrorOption(exit)
        if (error._tag === "Some" && error.value._tag === "Collision") putOff.push(job)
        else if (error._tag === "Some") settled.push([job, Exit.fail(error.value as ControlError)])
        else {
          yield* Effect.logError("a decision died", exit.cause)
          settled.push([job, Exit.fail(internal())])
        }
      }
    }
    const edits = planned.map(({ plan }) => plan.edits)
    const small = !isLarge(planned)
    const ahead = small ? yield* askAhead(plane.runtime, node, edits, deadline) : null
    return { revision, planned, settled, putOff, rehearsed, ahead }
  }))
}

const internal = () =>
  new Internal({
    message: "An internal error stopped this call; nothing was written",
    hint: "The server's log has the details under the same request id."
  })
