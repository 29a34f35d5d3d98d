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
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Capabilities } from "./Capabilities.ts"
import type { Command, Verdicts } from "./Command.ts"

/** One life of a HAProxy worker. */
export interface Epoch {
  readonly pid: number
  /** Seconds since 1970 at which the worker started (`Start_time_sec`). */
  readonly startTime: number
  readonly version: string
}

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
   * Waits until no Runtime API session that is older than this connection is left in HAProxy (a connection of
   * ours that was lost with commands in flight may still have them run), at most `timeout` milliseconds.
   * Answers whether that was seen.
   */
  readonly quiesced: (timeout: number) => Effect.Effect<boolean, LinkLost>
  /** Drops the connection, as if it had been lost; the supervisor opens a new one. */
  readonly reset: (reason: string) => Effect.Effect<void>
}>()("haproxy-mcp/haproxy/RuntimeApi") {}
