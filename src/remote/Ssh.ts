/**
 * HAProxy's host over one SSH connection, which is kept.
 *
 * Guarantees: there is at most one connection. When it is lost every call on it fails at once, calls fail at once while
 * it is down, and it is opened again in the background: soon after a failure of the network, a minute later when a key
 * was refused; nobody can hurry it, so that no caller gets our address locked out (Backoff.ts). No host is believed
 * without its key, no call is repeated, no secret is in a text of this module. A failure never ends the layer: it is
 * there, and says it is down.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import type { Duplex } from "node:stream"
import type { Disk } from "../domain/Disk.ts"
import type { RemoteUnreachable } from "../domain/Errors.ts"
import type { Heard } from "../domain/FarHost.ts"
import * as Tracing from "../Tracing.ts"
import * as Backoff from "./Backoff.ts"
import { connect } from "./Connect.ts"
import { exec, type ExecFailed, type ExecOptions, type ExecResult, sessions } from "./Exec.ts"
import { hints, isPassing, SshFailure, unreachable } from "./Failure.ts"
import { forward } from "./Forward.ts"
import type { Link } from "./Link.ts"
import * as Metrics from "./Metrics.ts"
import * as Session from "./Session.ts"
import { makeSftpDisk } from "./SftpDisk.ts"

export { ExecFailed, type ExecOptions, type ExecResult } from "./Exec.ts"

/** State of the connection. Times in milliseconds since 1970. */
export type SshState =
  | { readonly _tag: "Up"; readonly since: number }
  | {
    readonly _tag: "Down"
    /** The end of a sentence that begins with the host. */
    readonly reason: string
    /** What to do about it. */
    readonly hint: string
    /** Does not go away by itself: a key is refused or cannot be read, or the server lacks something. */
    readonly permanent: boolean
    readonly nextAttemptAt: number
  }

export class Ssh extends Context.Service<Ssh, {
  readonly state: Effect.Effect<SshState>
  /** The state now and every later one. Slow readers may miss states in between, never the newest. */
  readonly states: Stream.Stream<SshState>
  /** The host's files. */
  readonly disk: Disk
  /**
   * A stream to a unix socket of the host, there at once as one of `net.createConnection` is. `error` has a `code`:
   * `ENOENT`, `ECONNREFUSED`, `ETIMEDOUT`, `EREMOTE` (the SSH connection is down). It ends when the other side does.
   */
  readonly openUnix: (path: string) => Duplex
  /** A stream to an address that the host can reach; the same errors, and `EACCES` (sshd does not forward there). */
  readonly openTcp: (host: string, port: number) => Duplex
  /** Runs a command there: words, no shell reads them. At most three at once; the others wait. */
  readonly exec: (
    argv: ReadonlyArray<string>,
    options: ExecOptions
  ) => Effect.Effect<ExecResult, RemoteUnreachable | ExecFailed>
  /** Starts a command that is listened to (Session.ts). At most two at once; the others wait. */
  readonly listen: (
    argv: ReadonlyArray<string>,
    stdin: string
  ) => Effect.Effect<Queue.Dequeue<Heard>, RemoteUnreachable | ExecFailed, Scope.Scope>
}>()("haproxy-mcp/remote/Ssh") {
  /** The layer; it is there after the first attempt to connect, whatever came of it, or after `firstWait`. */
  static readonly layer = (options: SshOptions): Layer.Layer<Ssh> => Layer.effect(Ssh, make(options))
}

/** How the host is reached. All times in milliseconds, all paths of this machine. */
export interface SshOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  /** Null: the agent's keys. */
  readonly keyFile: string | null
  readonly keyPassphraseFile: string | null
  readonly agentSocket: string | null
  /** Fingerprints (`SHA256:…`) and public keys (`type base64`); when there are any, known_hosts is not read. */
  readonly hostKeys: ReadonlyArray<string>
  readonly knownHostsFile: string
  /** Believe and write down the key of a host that is not known yet. */
  readonly acceptNew: boolean
  /** Without any answer for so long, calls fail and the connection is closed; default 5,000. */
  readonly timeout?: number
  /** For the TCP connection, and twice that for everything until it is ready; default 5,000. */
  readonly connectTimeout?: number
  /** Between two questions on a quiet connection; three without an answer close it; default 5,000. */
  readonly keepalive?: number
  /** How long the layer waits for the first attempt; default 1,000. It goes on after. */
  readonly firstWait?: number
}

const givenUp = new SshFailure("network", "the connection was given up")

/** A connection that lived for so long was a good one: the next failure is the first. */
const goodFor = 2_000

const make = Effect.fnUntraced(function*(options: SshOptions): Effect.fn.Return<Ssh["Service"], never, Scope.Scope> {
  const { connectTimeout = 5_000, firstWait = 1_000, keepalive = 5_000, timeout = 5_000 } = options
  const where = `${options.host}:${options.port}`
  const state = yield* SubscriptionRef.make<SshState>({
    _tag: "Down",
    reason: "it is being connected",
    hint: "Ask again in a moment.",
    permanent: false,
    nextAttemptAt: Date.now()
  })
  const metrics = yield* Metrics.make(() => SubscriptionRef.getUnsafe(state)._tag === "Up")
  const tried = yield* Deferred.make<void>()
  const permits = yield* Semaphore.make(sessions)
  const listeners = yield* Semaphore.make(Session.sessions)
  let active: Link | null = null
  /** The newest one, also before anybody knows of it: what the end of the layer must close. */
  let latest: Link | null = null
  let last = new SshFailure("network", "it is being connected")
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      last = givenUp
      latest?.close(givenUp)
    })
  )

  const link = (): Link => {
    if (active === null) throw unreachable(where, last)
    return active
  }

  const attempt = Effect.tryPromise({
    try: async (signal) => {
      latest = await connect({ ...options, connectTimeout, keepalive, stall: timeout }, signal)
      return latest
    },
    catch: (error) => error
  }).pipe(Effect.catch((error) => error instanceof SshFailure ? Effect.fail(error) : Effect.die(error)))

  /** The link is down; the log says it once for each reason. */
  const down = (failure: SshFailure, pause: number) =>
    Effect.suspend(() => {
      active = null
      const isNews = SubscriptionRef.getUnsafe(state)._tag === "Up" || last.reason !== failure.reason
      last = failure
      metrics.failed(failure.kind)
      const next: SshState = {
        _tag: "Down",
        reason: failure.reason,
        hint: hints[failure.kind],
        permanent: !isPassing(failure.kind),
        nextAttemptAt: Date.now() + pause
      }
      return Effect.andThen(
        SubscriptionRef.set(state, next),
        isNews
          ? Effect.logWarning("HAProxy's host cannot be used").pipe(
            Effect.annotateLogs({ host: where, reason: failure.reason, next_attempt_seconds: Math.ceil(pause / 1000) })
          )
          : Effect.void
      )
    })

  const up = (opened: Link) =>
    Effect.suspend(() => {
      active = opened
      metrics.connected()
      return Effect.andThen(
        SubscriptionRef.set(state, { _tag: "Up", since: Date.now() }),
        Effect.logInfo("HAProxy's host is reached").pipe(Effect.annotateLogs({ host: where }))
      )
    })

  const untilClosed = (opened: Link) =>
    Effect.callback<SshFailure>((resume) => {
      const forget = opened.whenClosed((failure) => {
        // Calls find no link from this moment on, not only after the fiber has run.
        active = null
        last = failure
        resume(Effect.succeed(failure))
      })
      return Effect.sync(forget)
    })

  const keep = Effect.gen(function*() {
    let failed = 0
    for (;;) {
      const before = performance.now()
      const failure = yield* Effect.matchEffect(attempt, {
        onFailure: (refused: SshFailure) => Effect.succeed(refused),
        onSuccess: (opened) =>
          Effect.andThen(up(opened), Deferred.succeed(tried, undefined)).pipe(
            Effect.andThen(untilClosed(opened)),
            Effect.onInterrupt(() => Effect.sync(() => opened.close(givenUp)))
          )
      })
      if (performance.now() - before > goodFor && SubscriptionRef.getUnsafe(state)._tag === "Up") failed = 0
      const pause = Backoff.wait(failure.kind, ++failed, Math.random())
      yield* down(failure, pause)
      yield* Deferred.succeed(tried, undefined)
      yield* Effect.sleep(pause)
    }
  })
  yield* Effect.forkScoped(keep)
  yield* Effect.timeoutOption(Deferred.await(tried), firstWait).pipe(Effect.map(Option.isSome))

  return Ssh.of({
    state: SubscriptionRef.get(state),
    states: SubscriptionRef.changes(state),
    disk: makeSftpDisk({ link, took: metrics.took }),
    openUnix: (path) => forward(link, { path }, timeout),
    openTcp: (host, port) => forward(link, { host, port }, timeout),
    exec: (argv, how) =>
      permits.withPermit(Effect.suspend(() => {
        if (active === null) return Effect.fail(unreachable(where, last))
        return exec(active, argv, how)
      })).pipe(Tracing.span("Ssh.exec", { kind: "client", attributes: { "ssh.program": argv[0] ?? "" } })),
    listen: (argv, stdin) =>
      Effect.andThen(
        listeners.takeScoped(1),
        Effect.suspend(() =>
          active === null ? Effect.fail(unreachable(where, last)) : Session.listen(active, argv, stdin)
        )
      )
  })
})
