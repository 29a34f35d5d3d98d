/**
 * Work that outlives a call: it runs on in a fiber of its own and is followed by its id. A change id is accepted
 * too, so that an answer of OUTCOME_UNKNOWN can be followed in the same way.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ControlError, ErrorBody } from "../domain/Errors.ts"
import type { Answer } from "./Answer.ts"
import type { ProgramServices } from "./Services.ts"

export interface OperationInput {
  readonly operation_id: string
  /** Seconds to wait for its end, at most 45. */
  readonly wait?: number
}

export interface OperationAnswer extends Answer {
  readonly operation_id: string
  /** The tool that began it. */
  readonly tool: string
  readonly status: "running" | "done" | "failed" | "applied" | "reverted" | "pending" | "unknown"
  readonly started_at: string
  readonly finished_at: string | null
  /** The tool's own answer, once done. */
  readonly result: unknown
  readonly error: ErrorBody | null
}

export class Operations extends Context.Service<Operations, {
  /** Starts work that may outlive the call; answers its id. At most 100 finished ones are remembered. */
  readonly start: <A extends Answer>(
    tool: string,
    work: Effect.Effect<A, ControlError>
  ) => Effect.Effect<string>
  /** One operation as it is now, after waiting up to `waitMs` for its end; null when the id is not known. */
  readonly follow: (id: string, waitMs: number) => Effect.Effect<OperationAnswer | null>
}>()("haproxy-mcp/program/Operations") {}

export const operation: (input: OperationInput) => Effect.Effect<OperationAnswer, ControlError, ProgramServices> = () =>
  Effect.die("not yet")
