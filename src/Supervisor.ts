/**
 * Starts and stops control planes where the database's durable home is a remote host: which database goes on is known
 * only when that host answers, and may change while the process lives.
 *
 * Guarantees: it answers every call at once, whatever is down; a control plane is built only on a database that the start
 * decided for (program/replication/Start.ts), as the one that writes or as one that only reads; a process that was fenced
 * reads on and touches nothing; a remote host that comes back is noticed without a restart. One control plane at a time has
 * the database open. It never ends the process: what is wrong stands in /readyz and haproxy_health.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Settings } from "./Config.ts"
import * as ControlPlane from "./ControlPlane.ts"
import { type ControlError, type Fenced, RemoteUnreachable } from "./domain/Errors.ts"
import type { HostAccess } from "./HostAccess.ts"
import { ToolRunner } from "./mcp/ToolRunner.ts"
import { PoolAllocator } from "./program/PoolAllocator.ts"
import * as Publication from "./program/replication/Publication.ts"
import type { PublisherShape } from "./program/replication/Publisher.ts"
import * as RemoteActions from "./program/replication/RemoteActions.ts"
import type { RemoteActionAnswer } from "./program/replication/RemoteControl.ts"
import * as Start from "./program/replication/Start.ts"
import { RemoteSync } from "./remote/RemoteSync.ts"

/** A control plane that is built. */
export interface Running {
  readonly runner: ToolRunner["Service"]
  readonly publisher: PublisherShape
  readonly decided: Start.Prepared
  readonly close: Effect.Effect<void>
}

/** Why what runs comes to its end, or a start is tried again. */
type Turn =
  | { readonly _tag: "Again" }
  | { readonly _tag: "Fenced"; readonly error: Fenced }
  | {
    readonly _tag: "Action"
    readonly action: RemoteActions.Action
    readonly done: Deferred.Deferred<RemoteActionAnswer, ControlError>
  }

export interface SupervisorOptions {
  /** A start publishes, so that a control plane that ran before is fenced; else the first write does. */
  readonly claim: boolean
}

/** Milliseconds until a start that may go better is tried again, with and without a control plane that reads meanwhile. */
const pauseReading = 30_000
const pauseWithout = 2_000

const starting = new RemoteUnreachable({
  message: "The control plane is starting: the remote host is asked for the database",
  hint: "Repeat the call in a moment."
})

/** What the tools and the verbs on the remote copy are served from. */
export interface Supervised {
  /** The control plane, or why there is none; a start that is under way is waited for. */
  readonly current: Effect.Effect<Running | ControlError>
  /** The same without waiting. */
  readonly now: () => Running | ControlError
  readonly act: (action: RemoteActions.Action) => Effect.Effect<RemoteActionAnswer, ControlError>
  /** The process is going away: nothing is started any more. */
  readonly stopping: Effect.Effect<void>
}

/** Begins to work, for as long as the scope lives. */
export const make = Effect.fnUntraced(function*({ claim }: SupervisorOptions) {
  const settings = yield* Settings
  const remote = yield* RemoteSync
  const context = yield* Effect.context<Settings | HostAccess | RemoteSync>()
  const scope = yield* Effect.scope
  const file = settings.haproxyDbFile
  const turns = yield* Queue.unbounded<Turn>()
  /** Done when the start that is under way has come to an end, good or bad. */
  let underWay = yield* Deferred.make<void>()
  let running: Running | null = null
  let trouble: ControlError = starting
  let fenced: Fenced | null = null
  let closing = false

  const build = Effect.fnUntraced(function*(decided: Start.Prepared) {
    const inner = yield* Scope.fork(scope)
    const publication = Publication.layer({
      mode: settings.haproxyRemoteSync,
      claim,
      refusal: decided.refusal,
      fenced: (error) => Queue.offerUnsafe(turns, { _tag: "Fenced", error })
    })
    const plane = ControlPlane.make({ publication, replicate: true, isReader: decided.refusal !== null })
    const built = yield* Effect.exit(
      Layer.buildWithMemoMap(
        ToolRunner.local.pipe(Layer.provideMerge(plane)),
        Layer.makeMemoMapUnsafe(),
        inner
      ).pipe(Effect.provideContext(context))
    )
    if (Exit.isFailure(built)) {
      yield* Scope.close(inner, built)
      return yield* Effect.failCause(built.cause)
    }
    const next: Running = {
      runner: Context.get(built.value, ToolRunner),
      publisher: Context.get(built.value, PoolAllocator).publisher,
      decided,
      close: Scope.close(inner, Exit.void)
    }
    return next
  })

  const stop = Effect.suspend(() => {
    const ended = running
    running = null
    if (ended !== null) trouble = starting
    return ended === null ? Effect.void : ended.close
  })

  const failed = Effect.fnUntraced(function*(error: ControlError) {
    if (trouble.message !== error.message) {
      yield* Effect.logWarning("There is no control plane").pipe(
        Effect.annotateLogs({ reason: error.message, hint: error.hint })
      )
    }
    trouble = error
  })

  /** One start. Answers milliseconds until it is to be tried again; Infinity: something must happen first. */
  const start = Effect.gen(function*() {
    yield* stop
    const prepared = yield* Effect.result(Start.prepare(file, fenced, claim))
    if (Result.isFailure(prepared)) {
      yield* failed(prepared.failure.error)
      return prepared.failure.isPassing ? pauseWithout : Infinity
    }
    const built = yield* Effect.result(build(prepared.success))
    if (Result.isFailure(built)) {
      yield* failed(built.failure)
      return pauseWithout
    }
    running = built.success
    const { isPassing, refusal, told } = prepared.success
    yield* (refusal === null ? Effect.logInfo(told) : Effect.logWarning(told))
    return isPassing ? pauseReading : Infinity
  }).pipe(
    Effect.catchCause((cause) => Effect.as(Effect.logError("defect in a start", cause), pauseWithout)),
    Effect.uninterruptible
  )

  const turnOf = (turn: Turn): Effect.Effect<number, never, RemoteSync> =>
    Effect.gen(function*() {
      if (closing) return Infinity
      if (turn._tag === "Fenced") fenced = turn.error
      if (turn._tag === "Action") {
        yield* stop
        const done = yield* Effect.exit(Effect.uninterruptible(RemoteActions.run(file, turn.action)))
        if (Exit.isSuccess(done)) fenced = null
        yield* Deferred.done(turn.done, done)
      }
      return yield* start
    })

  const loop = Effect.gen(function*() {
    let pause = yield* start
    yield* Deferred.succeed(underWay, undefined)
    for (;;) {
      const turn = yield* Number.isFinite(pause)
        ? Queue.take(turns).pipe(
          Effect.timeoutOrElse({ duration: pause, orElse: () => Effect.succeed<Turn>({ _tag: "Again" }) })
        )
        : Queue.take(turns)
      underWay = Deferred.makeUnsafe()
      pause = yield* turnOf(turn)
      yield* Deferred.succeed(underWay, undefined)
    }
  })

  yield* Effect.addFinalizer(() => stop)
  yield* Effect.forkScoped(loop)
  // A link that comes up is worth a look where the last start could not reach the remote.
  yield* Effect.forkScoped(
    Stream.runForEach(remote.links, (link) =>
      Effect.sync(() => {
        if (link._tag !== "Up" || !Deferred.isDoneUnsafe(underWay)) return
        if (running === null || running.decided.isPassing) Queue.offerUnsafe(turns, { _tag: "Again" })
      }))
  )

  const now = (): Running | ControlError => running ?? trouble
  const supervised: Supervised = {
    now,
    current: Effect.suspend(() =>
      running === null ? Effect.map(Deferred.await(underWay), now) : Effect.succeed(running)
    ),
    act: (action) =>
      Effect.gen(function*() {
        const done = yield* Deferred.make<RemoteActionAnswer, ControlError>()
        yield* Queue.offer(turns, { _tag: "Action", action, done })
        return yield* Deferred.await(done)
      }),
    stopping: Effect.suspend(() => {
      closing = true
      return running === null ? Effect.void : running.runner.stopping
    })
  }
  return supervised
})
