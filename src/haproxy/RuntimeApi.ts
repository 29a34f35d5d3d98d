/**
 * One HAProxy's Runtime API over one kept connection.
 *
 * Guarantees: every command gets its own verdict or the whole exchange fails with {@link LinkLost}, which says
 * whether HAProxy may have run any of it; answers never cross; an exchange ends by its timeout, and then the
 * connection is dropped because its answers can no longer be told apart. A supervisor keeps the link: it
 * reconnects every 100 ms or faster, notices a new worker (pid, start time) and an old one that is stopping
 * after a reload, and publishes each state. It never retries a command.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Tracing from "../Tracing.ts"
import type { Capabilities } from "./Capabilities.ts"
import { changesHaproxy, type Command, type Verdict, type Verdicts } from "./Command.ts"
import type { Connection, Transport } from "./Connection.ts"
import * as Info from "./InfoCommands.ts"
import * as Metrics from "./Metrics.ts"
import { type Epoch, open as openConnection, type Opened } from "./Probe.ts"
import { scan, type Scanned, type ScanOptions } from "./Scan.ts"
import * as Sessions from "./SessionCommands.ts"

export type { Epoch } from "./Probe.ts"

/** State of the link. `connection` counts connections of this layer, from 1. */
export type LinkState =
  | {
    readonly _tag: "Up"
    readonly connection: number
    readonly epoch: Epoch
    readonly capabilities: Capabilities
  }
  | { readonly _tag: "Down"; readonly since: number; readonly reason: string }

/**
 * The exchange has no complete answer. `sent: false`: not a byte left, so HAProxy ran nothing of it.
 * `sent: true`: it may have run all, some or none, and may still do so if it was only paused.
 */
export class LinkLost extends Schema.TaggedError<LinkLost>()("LinkLost", {
  reason: Schema.String,
  sent: Schema.Boolean
}) {}

export class RuntimeApi extends Context.Service<RuntimeApi, {
  /** The state of the link now. */
  readonly link: Effect.Effect<LinkState>
  /** The state now and every later one. Slow readers may miss states in between, never the newest. */
  readonly links: Stream.Stream<LinkState>
  /**
   * Sends all commands in order on the one connection, pipelined within HAProxy's buffer limits, and answers
   * when each has its verdict. Exchanges of several fibers do not interleave.
   * Default timeout: 5 s without any byte of progress, and `timeout` in all when given (milliseconds).
   */
  readonly exchange: <const C extends ReadonlyArray<Command<unknown>>>(
    commands: C,
    options?: { readonly timeout?: number }
  ) => Effect.Effect<Verdicts<C>, LinkLost>
  /**
   * Reads a long answer line by line on a connection of its own, and no further than asked (Scan.ts). The kept
   * connection stays free. Fails with `sent: false`: a command that asks changes nothing.
   */
  readonly scan: (options: ScanOptions) => Effect.Effect<Scanned, LinkLost>
  /**
   * Waits until no Runtime API session that is older than this connection is left in HAProxy (a connection of
   * ours that was lost with commands in flight may still have them run), at most `timeout` milliseconds.
   * Answers whether that was seen.
   */
  readonly quiesced: (timeout: number) => Effect.Effect<boolean, LinkLost>
  /**
   * 0, or the number of the last loss of a connection with changes under way, as long as {@link quiesced} has not seen
   * the end of it: what HAProxy shows may still change by what was sent then.
   */
  readonly doubt: Effect.Effect<number>
  /** Drops the connection, as if it had been lost; the supervisor opens a new one. */
  readonly reset: (reason: string) => Effect.Effect<void>
}>()("haproxy-mcp/haproxy/RuntimeApi") {
  /** The layer; it is there after the first attempt to connect, whatever came of it, or after `firstWait`. */
  static readonly layer = (options: RuntimeOptions): Layer.Layer<RuntimeApi> => Layer.effect(RuntimeApi, make(options))
}

/** Settings of the layer. All times in milliseconds. */
export interface RuntimeOptions {
  readonly transport: Transport
  /** For connecting and the first answers together; default 2,000. */
  readonly connectTimeout?: number
  /** How long the layer waits for the first attempt, so that most find the link up; default 100. It goes on after. */
  readonly firstWait?: number
  /** Between two looks at an idle link; default 200. One costs HAProxy and us about 0.1 ms. */
  readonly heartbeat?: number
  /** Without an answer to a look for so long, the link is lost; default 2,000. */
  readonly heartbeatTimeout?: number
  /** Between two attempts to connect; default 50. */
  readonly retry?: number
  /** Without any byte of progress for so long, an exchange fails and the link is lost; default 5,000. */
  readonly stall?: number
}

/** Between two looks of `quiesced`, milliseconds. */
const quiescePause = 5

/** What a span says of an exchange: the commands by their first two words, never what follows them. */
const describe = (commands: ReadonlyArray<Command<unknown>>): Tracing.SpanOptions => ({
  kind: "client",
  attributes: {
    "haproxy.commands": commands.length,
    "haproxy.command_names": [...new Set(commands.map(({ words }) => words.slice(0, 2).join(" ")))].join(", ")
  }
})

const make = Effect.fnUntraced(
  function*(options: RuntimeOptions): Effect.fn.Return<RuntimeApi["Service"], never, Scope.Scope> {
    const {
      connectTimeout = 2_000,
      firstWait = 100,
      heartbeat = 200,
      heartbeatTimeout = 2_000,
      retry = 50,
      stall = 5_000,
      transport
    } = options
    const state = yield* SubscriptionRef.make<LinkState>({ _tag: "Down", since: Date.now(), reason: "connecting" })
    const metrics = yield* Metrics.link(() => SubscriptionRef.getUnsafe(state)._tag === "Up")
    let active: Connection | null = null
    let activeSince = 0
    let count = 0
    let losses = 0
    let doubt = 0
    let latest: Connection | null = null
    const open = openConnection(options.transport, connectTimeout, (connection) => {
      latest = connection
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => latest?.close("the Runtime API layer was closed")))

    /** Looks at an open connection until it is lost; answers why. */
    const watch = ({ connection, epoch }: Opened) =>
      Effect.callback<string>((resume) => {
        let timer: NodeJS.Timeout | undefined
        const look = () => {
          connection.run({
            commands: [Info.show],
            stall: heartbeatTimeout,
            done: ([verdict]) => {
              const info = verdict as Verdict<Info.Info>
              if (Result.isFailure(info)) connection.close(`HAProxy refuses show info: ${info.failure.text}`)
              else if (info.success.stopping) connection.close("this worker of HAProxy is stopping")
              else if (info.success.pid !== epoch.pid || info.success.startTime !== epoch.startTime) {
                connection.close("another worker of HAProxy answers")
              } else timer = setTimeout(look, heartbeat)
            },
            lost: () => {},
            defect: (error) => resume(Effect.die(error))
          })
        }
        connection.whenClosed((reason) => {
          clearTimeout(timer)
          resume(Effect.succeed(reason))
        })
        if (connection.closed === null) timer = setTimeout(look, heartbeat)
        return Effect.sync(() => {
          clearTimeout(timer)
          connection.close("the Runtime API layer was closed")
        })
      })

    const down = (reason: string) =>
      Effect.suspend(() => {
        active = null
        const before = SubscriptionRef.getUnsafe(state)
        if (before._tag === "Down" && before.reason === reason) return Effect.void
        return Effect.andThen(
          SubscriptionRef.set(state, {
            _tag: "Down",
            since: before._tag === "Down" ? before.since : Date.now(),
            reason
          }),
          Effect.logWarning("HAProxy cannot be reached").pipe(Effect.annotateLogs({ reason }))
        )
      })

    const up = (opened: Opened) =>
      Effect.suspend(() => {
        active = opened.connection
        activeSince = performance.now()
        const { capabilities, epoch } = opened
        metrics.connected(epoch)
        return Effect.andThen(
          SubscriptionRef.set(state, { _tag: "Up", connection: ++count, epoch, capabilities }),
          Effect.logInfo("HAProxy is reached").pipe(Effect.annotateLogs({ ...epoch }))
        )
      })

    // After a loss the next attempt follows at once: behind a worker that stops, the new one listens already.
    const pause = Effect.sleep(retry)
    const keep = (opened: Opened) =>
      Effect.flatMap(
        watch(opened),
        (reason) => Effect.andThen(down(reason), performance.now() - activeSince < retry ? pause : Effect.void)
      )
    const tried = Deferred.makeUnsafe<void>()
    const attempt = Effect.matchEffect(open, {
      onFailure: (reason) => Effect.andThen(down(reason), Effect.andThen(Deferred.succeed(tried, undefined), pause)),
      onSuccess: (opened) =>
        Effect.andThen(up(opened), Effect.andThen(Deferred.succeed(tried, undefined), keep(opened)))
    })
    yield* Effect.forkScoped(Effect.forever(attempt))
    yield* Effect.timeoutOption(Deferred.await(tried), firstWait)

    const send = <const C extends ReadonlyArray<Command<unknown>>>(
      commands: C,
      limit: { readonly timeout?: number } | undefined,
      wire: Tracing.Manual | null
    ) =>
      Effect.callback<Verdicts<C>, LinkLost>((resume) => {
        const connection = active
        if (connection === null || connection.closed !== null) {
          const now = SubscriptionRef.getUnsafe(state)
          const reason = connection?.closed ?? (now._tag === "Down" ? now.reason : "connecting")
          metrics.lost()
          resume(Effect.fail(new LinkLost({ reason, sent: false })))
          return
        }
        const began = performance.now()
        let timer: NodeJS.Timeout | undefined
        const handle = connection.run({
          commands,
          stall,
          ...(wire === null ? {} : { started: wire.begin }),
          done: (verdicts) => {
            clearTimeout(timer)
            wire?.end(Exit.void)
            metrics.exchanged(performance.now() - began)
            resume(Effect.succeed(verdicts as unknown as Verdicts<C>))
          },
          lost: (reason, sent) => {
            clearTimeout(timer)
            metrics.lost()
            if (sent && commands.some(changesHaproxy)) doubt = ++losses
            const error = new LinkLost({ reason, sent })
            wire?.end(Exit.fail(error))
            resume(Effect.fail(error))
          },
          defect: (error) => {
            clearTimeout(timer)
            resume(Effect.die(error))
          }
        })
        const timeout = limit?.timeout
        if (timeout !== undefined) {
          timer = setTimeout(() => handle.expire(`no complete answer within ${timeout} ms`), timeout)
        }
        return Effect.sync(() => {
          clearTimeout(timer)
          handle.abandon()
        })
      })

    const exchange = <const C extends ReadonlyArray<Command<unknown>>>(
      commands: C,
      limit?: { readonly timeout?: number }
    ) =>
      Effect.withFiber<Verdicts<C>, LinkLost>((fiber) => send(commands, limit, Tracing.manual(fiber, "Connection.run")))
        .pipe(Tracing.span("RuntimeApi.exchange", () => describe(commands)))

    const scanNow = (options: ScanOptions) =>
      Effect.suspend(() => {
        const now = SubscriptionRef.getUnsafe(state)
        if (now._tag === "Down") return Effect.fail(new LinkLost({ reason: now.reason, sent: false }))
        return Effect.callback<Scanned, LinkLost>((resume) => {
          const stop = scan(transport, options, stall, {
            done: (scanned) => resume(Effect.succeed(scanned)),
            lost: (reason) => resume(Effect.fail(new LinkLost({ reason, sent: false }))),
            defect: (error) => resume(Effect.die(error))
          })
          return Effect.sync(stop)
        })
      }).pipe(
        Tracing.span(
          "RuntimeApi.scan",
          () => ({ kind: "client", attributes: { "haproxy.command_names": options.words.slice(0, 2).join(" ") } })
        )
      )

    const quiesced = Effect.fnUntraced(function*(timeout: number): Effect.fn.Return<boolean, LinkLost> {
      const deadline = performance.now() + timeout
      const about = doubt
      for (;;) {
        const left = deadline - performance.now()
        const now = SubscriptionRef.getUnsafe(state)
        if (left <= 0) {
          return now._tag === "Up" ? false : yield* new LinkLost({ reason: now.reason, sent: false })
        }
        if (now._tag === "Up") {
          // Every session that is older than this connection is at least so old, and so is our own.
          const age = Math.floor((performance.now() - activeSince) / 1_000)
          const seen = yield* Effect.result(exchange([Sessions.cliSessions], { timeout: left }))
          if (Result.isSuccess(seen) && Result.isSuccess(seen.success[0])) {
            const older = seen.success[0].success.filter((session) => session.age >= age)
            if (older.length <= 1) {
              if (doubt === about) doubt = 0
              return true
            }
          }
        }
        yield* Effect.sleep(quiescePause)
      }
    })

    return RuntimeApi.of({
      link: SubscriptionRef.get(state),
      links: SubscriptionRef.changes(state),
      exchange,
      scan: scanNow,
      quiesced,
      doubt: Effect.sync(() => doubt),
      reset: (reason) => Effect.sync(() => active?.close(reason))
    })
  }
)
