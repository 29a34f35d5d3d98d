/**
 * Carries commits to the remote host: one upload at a time, and everything that was committed meanwhile goes with the next
 * one, so that an acknowledgement waits for two uploads at most.
 *
 * Guarantees: a generation holds whole commits, in their order; what is not known to be there is sent again only after the
 * remote was read (RemoteSync.ts); a process that was fenced never writes again. When it closes, what is committed gets a
 * bounded time to arrive.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import { type Fenced, RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import type { State } from "../../domain/Lineage.ts"
import { nameOf, RemoteSync } from "../../remote/RemoteSync.ts"
import * as DurableMark from "../../store/DurableMark.ts"
import * as RemoteNote from "../../store/RemoteNote.ts"
import { Store } from "../../store/Store.ts"
import * as Metrics from "./Metrics.ts"
import { type Publication, Publisher, type PublisherShape, type PublishMode, reader } from "./Publisher.ts"
import { durable, Waiters } from "./Waiters.ts"

export interface PublicationOptions {
  readonly mode: Exclude<PublishMode, "off">
  /** Publish at once, so that a control plane that ran before is fenced; else with the first write. */
  readonly claim: boolean
  /** This process only reads: nothing is ever published. */
  readonly refusal: Fenced | RemoteUnreachable | null
  /** Another control plane has taken over. Called once. */
  readonly fenced: (error: Fenced) => void
}

/** Milliseconds between looks at commits that nobody waits for (outcomes, notes on certificates). */
const idleLook = 1_000
/** Pause before an upload that failed is tried again, milliseconds: the first, and the longest. */
const retryPause = 100
const longestPause = 5_000
/** Milliseconds between whole copies of a database that is published by its changes. */
const copyEvery = 30_000
/** Generations after which those that are not kept any more are taken away. */
const generationsPerPrune = 64
/** Milliseconds that what is committed gets to arrive when the process is going away. */
const closingTime = 3_000

/** Milliseconds that the file at HAPROXY_REMOTE_DB_FILE gets then. */
const exposeTime = 1_000

/** Milliseconds that a decision waits at most for what was decided before it to leave: an upload that hangs ends by itself. */
const longestTurn = 10_000
/** The same where nobody waits for uploads. */
const shortTurn = 50

const make = Effect.fnUntraced(function*({ claim: claimsAtOnce, fenced, mode, refusal }: PublicationOptions) {
  if (refusal !== null) return reader(mode, refusal)
  const store = yield* Store
  const remote = yield* RemoteSync
  const scope = yield* Effect.scope
  const wake = yield* Queue.sliding<void>(1)
  const waiters = new Waiters()
  let publishedAt: number | null = null
  /** Other lives' generations do not count: one of our own is to follow them. */
  let claimed = claimsAtOnce
  let isNoted = false
  let isTidying = false
  let copiedAt = 0
  let sincePruned = 0
  let reason = claimsAtOnce ? "the database is being published" : ""
  let over: Fenced | null = null
  /** Commits that left, or are about to; what was decided after them waits for the next upload. */
  let taken = -1
  /** Done when what is being decided has its verdict; null while nothing is. */
  let verdict: Deferred.Deferred<void> | null = null
  /** Done when what is decided is on its way. */
  let onItsWay = Deferred.makeUnsafe<void>()

  /** Commits that are there. To claim means that those of another life do not count: the first upload is due at once. */
  const there = () => {
    const head = remote.head()
    return head === null || (claimed && !head.isOwn) ? -1 : head.state.commits
  }
  const nudge = () => Queue.offerUnsafe(wake, undefined)

  const end = (error: Fenced) => {
    over = error
    reason = error.message
    waiters.end(error.message)
    Deferred.doneUnsafe(onItsWay, Effect.void)
    fenced(error)
  }

  /** Beside the database: that it was published. Before the first generation, so that a missing note means never. */
  const note = Effect.try({
    try: () => {
      RemoteNote.write(store.path, { lineage: store.lineage, remote: nameOf(remote) })
      isNoted = true
    },
    catch: (cause) =>
      new StorageFailed({
        message: `The note beside ${store.path} cannot be written: ${String((cause as NodeJS.ErrnoException).code)}`,
        hint: "Check the disk and the rights of this user on the folder."
      })
  })

  /** Before anything of it is acknowledged: all of it is there. Without the mark an operator has to decide more. */
  const mark = (state: State) =>
    Effect.try({
      try: () => DurableMark.write(store.path, { remote: nameOf(remote), by: store.life(), state }),
      catch: (cause) => String((cause as NodeJS.ErrnoException).code)
    }).pipe(
      Effect.catch((code) => Effect.logWarning(`The mark beside ${store.path} cannot be written: ${code}`))
    )

  /** What is due once nobody waits: the file that others read, a short way for the next start, room. */
  const tidy = Effect.gen(function*() {
    if (remote.head()?.isOwn !== true) return
    if (remote.hasDeltas() && (remote.isCheckpointDue() || Date.now() - copiedAt > copyEvery)) {
      copiedAt = Date.now()
      yield* remote.checkpoint(yield* store.fullCopy)
    }
    if (remote.isFileBehind()) yield* remote.expose
    if (sincePruned < generationsPerPrune) return
    sincePruned = 0
    yield* remote.prune
  }).pipe(
    Effect.catch((error) => Effect.logDebug(`The remote copy could not be tidied up: ${error.message}`))
  )

  /** Everything that is committed. */
  const upload = Effect.gen(function*() {
    while (verdict !== null) yield* Deferred.await(verdict)
    const head = remote.head()
    const capture = yield* store.capture(head?.isOwn === true ? head.state : null)
    taken = capture?.state.commits ?? (yield* store.position).commits
    Deferred.doneUnsafe(onItsWay, Effect.void)
    onItsWay = Deferred.makeUnsafe()
    if (capture !== null) {
      if (!isNoted) yield* note
      const began = performance.now()
      const { state } = yield* remote.publish(capture)
      if (mode === "strict") yield* mark(state)
      yield* store.acknowledge(state.commits)
      yield* Metrics.uploaded(capture.kind, capture.bytes.byteLength, performance.now() - began)
      publishedAt = Date.now()
      sincePruned++
    }
    reason = ""
    waiters.reached(there())
  })

  const turn = Effect.gen(function*() {
    let pause = retryPause
    while (over === null && (yield* store.position).commits > there()) {
      const result = yield* Effect.result(upload)
      if (Result.isSuccess(result)) {
        pause = retryPause
        continue
      }
      const { failure } = result
      if (failure._tag === "Fenced") return end(failure)
      if (reason !== failure.message) {
        yield* Effect.logWarning("The database could not be published").pipe(
          Effect.annotateLogs({ reason: failure.message, hint: failure.hint })
        )
      }
      reason = failure.message
      yield* Metrics.failed
      yield* Effect.raceFirst(Effect.sleep(pause), remote.up)
      pause = Math.min(pause * 2, longestPause)
    }
    // Beside the next uploads: a whole copy of a large database takes longer than many of them.
    if (over !== null || isTidying) return
    isTidying = true
    yield* Effect.forkIn(Effect.ensuring(tidy, Effect.sync(() => void (isTidying = false))), scope)
  })

  const run = Effect.forever(
    Queue.take(wake).pipe(
      Effect.timeoutOrElse({ duration: idleLook, orElse: () => Effect.void }),
      Effect.andThen(turn),
      Effect.catchCause((cause) =>
        Effect.andThen(Effect.logError("defect in the publication", cause), Effect.sleep(longestPause))
      )
    )
  )

  /** Waits until `commits` are there, at most to `deadline`. */
  const arrived = (commits: number, deadline: number): Effect.Effect<Publication> =>
    Effect.suspend(() => {
      if (over !== null) return Effect.succeed<Publication>({ _tag: "Unknown", reason: over.message })
      if (commits <= there()) return Effect.succeed(durable)
      nudge()
      return waiters.wait(commits, deadline, () => reason)
    })

  const publishedBy = (deadline: number): Effect.Effect<Publication> =>
    Effect.flatMap(store.position, ({ commits }) => {
      if (mode === "strict" || over !== null || commits <= there()) return arrived(commits, deadline)
      nudge()
      return Effect.succeed<Publication>({ _tag: "Behind" })
    })

  const claim = () => {
    claimed = true
    nudge()
  }

  /** A generation of our own after those of others: whoever wrote them is fenced by it. */
  const claimBy = (deadline: number): Effect.Effect<void, Fenced | RemoteUnreachable> =>
    Effect.gen(function*() {
      claim()
      const { commits } = yield* store.position
      const found = yield* arrived(commits, deadline)
      if (over !== null) return yield* over
      if (found._tag !== "Unknown") return
      return yield* new RemoteUnreachable({
        message: `The remote host cannot be written: ${found.reason}`,
        hint: "Nothing was changed. Repeat the call; haproxy_health tells how the remote host is."
      })
    })

  const deciding = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function*() {
      const { commits } = yield* store.position
      // Where the remote is in trouble, asking it says so at once.
      if (over === null && reason === "" && commits > Math.max(taken, there())) {
        nudge()
        yield* Effect.timeoutOption(Deferred.await(onItsWay), mode === "async" ? shortTurn : longestTurn)
      }
      const own = Deferred.makeUnsafe<void>()
      verdict = own
      return yield* Effect.ensuring(
        work,
        Effect.sync(() => {
          verdict = null
          Deferred.doneUnsafe(own, Effect.void)
          nudge()
        })
      )
    })

  const publisher: PublisherShape = {
    mode,
    deciding,
    refusal: Effect.sync(() => over),
    isGuest: Effect.sync(() => !claimed),
    mayWrite: (deadline) =>
      Effect.suspend((): Effect.Effect<void, Fenced | RemoteUnreachable | StorageFailed> => {
        if (over !== null) return Effect.fail(over)
        // Asynchronous means that a remote that is down or slow is no reason to wait: the next upload finds another writer.
        if (mode === "async") return Effect.sync(claim)
        return remote.head()?.isOwn === true ? remote.mayWrite(deadline) : claimBy(deadline)
      }).pipe(
        Effect.catchTag("Fenced", (error) => Effect.andThen(Effect.sync(() => over === null && end(error)), error))
      ),
    published: publishedBy,
    afterwards: (work) =>
      Effect.asVoid(Effect.forkIn(
        Effect.gen(function*() {
          const { commits } = yield* store.position
          if ((yield* arrived(commits, Infinity))._tag === "Durable") yield* work
        }),
        scope
      )),
    status: Effect.gen(function*() {
      const { commits } = yield* store.position
      return {
        mode,
        role: over === null ? "writer" : "reader",
        generation: remote.head()?.generation ?? null,
        lag: Math.max(0, commits - Math.max(0, there())),
        publishedAt,
        reason
      } as const
    })
  }

  yield* Metrics.watch({
    generation: () => remote.head()?.generation ?? 0,
    lag: () => Effect.runSync(publisher.status).lag,
    isWriter: () => over === null
  })
  yield* Effect.forkScoped(run)
  // Before the fiber above is ended.
  yield* Effect.addFinalizer(() =>
    Effect.flatMap(store.position, ({ commits }) => arrived(commits, Date.now() + closingTime)).pipe(
      // The file that others read is left as the newest copy where that takes no new one.
      Effect.andThen(Effect.suspend(() => over === null && !remote.hasDeltas() ? remote.expose : Effect.void)),
      Effect.timeoutOption(closingTime + exposeTime),
      Effect.ignore
    )
  )
  nudge()
  return publisher
})

/** For the control plane above it, as long as the layer lives. */
export const layer = (options: PublicationOptions) => Layer.effect(Publisher, make(options))
