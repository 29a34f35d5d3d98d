/**
 * Who is asking, until when, and how to tell it of progress. The transports provide it per call; a program that
 * runs without one (a test, a user's own code) gets the default.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Actor } from "../domain/Change.ts"
import { type Principal, withAllRights } from "../domain/Principal.ts"

/** The caller of a program. */
export interface CallerShape {
  readonly actor: Actor
  /** What it may do, and which token it showed. */
  readonly principal: Principal
  /** The tool or verb that was called, for the change log. */
  readonly tool: string
  /** What it was called with, as it came; for the audit chain. */
  readonly args?: unknown
  /** It wants to know what would be done, and nothing is to be done: see DryRun.ts. */
  readonly dryRun?: boolean
  /** It goes on where a guardrail would stop it: see Guardrails.ts. */
  readonly force?: boolean
  /** Milliseconds that a call may take (MCP_CALL_TIMEOUT). */
  readonly timeout: number
  /** Reports progress; does nothing when the client did not ask for it. */
  readonly progress: (done: number, total: number, message: string) => Effect.Effect<void>
}

export const Caller = Context.Reference<CallerShape>("haproxy-mcp/program/Caller", {
  defaultValue: () => ({
    actor: { via: "program", who: "local", requestId: "-" },
    principal: withAllRights("program", "local"),
    tool: "program",
    timeout: 10_000,
    progress: () => Effect.void
  })
})
