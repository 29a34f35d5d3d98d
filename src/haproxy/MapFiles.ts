/**
 * The files HAProxy starts from: domains.map, wildcards.map and, when set, pools.cfg.
 *
 * Guarantees: what `apply` or `reset` reports as done is durable under its final name (temp file, fsync, rename,
 * directory fsync) and complete; a failure leaves every file as it was, on disk and in memory. Entries whose
 * value is not one of our pools are kept verbatim, also when someone edits a file between two of our writes.
 * Callers wait for one writer; writes that wait together share one file write. They may lie on another host: a write
 * whose fate is not known because that host was lost says RemoteUnreachable, and {@link MapFiles} is not `intact`.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { dirname, join } from "node:path"
import type { Edit, Route } from "../domain/Change.ts"
import type { Disk } from "../domain/Disk.ts"
import { type FileFailure, RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import * as MapText from "../domain/MapText.ts"
import type { PoolLimits, Server } from "../domain/Pool.ts"
import * as Tracing from "../Tracing.ts"
import { checkFile, type FileCheck } from "./files/FileCheck.ts"
import { localDisk } from "./files/LocalDisk.ts"
import { type FilePaths, Writer } from "./files/Writer.ts"
import * as Metrics from "./Metrics.ts"

/** A map. */
export type MapKind = "domains" | "wildcards"

/** An entry that is not ours. */
export interface ForeignEntry {
  readonly map: MapKind
  readonly key: string
  readonly value: string
}

/** The desired state as files need it. */
export interface FileState {
  readonly routes: ReadonlyArray<Route>
  readonly servers: ReadonlyArray<Server>
}

/** What `reset` did. */
export interface FileReport {
  /** Files that differed and were written. */
  readonly written: ReadonlyArray<string>
  readonly foreign: number
}

export class MapFiles extends Context.Service<MapFiles, {
  /** Paths as we know them: domains.map, wildcards.map beside it, and pools.cfg when set. */
  readonly paths: { readonly domains: string; readonly wildcards: string; readonly pools: string | null }
  /** Makes all files equal to this state plus the foreign entries found in them; writes only what differs. */
  readonly reset: (state: FileState) => Effect.Effect<FileReport, FileFailure>
  /** Applies edits to the state that the last `reset` or `apply` left; touches only the files they change. */
  readonly apply: (edits: ReadonlyArray<Edit>) => Effect.Effect<void, FileFailure>
  /**
   * Begins to write what `apply` of the same edits will put in place, so that the disk works while HAProxy does. Nothing
   * is in place before that `apply`; a failure, or other edits, cost only this head start.
   */
  readonly stage: (edits: ReadonlyArray<Edit>) => Effect.Effect<void>
  /** Forgets what was staged: the edits are not wanted. */
  readonly unstage: Effect.Effect<void>
  /** No failed write has left a file in doubt: each holds what the last one that succeeded wrote. */
  readonly intact: Effect.Effect<boolean>
  /** The foreign entry under a key, if any, as last read. */
  readonly foreignEntry: (map: MapKind, key: string) => Effect.Effect<ForeignEntry | null>
  readonly foreign: Effect.Effect<ReadonlyArray<ForeignEntry>>
  /** How many there are: there may be a hundred thousand. */
  readonly foreignCount: Effect.Effect<number>
  /** Foreign entries of a map's file as it is now, also before the first `reset`; none when it cannot be read. */
  readonly foreignIn: (map: MapKind) => Effect.Effect<ReadonlyArray<ForeignEntry>>
  /** For health: can each file be written (directory writable, file regular)? */
  readonly check: Effect.Effect<ReadonlyArray<FileCheck>>
  /** For comparing with HAProxy: how many entries each file holds, foreign ones included. */
  readonly counts: Effect.Effect<{ readonly [K in MapKind]: number }>
}>()("haproxy-mcp/haproxy/MapFiles") {
  /** One writer for these files; `wildcards` lies beside `domains` unless named. Reads nothing before `reset`. */
  static readonly layer = (options: MapFilesOptions): Layer.Layer<MapFiles> => Layer.effect(MapFiles, make(options))
}

/** Where the files are, and which pools are ours. */
export interface MapFilesOptions {
  readonly domains: string
  /** Default: `wildcards.map` beside `domains`. */
  readonly wildcards?: string
  /** Default: none is written. */
  readonly pools?: string | null
  readonly limits: PoolLimits
  /** Of the host that HAProxy runs on. Default: this machine's. */
  readonly disk?: Disk
}

type Job =
  | { readonly _tag: "reset"; readonly state: FileState; readonly done: Deferred.Deferred<FileReport, FileFailure> }
  | {
    readonly _tag: "apply"
    readonly edits: ReadonlyArray<Edit>
    readonly done: Deferred.Deferred<void, FileFailure>
  }

const closed = Effect.fail(
  new StorageFailed({
    message: "The control plane is stopping; the map files are no longer written.",
    hint: "Repeat the call once it runs again."
  })
)

const toExit = <A>(promise: Promise<A>): Promise<Exit.Exit<A, FileFailure>> =>
  promise.then(
    (value) => Exit.succeed(value),
    (cause: unknown) =>
      cause instanceof StorageFailed || cause instanceof RemoteUnreachable ? Exit.fail(cause) : Exit.die(cause)
  )

/** Runs jobs in order; neighbours that only apply edits share one write and its verdict, and `wrote` hears its time. */
const runAll = async (writer: Writer, jobs: ReadonlyArray<Job>, wrote: (ms: number) => void): Promise<void> => {
  for (let at = 0; at < jobs.length;) {
    const job = jobs[at]!
    if (job._tag === "reset") {
      Deferred.doneUnsafe(job.done, await toExit(writer.reset(job.state)))
      at++
      continue
    }
    const edits: Array<Edit> = []
    const waiting: Array<Deferred.Deferred<void, FileFailure>> = []
    for (let next = jobs[at]; next?._tag === "apply"; next = jobs[++at]) {
      for (const edit of next.edits) edits.push(edit)
      waiting.push(next.done)
    }
    const began = performance.now()
    const exit = await toExit(writer.apply(edits))
    wrote(performance.now() - began)
    for (const done of waiting) Deferred.doneUnsafe(done, exit)
  }
}

const make = Effect.fnUntraced(function*(options: MapFilesOptions) {
  const { disk = localDisk } = options
  const paths: FilePaths = {
    domains: options.domains,
    wildcards: options.wildcards ?? join(dirname(options.domains), "wildcards.map"),
    pools: options.pools ?? null
  }
  const writer = new Writer(disk, paths, options.limits)
  const wrote = yield* Metrics.fileWrites
  // Another host may be down now, and no start waits for it: there the first `reset` sweeps.
  if (disk.isLocal) yield* Effect.promise(() => writer.sweep())

  const jobs = yield* Queue.unbounded<Job>()
  let open = true
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      open = false
      writer.unstage()
      return Effect.map(Queue.clear(jobs), (left) => {
        for (
          const job of left
        ) {
          void (job._tag === "reset" ? Deferred.doneUnsafe(job.done, closed) : Deferred.doneUnsafe(job.done, closed))
        }
      })
    })
  )
  // A write that has begun runs to its end, also when the layer closes; the finalizer above comes after it.
  yield* Effect.forkScoped(
    Effect.uninterruptibleMask((restore) =>
      Effect.forever(
        Effect.flatMap(restore(Queue.takeAll(jobs)), (taken) => Effect.promise(() => runAll(writer, taken, wrote)))
      )
    )
  )
  const submit = <A>(job: (done: Deferred.Deferred<A, FileFailure>) => Job): Effect.Effect<A, FileFailure> =>
    Effect.suspend(() => {
      if (!open) return closed
      const done = Deferred.makeUnsafe<A, FileFailure>()
      Queue.offerUnsafe(jobs, job(done))
      return Deferred.await(done)
    })

  const foreign = (map: MapKind, text = writer.memory[map]): ReadonlyArray<ForeignEntry> =>
    text.foreign.flatMap(({ entry }) => entry === null ? [] : [{ map, ...entry }])

  const countForeign = (map: MapKind): number =>
    writer.memory[map].foreign.reduce((count, { entry }) => entry === null ? count : count + 1, 0)

  return MapFiles.of({
    paths,
    reset: (state) => Tracing.span("MapFiles.reset")(submit<FileReport>((done) => ({ _tag: "reset", state, done }))),
    apply: (edits) => Tracing.span("MapFiles.apply")(submit<void>((done) => ({ _tag: "apply", edits, done }))),
    stage: (edits) => Effect.sync(() => open && writer.stage(edits)),
    unstage: Effect.sync(() => writer.unstage()),
    intact: Effect.sync(() => writer.intact()),
    foreignEntry: (map, key) =>
      Effect.sync(() => {
        const value = writer.memory[map].foreignKeys.get(key)
        return value === undefined ? null : { map, key, value }
      }),
    foreignCount: Effect.sync(() => countForeign("domains") + countForeign("wildcards")),
    foreign: Effect.sync(() => [...foreign("domains"), ...foreign("wildcards")]),
    foreignIn: (map) =>
      Effect.promise(() => disk.readFile(paths[map]).catch(() => null)).pipe(
        Effect.map((bytes) =>
          foreign(map, MapText.withForeign(MapText.empty(map, options.limits), bytes ?? Buffer.alloc(0)))
        )
      ),
    check: Effect.promise(() =>
      Promise.all(
        [paths.domains, paths.wildcards, paths.pools].flatMap((path) => path === null ? [] : [checkFile(disk, path)])
      )
    ),
    counts: Effect.sync(() => ({
      domains: MapText.count(writer.memory.domains),
      wildcards: MapText.count(writer.memory.wildcards)
    }))
  })
})
