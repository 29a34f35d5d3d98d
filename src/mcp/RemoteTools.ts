/**
 * The tools of another process: the client of AdminSocket.ts, as the same service that runs programs here.
 *
 * Guarantees: every end is a result, as with programs. When `serve` cannot be reached nothing was done (BUSY,
 * retryable). When it goes away during a call, a reading call is BUSY too and a writing one OUTCOME_UNKNOWN. An
 * interrupted call is interrupted there.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { request as httpRequest } from "node:http"
import { Busy, Internal, OutcomeUnknown } from "../domain/Errors.ts"
import type { CallerShape } from "../program/Caller.ts"
import { noTokens } from "../program/TokenIndex.ts"
import * as Tracing from "../Tracing.ts"
import { CallLine, Status } from "./AdminSocket.ts"
import { errorCodes } from "./ErrorDocument.ts"
import { decisive } from "./Readings.ts"
import { watchThrough } from "./RemoteWatch.ts"
import { watchable } from "./Subscriptions.ts"
import { failure, type ToolResult } from "./ToolResult.ts"
import { ToolRunner } from "./ToolRunner.ts"
import { bothRules, refusalOf, Rules } from "./Visible.ts"

const decodeLine = Schema.decodeUnknownResult(CallLine)
const decodeStatus = Schema.decodeUnknownResult(Status)

/** How long a connection may take; the socket is on this machine. */
const connectWithin = 2_000

/** A tool of MCP, or a verb that only the admin socket has. */
type Kind = "call" | "admin"

const unreachable = (path: string, code: string) =>
  failure(
    new Busy({
      message: `The control plane does not answer on ${path} (${code})`,
      hint: "Nothing was done. Check that `haproxy-mcp serve` runs, then repeat the call."
    })
  )

/** Verbs of the admin socket count as writing: what they did is found out by asking again. */
const lost = (kind: Kind, tool: string): ToolResult =>
  kind === "call" && decisive(tool)?.annotations.readOnlyHint === true
    ? failure(
      new Busy({ message: "The control plane went away during the call", hint: "Repeat the call when it is back." })
    )
    : failure(
      new OutcomeUnknown({
        message: "The control plane went away during the call, so its outcome is not known",
        hint: "When it is back read the present state, or repeat the call: writes name a desired state."
      })
    )

const misunderstood = () =>
  failure(
    new Internal({
      message: "The control plane answered what this version does not understand",
      hint: "Run the same version of haproxy-mcp everywhere on this machine."
    })
  )

const resultOf = (structuredContent: Record<string, unknown>, isError: boolean): ToolResult => {
  const code = (structuredContent["error"] as { readonly code?: unknown } | undefined)?.code
  return {
    structuredContent,
    text: JSON.stringify(structuredContent),
    isError,
    code: isError ? errorCodes.find((known) => known === code) ?? "INTERNAL" : "OK"
  }
}

type Line = typeof CallLine.Type

/** A line of the answer; null when it is none. */
const parseLine = (text: string): Line | null => {
  try {
    const line = decodeLine(JSON.parse(text))
    return Result.isSuccess(line) ? line.success : null
  } catch {
    return null
  }
}

const callRemote = (
  path: string,
  kind: Kind,
  tool: string,
  args: unknown,
  caller: Omit<CallerShape, "tool">,
  traceparent: string | undefined,
  onProgress: (line: Extract<Line, { readonly progress: unknown }>["progress"]) => void
): Effect.Effect<ToolResult> =>
  Effect.callback((resume) => {
    const body = JSON.stringify({
      args: args ?? {},
      actor: caller.actor,
      principal: caller.principal,
      timeout: caller.timeout
    })
    let connected = false
    let rest = ""
    const request = httpRequest({
      socketPath: path,
      path: `/${kind}/${encodeURIComponent(tool)}`,
      method: "POST",
      agent: false,
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        ...(traceparent === undefined ? {} : { traceparent })
      }
    })
    const end = (result: ToolResult) => {
      clearTimeout(timer)
      resume(Effect.succeed(result))
      request.destroy()
    }
    const timer = setTimeout(() => {
      if (!connected) end(unreachable(path, "ETIMEDOUT"))
    }, connectWithin)
    request.once("socket", (socket) => socket.once("connect", () => (connected = true)))
    request.once("error", (error: NodeJS.ErrnoException) =>
      end(connected ? lost(kind, tool) : unreachable(path, error.code ?? "unknown")))
    request.once("response", (response) => {
      if (response.statusCode !== 200) {
        return end(misunderstood())
      }
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        // A long line comes in many chunks: they are joined once, at its end.
        rest += chunk
        if (!chunk.includes("\n")) {
          return
        }
        const lines = rest.split("\n")
        rest = lines.pop()!
        for (const text of lines) {
          const line = parseLine(text)
          if (line === null) {
            return end(misunderstood())
          }
          if ("result" in line) {
            return end(resultOf(line.result.structuredContent, line.result.isError))
          }
          onProgress(line.progress)
        }
      })
      response.once("close", () =>
        end(lost(kind, tool)))
    })
    request.end(body)
    return Effect.sync(() => {
      clearTimeout(timer)
      request.destroy()
    })
  })

/** Asks who serves on a socket; null when nobody does. */
export const fetchStatus = (path: string): Effect.Effect<Status | null> =>
  Effect.callback<Status | null>((resume) => {
    const request = httpRequest({
      socketPath: path,
      path: "/status",
      method: "GET",
      agent: false,
      timeout: connectWithin
    })
    const end = (status: Status | null) => {
      resume(Effect.succeed(status))
      request.destroy()
    }
    request.once("error", () => end(null))
    request.once("timeout", () => end(null))
    request.once("response", (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.once("close", () => {
        try {
          const status = decodeStatus(JSON.parse(text))
          end(Result.isSuccess(status) ? status.success : null)
        } catch {
          end(null)
        }
      })
    })
    request.end()
    return Effect.sync(() => request.destroy())
  })

/** Runs the tools in the process behind the socket. */
export const layer = (path: string): Layer.Layer<ToolRunner> =>
  Layer.effect(
    ToolRunner,
    Effect.gen(function*() {
      const runFork = Effect.runForkWith(yield* Effect.context<never>())
      const own = yield* Rules
      const theirs = (yield* fetchStatus(path))?.rules
      const rules = theirs === undefined ? own : bothRules(own, theirs)
      const through = (kind: Kind): ToolRunner["Service"]["call"] => (name, args, caller) => {
        const tool = kind === "call" ? decisive(name) : undefined
        // The other process looks again, by its own rules as they are then.
        const refused = tool === undefined ? null : refusalOf(tool, caller.principal, rules)
        return refused !== null ?
          Effect.succeed(failure(refused)) :
          Effect.flatMap(Tracing.traceparent, (traceparent) =>
            callRemote(
              path,
              kind,
              name,
              args,
              caller,
              traceparent,
              ({ done, message, total }) => runFork(caller.progress(done, total, message))
            ))
      }
      return ToolRunner.of({
        rules,
        // Who works through another process has no listener of its own.
        tokens: noTokens,
        call: through("call"),
        admin: through("admin"),
        watch: (uris, caller, told, begun) =>
          // The other process looks again, by its own rules.
          watchThrough(path)(watchable(uris, caller, rules), caller, told, begun),
        notReady: Effect.map(
          fetchStatus(path),
          (status) => status === null ? "the control plane does not answer on its admin socket" : status.not_ready
        ),
        // The other process goes on.
        stopping: Effect.void
      })
    })
  )
