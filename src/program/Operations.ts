/**
 * Work that outlives a call: it runs on in a fiber of its own and is followed by its id. A change id is accepted
 * too, so that an answer of OUTCOME_UNKNOWN is followed in the same way. Operations live as long as the process.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type ControlError, type ErrorBody, Internal, NotFound, toBody } from "../domain/Errors.ts"
import { type Principal, whoOf } from "../domain/Principal.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import { Caller, type CallerShape } from "./Caller.ts"
import { newOperationId } from "./ChangeId.ts"
import * as Input from "./Input.ts"
import type { ProgramServices } from "./Services.ts"

/** Milliseconds that a call may be held open by work: clients give up after 60 s. Tests make it short. */
export const LongestCall = Context.Reference<number>("haproxy-mcp/program/LongestCall", {
  defaultValue: () => 45_000
})
/** Most seconds of `wait`. */
const longestWait = 45
/** Milliseconds between two looks at a change whose fate is not settled yet. */
const lookEvery = 100
/** Finished operations that are remembered. */
const remembered = 100

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

/** An operation as it is now. */
export interface Followed {
  readonly tool: string
  readonly status: "running" | "done" | "failed"
  readonly startedAt: number
  readonly finishedAt: number | null
  readonly result: Answer | null
  readonly failure: ControlError | null
}

interface Running {
  readonly tool: string
  /** Who began it. */
  readonly by: Principal
  readonly startedAt: number
  finishedAt: number | null
  readonly fiber: Fiber.Fiber<Answer, ControlError>
}

export class Operations extends Context.Service<Operations, {
  /** Starts work that may outlive the call; answers its id. */
  readonly start: (tool: string, work: Effect.Effect<Answer, ControlError>) => Effect.Effect<string>
  /** One operation, after waiting up to `waitMs` for its end; none when the id is not known. */
  readonly follow: (id: string, waitMs: number) => Effect.Effect<Option.Option<Followed>>
}>()("haproxy-mcp/program/Operations") {
  static readonly layer = Layer.effect(
    Operations,
    Effect.gen(function*() {
      const all = new Map<string, Running>()
      const scope = yield* Effect.scope
      const start = Effect.fnUntraced(function*(tool: string, work: Effect.Effect<Answer, ControlError>) {
        const id = newOperationId()
        const fiber = yield* Effect.forkIn(work, scope)
        const { principal: by } = yield* Caller
        const running: Running = { tool, by, startedAt: Date.now(), finishedAt: null, fiber }
        fiber.addObserver(() => {
          running.finishedAt = Date.now()
        })
        all.set(id, running)
        for (const [old, one] of all) {
          if (all.size <= remembered) break
          if (one.finishedAt !== null) all.delete(old)
        }
        return id
      })
      const follow = Effect.fnUntraced(function*(id: string, waitMs: number) {
        const running = all.get(id)
        if (running === undefined || !maySee(running.by, yield* Caller)) return Option.none<Followed>()
        const exit = yield* Fiber.await(running.fiber).pipe(Effect.timeoutOption(waitMs))
        const base = { tool: running.tool, startedAt: running.startedAt }
        if (Option.isNone(exit)) {
          return Option.some<Followed>({ ...base, status: "running", finishedAt: null, result: null, failure: null })
        }
        const failure = Exit.isSuccess(exit.value) ?
          null :
          Option.getOrElse(
            Exit.findErrorOption(exit.value),
            () => new Internal({ message: "The operation died", hint: "The server's log has the details." })
          )
        return Option.some<Followed>({
          ...base,
          status: failure === null ? "done" : "failed",
          finishedAt: running.finishedAt,
          result: Exit.isSuccess(exit.value) ? exit.value.value : null,
          failure
        })
      })
      return Operations.of({ start, follow })
    })
  )
}

/** A caller with few domains sees what it began itself. */
const maySee = (by: Principal, { principal }: CallerShape): boolean =>
  principal.domains === null || (principal.kind === by.kind && principal.id === by.id && principal.name === by.name)

const iso = (ms: number) => new Date(ms).toISOString()

/** A change by its id; one that is pending is given up to `waitMs` to be settled. */
const followChange = Effect.fnUntraced(function*(id: string, waitMs: number) {
  const store = yield* Store
  for (const end = Date.now() + waitMs;; yield* Effect.sleep(lookEvery)) {
    const change = yield* store.change(id)
    if (change?.outcome !== "pending" || Date.now() >= end) return change
  }
})

/** What an outcome means for the one who asked for the change. */
const outcomes = {
  applied: "It is done",
  reverted: "It was taken back",
  pending: "It is not settled yet",
  unknown: "Its outcome is not known"
} as const

/** What became of an operation, or of a change by its id. */
export const operation = Tracing.fn("operation")(function*(
  input: OperationInput
): Effect.fn.Return<OperationAnswer, ControlError, ProgramServices> {
  const wait = (yield* Input.whole("wait", input.wait ?? 0, 0, longestWait)) * 1000
  const id = input.operation_id
  const followed = yield* (yield* Operations).follow(id, wait)
  if (Option.isSome(followed)) {
    const { failure, finishedAt, result, startedAt, status, tool } = followed.value
    return {
      summary: status === "running"
        ? `${tool} is still running`
        : failure === null
        ? result?.summary ?? `${tool} is done`
        : failure.message,
      operation_id: id,
      tool,
      status,
      started_at: iso(startedAt),
      finished_at: finishedAt === null ? null : iso(finishedAt),
      result,
      error: failure === null ? null : toBody(failure)
    }
  }
  const { principal } = yield* Caller
  const found = /^chg_[0-9a-z]{1,40}$/.test(id) ? yield* followChange(id, wait) : null
  const theirs = found !== null && principal.domains !== null && found.actor.who !== whoOf(principal)
  const change = theirs ? null : found
  if (change === null) {
    return yield* new NotFound({
      message: `No operation or change has the id ${Input.shown(id)}`,
      hint:
        "Use the operation_id or change_id of an earlier answer; operations are forgotten when the server restarts.",
      field: "operation_id"
    })
  }
  return {
    summary: `${outcomes[change.outcome]}: ${change.summary}`,
    operation_id: id,
    tool: change.tool,
    status: change.outcome,
    started_at: iso(change.at),
    finished_at: change.outcome === "applied" || change.outcome === "reverted" ? iso(change.at) : null,
    result: null,
    error: null
  }
})
