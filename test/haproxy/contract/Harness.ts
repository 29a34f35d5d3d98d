/** Small things that the contract's tests share. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createConnection } from "node:net"
import type { Duplex } from "node:stream"
import type { Command, Verdict } from "../../../src/haproxy/Command.ts"
import type { Transport } from "../../../src/haproxy/Connection.ts"
import { type LinkState, RuntimeApi, type RuntimeOptions } from "../../../src/haproxy/RuntimeApi.ts"

/** A link that comes and goes is the point here, not news. */
const quiet = Logger.layer([])

/** Runs a test with a RuntimeApi over a transport. */
export const withApi = <A, E, R>(
  transport: Transport,
  body: (api: RuntimeApi["Service"]) => Effect.Effect<A, E, R>,
  options: Partial<RuntimeOptions> = {}
) =>
  Effect.gen(function*() {
    return yield* body(yield* RuntimeApi)
  }).pipe(
    Effect.provide(
      Layer.provide(RuntimeApi.layer({ heartbeat: 50, firstWait: 2_000, ...options, transport }), quiet),
      { local: true }
    )
  )

/** One command that HAProxy must accept. */
export const run = <A>(api: RuntimeApi["Service"], command: Command<A>) =>
  Effect.map(api.exchange([command]), ([verdict]) => accepted(verdict as Verdict<A>))

/** The value of a verdict that must be a success. */
export const accepted = <A>(verdict: Verdict<A>): A => {
  if (Result.isFailure(verdict)) return assert.fail(`HAProxy refused: ${verdict.failure.text}`)
  return verdict.success
}

/** The text of a verdict that must be a refusal. */
export const refusedText = (verdict: Verdict<unknown>): string => {
  if (Result.isSuccess(verdict)) return assert.fail(`HAProxy accepted: ${JSON.stringify(verdict.success)}`)
  return verdict.failure.text
}

/** Waits for a state of the link, at most 10 s. */
export const linkState = <S extends LinkState>(
  api: RuntimeApi["Service"],
  is: (state: LinkState) => state is S
): Effect.Effect<S> =>
  api.links.pipe(
    Stream.filter(is),
    Stream.runHead,
    Effect.flatMap(Effect.fromOption),
    Effect.timeout("10 seconds"),
    Effect.orDie
  )

export const isUp = (state: LinkState): state is Extract<LinkState, { _tag: "Up" }> => state._tag === "Up"
export const isDown = (state: LinkState): state is Extract<LinkState, { _tag: "Down" }> => state._tag === "Down"

/** Repeats a look every few milliseconds until it answers true, at most 10 s. */
export const until = <E, R>(what: string, look: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (const end = Date.now() + 10_000; Date.now() < end; yield* Effect.sleep(5)) if (yield* look) return
    assert.fail(`never came: ${what}`)
  })

/** A bare connection, for looking at bytes. */
export interface Wire {
  readonly send: (bytes: string) => Effect.Effect<void>
  /** Everything received so far, once it ends with `end` (and at least `count` times). */
  readonly received: (end: string) => Effect.Effect<string>
  /** Everything received, once HAProxy has closed the connection. */
  readonly closed: Effect.Effect<string>
}

/** Opens a bare connection in a scope; every write leaves at once. */
export const wire = (
  transport: Transport
): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket: Duplex = "open" in transport
          ? transport.open()
          : createConnection({ ...transport, noDelay: true })
        const state = { socket, text: "", closed: false }
        socket.setEncoding("utf8")
        socket.on("data", (part: string) => {
          state.text += part
        })
        socket.once("close", () => {
          state.closed = true
        })
        // A reset after the answer is no failure of the test: what was received counts.
        socket.on("error", () => {})
        return state
      }),
      (state) => Effect.sync(() => state.socket.destroy())
    ),
    (state): Wire => ({
      send: (bytes) => Effect.sync(() => void state.socket.write(bytes, "latin1")),
      received: (end) =>
        Effect.as(
          until(
            `${JSON.stringify(end)} after ${JSON.stringify(state.text)}`,
            Effect.sync(() => state.text.endsWith(end))
          ),
          ""
        )
          .pipe(Effect.map(() => state.text)),
      closed: Effect.map(until("the end of the connection", Effect.sync(() => state.closed)), () => state.text)
    })
  )
