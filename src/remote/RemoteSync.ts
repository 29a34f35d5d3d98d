/**
 * The durable home of the database on another host: what is known of it, and the one way in which it grows.
 *
 * Guarantees: `publish` answers only when a generation is durable and the newest one; a generation of somebody else is never
 * replaced, it fences this process; an answer that was lost is found out by reading, never by sending again blindly
 * (GenerationLog.ts). One step at a time. Every effect ends: the disk's calls have their own deadlines.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Fenced, RemoteUnreachable, type StorageFailed } from "../domain/Errors.ts"
import type { Capture, Fetched, FullCopy, Snapshot } from "../domain/Generation.ts"
import { GenerationLog, type Listed } from "./GenerationLog.ts"
import { type Bad, type Head as LogHead, snapshotOf } from "./Reading.ts"
import type { Ssh, SshState } from "./Ssh.ts"
import type { Reading } from "./Writer.ts"

export type { Listed } from "./GenerationLog.ts"

/** The newest generation, as far as this process knows. */
export interface Head {
  readonly generation: number
  readonly state: Snapshot
  /** This process published it. */
  readonly isOwn: boolean
}

/** What was found there; {@link RemoteSync} goes on from it after `adopt`. */
export interface Look {
  readonly reading: Reading
  /** The content of the newest generation that verifies; null when there is none. */
  readonly newest: Fetched | null
  /** Newer ones that do not verify. */
  readonly bad: ReadonlyArray<Bad>
  /** No generation was ever written there. */
  readonly isEmpty: boolean
  /** Without generations: what lies at HAPROXY_REMOTE_DB_FILE all the same. */
  readonly bare: Uint8Array | null
}

type Failed = RemoteUnreachable | StorageFailed

/** Bytes of a database at HAPROXY_REMOTE_DB_FILE that is looked at without a manifest. */
const largestBare = 2 ** 30

/** Milliseconds that a deadline leaves at least. */
const least = 1

export class RemoteSync extends Context.Service<RemoteSync, {
  /** `user@host:port`, for people. */
  readonly host: string
  /** HAPROXY_REMOTE_DB_FILE. */
  readonly file: string
  readonly link: Effect.Effect<SshState>
  /** The state now and every later one. */
  readonly links: Stream.Stream<SshState>
  /** Waits for the link to come up the next time. */
  readonly up: Effect.Effect<void>
  /** Reads what is there. */
  readonly look: Effect.Effect<Look, Failed>
  /** One generation's content, verified; null: it is not there or does not verify. */
  readonly generation: (gen: number) => Effect.Effect<Fetched | null, Failed>
  /**
   * Fences whoever writes by taking the next number, then answers what is the newest now: only what came since is read. Ends
   * within some seconds; {@link Fenced} when others took each number first, and then nothing was changed.
   */
  readonly claim: (look: Look) => Effect.Effect<Look, Fenced | Failed>
  /** From here on this process writes after what it found. */
  readonly adopt: (look: Look) => Effect.Effect<void>
  /** The newest generation that is known here; null before the first. */
  readonly head: () => Head | null
  /** Asks in one round trip whether somebody else has written since. `deadline`: milliseconds since 1970. */
  readonly mayWrite: (deadline: number) => Effect.Effect<void, Fenced | Failed>
  /**
   * Makes the next generation and answers the newest one: that of the capture, or an earlier one of this process whose answer
   * had been lost, which a new capture must go on from.
   */
  readonly publish: (capture: Capture) => Effect.Effect<Head, Fenced | Failed>
  /** A whole copy of what is published is due: reading the log takes long. */
  readonly isCheckpointDue: () => boolean
  /** HAPROXY_REMOTE_DB_FILE is older than the newest generation. */
  readonly isFileBehind: () => boolean
  /** The newest generation is made of deltas: a whole copy of it is there only after a checkpoint. */
  readonly hasDeltas: () => boolean
  /** Brings up a whole copy of what was published, for the file and for the next start. */
  readonly checkpoint: (copy: FullCopy) => Effect.Effect<void, Failed>
  /** Makes HAPROXY_REMOTE_DB_FILE the newest whole copy that is there. */
  readonly expose: Effect.Effect<void, Failed>
  /** Takes away generations that are not kept any more. */
  readonly prune: Effect.Effect<void, Failed>
  /** The newest generations, newest first. */
  readonly list: (
    limit: number
  ) => Effect.Effect<{ readonly generations: ReadonlyArray<Listed>; readonly total: number }, Failed>
}>()("haproxy-mcp/remote/RemoteSync") {
  /** `host`: for people. One for the whole process: control planes come and go above it. */
  static readonly layer = (
    options: { readonly ssh: Ssh["Service"]; readonly host: string; readonly file: string }
  ): Layer.Layer<RemoteSync> => Layer.sync(RemoteSync, () => make(options))
}

/** A remote home in notes, for people and to tell one from another. */
export const nameOf = ({ file, host }: Pick<RemoteSync["Service"], "host" | "file">): string => `${host}:${file}`

const fencedBy = (why: string) =>
  new Fenced({
    message: `Another control plane writes the database on the remote host: ${why}`,
    hint: "This one only reads. Use the other one; or make this one the writer: haproxy-mcp remote take-over."
  })

const outrun = new Fenced({
  message: "Another control plane writes on the remote host, and took each number before this one could",
  hint: "Nothing was changed. Repeat it, or stop the other one first."
})

const make = (
  { file, host, ssh }: { readonly ssh: Ssh["Service"]; readonly host: string; readonly file: string }
): RemoteSync["Service"] => {
  const log = new GenerationLog({ disk: ssh.disk, path: file })
  /** The newest generation of this process since it last adopted what it found. */
  let own: number | null = null
  const headOf = ({ gen, manifest }: LogHead): Head => ({
    generation: gen,
    state: snapshotOf(manifest),
    isOwn: gen === own
  })
  const won = (head: LogHead): Head => {
    own = head.gen
    return headOf(head)
  }

  const mayWrite: Effect.Effect<void, Fenced | Failed> = Effect.gen(function*() {
    for (;;) {
      const found = yield* log.check
      if (found === "current") return
      // Settling says why, too, where it was found to be another's.
      const settled = yield* log.settle
      if (settled.kind === "fenced") return yield* fencedBy(settled.why)
      if (settled.kind === "unknown") return yield* settled.why
      if (settled.kind !== "none") won(settled.head)
    }
  })

  return RemoteSync.of({
    host,
    file,
    link: ssh.state,
    links: ssh.states,
    up: ssh.states.pipe(
      Stream.drop(1),
      Stream.filter(({ _tag }) => _tag === "Up"),
      Stream.take(1),
      Stream.runDrain
    ),
    look: Effect.gen(function*() {
      const reading = yield* log.read
      const isEmpty = reading.found === null && reading.bad.length === 0 && reading.next === 1
      return {
        reading,
        newest: reading.found?.fetched ?? null,
        bad: reading.bad,
        isEmpty,
        bare: isEmpty ? yield* log.bare(largestBare) : null
      }
    }),
    claim: ({ reading }) =>
      Effect.flatMap(log.claim(reading), (found) =>
        found === null ? Effect.fail(outrun) : Effect.succeed<Look>({
          reading: found,
          newest: found.found?.fetched ?? null,
          bad: found.bad,
          isEmpty: false,
          bare: null
        })),
    generation: log.fetch,
    adopt: ({ reading }) =>
      Effect.sync(() => {
        own = null
        log.adopt(reading)
      }),
    head: () => log.head === null ? null : headOf(log.head),
    mayWrite: (deadline) =>
      mayWrite.pipe(Effect.timeoutOrElse({
        duration: Math.max(least, deadline - Date.now()),
        orElse: () =>
          Effect.fail(
            new RemoteUnreachable({
              message: "The remote host did not answer in time whether another control plane writes",
              hint: "Nothing was changed. Repeat the call; haproxy_health tells how the remote host is."
            })
          )
      })),
    publish: (capture) =>
      Effect.flatMap(log.publish(capture), (published): Effect.Effect<Head, Fenced | Failed> => {
        switch (published.kind) {
          case "published":
          case "earlier":
            return Effect.succeed(won(published.head))
          case "fenced":
            return Effect.fail(fencedBy(published.why))
          case "unknown":
            return Effect.fail(published.why)
        }
      }),
    isCheckpointDue: () => log.isCheckpointDue,
    isFileBehind: () => log.isPathBehind,
    hasDeltas: () => log.head?.manifest.kind === "delta",
    checkpoint: (copy) => Effect.asVoid(log.checkpoint(copy)),
    expose: log.expose,
    prune: Effect.asVoid(log.prune),
    list: log.list
  })
}
