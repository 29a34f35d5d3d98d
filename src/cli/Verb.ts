/**
 * How the command line asks for something: through the admin socket of the process that serves on this machine, or,
 * when nobody does, on a control plane of its own over the same database (DESIGN: one writer).
 *
 * Guarantees: the same verb with the same checks either way; a refusal is printed with its hint and ends the process
 * with 1 (2 for a wrong input); progress goes to the callback; an interrupted command interrupts its verb.
 */
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import { decodeSettings, type Sources } from "../Config.ts"
import { withAllRights } from "../domain/Principal.ts"
import { fetchStatus, layer as remoteTools } from "../mcp/RemoteTools.ts"
import { newRequestId } from "../mcp/RequestId.ts"
import type { ToolResult } from "../mcp/ToolResult.ts"
import { ToolRunner } from "../mcp/ToolRunner.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"

/** What is asked for. */
export interface Question {
  /** A verb of AdminCatalogue.ts, or a tool of MCP. */
  readonly name: string
  readonly kind: "admin" | "call"
  readonly args: unknown
  /** Milliseconds that it may take. */
  readonly timeout: number
  readonly progress?: (done: number, total: number, message: string) => void
}

/** Asks it of the tools that are there. */
export const put = ({ args, kind, name, progress, timeout }: Question): Effect.Effect<ToolResult, never, ToolRunner> =>
  Effect.flatMap(ToolRunner, (runner) =>
    runner[kind](name, args, {
      actor: { via: "cli", who: userInfo().username, requestId: newRequestId() },
      principal: withAllRights("owner", userInfo().username),
      timeout,
      progress: (done, total, message) => Effect.sync(() => progress?.(done, total, message))
    }))

/** Several questions in a row, of the same process. */
export const withTools = <A, E, R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  work: Effect.Effect<A, E, ToolRunner>
): Effect.Effect<A, unknown, R> =>
  Effect.gen(function*() {
    const { mcpAdminSocket } = yield* decodeSettings(sources)
    const serving = yield* fetchStatus(mcpAdminSocket)
    return serving === null
      ? yield* handlers.alone(sources, work)
      : yield* work.pipe(Effect.provide(remoteTools(mcpAdminSocket)))
  })

interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly change_id?: string
}

/** Says a refusal on standard error and fails with {@link Ended}. */
export const refuse = ({ change_id: changeId, code, hint, message }: Failure): Effect.Effect<never, Ended> =>
  Effect.suspend(() => {
    const about = changeId === undefined ? "" : ` (change_id ${changeId})`
    process.stderr.write(`haproxy-mcp: ${message}${about}\n${hint === "" ? "" : `haproxy-mcp: ${hint}\n`}`)
    return Effect.fail(new Ended({ code: code === "INVALID_INPUT" ? exitCodes.usage : exitCodes.failed }))
  })

/** The answer in a result; see {@link refuse} for others. */
export const answerOf = ({ isError, structuredContent }: ToolResult): Effect.Effect<Record<string, unknown>, Ended> =>
  isError
    ? refuse(structuredContent["error"] as unknown as Failure)
    : Effect.succeed(structuredContent as Record<string, unknown>)

/** The answer of a question; a refusal has been said on standard error when it fails with {@link Ended}. */
export const answer = <R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  question: Question
): Effect.Effect<Record<string, unknown>, unknown, R> =>
  Effect.flatMap(withTools(handlers, sources, put(question)), answerOf)
