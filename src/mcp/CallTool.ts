/**
 * One tool call, whatever the transport: decode, run the program, encode, map errors, count and log.
 *
 * Guarantees: it never fails; every end is a result or an interruption. A defect becomes INTERNAL with the request
 * id, its cause goes to the log and no text of it to the client. Each call leaves one log line (tool, request id,
 * code, milliseconds, the names of what it was about; never the arguments as a whole) and its numbers in /metrics. A
 * caller without the right to the tool is refused before anything is decoded (Visible.ts), and that is logged as well. A
 * writing call that ends in an error or did something that no change tells of, and any that its caller had no right to, goes
 * into the audit chain; a dry run does not, since it is to leave nothing.
 * A call that outlives its deadline, although programs watch theirs, ends here.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Cancelled, type ControlError, Internal, NotFound, OutcomeUnknown, TimedOut } from "../domain/Errors.ts"
import { nearest } from "../domain/Nearest.ts"
import { noteCall } from "../program/AuditTrail.ts"
import { Caller, type CallerShape } from "../program/Caller.ts"
import type { ProgramServices } from "../program/Services.ts"
import * as Tracing from "../Tracing.ts"
import { offer } from "./Catalogue.ts"
import { countCall } from "./Metrics.ts"
import { findReading } from "./Readings.ts"
import { isDryRun, type Tool } from "./Tool.ts"
import { failure, success, type ToolResult } from "./ToolResult.ts"
import { Toolsets } from "./Toolsets.ts"
import { refusalOf, Rules, visible } from "./Visible.ts"

/** Programs answer by their own deadline; this much later a call is ended for them. */
const grace = 2_000
/** Tools that wait answer after 45 s at the latest. */
const longest = 45_000
/** Answers are made to stay under 28 KB; one of this size is a fault in a program. */
const hugeAnswer = 60_000

/** Arguments that say what a call was about and are no secret. */
const subjects = ["domain", "slot", "backend", "server", "share_with", "operation_id"] as const

const subjectOf = (args: unknown): Record<string, unknown> => {
  const found: Record<string, unknown> = {}
  if (typeof args !== "object" || args === null) return found
  for (const name of subjects) {
    const value = (args as Record<string, unknown>)[name]
    if (typeof value === "string") found[name] = value.replace(/[^\u0020-\u007e]/g, "?").slice(0, 255)
    else if (typeof value === "number") found[name] = value
  }
  return found
}

const cancelled = () =>
  new Cancelled({ message: "The call was cancelled", hint: "Read the present state before you repeat it." })

/** Which error an unexpected end is for the client; null when it was one of ours. */
const errorOf = (cause: Cause.Cause<ControlError>, requestId: string): { error: ControlError; defect: boolean } => {
  const failed = cause.reasons.find(Cause.isFailReason)
  if (failed !== undefined) return { error: failed.error, defect: false }
  if (Cause.hasInterruptsOnly(cause)) return { error: cancelled(), defect: false }
  return {
    error: new Internal({
      message: `Something unexpected happened (request ${requestId})`,
      hint: "The log of the control plane has the details under this request id."
    }),
    defect: true
  }
}

/** A call that changes nothing, whatever comes of it. */
const onlyLooks = (tool: Tool, args: unknown): boolean =>
  tool.annotations.readOnlyHint || (tool.plans && isDryRun(args))

const tooLate = (tool: Tool, args: unknown): ControlError =>
  onlyLooks(tool, args)
    ? new TimedOut({ message: "The call took too long", hint: "Repeat it; haproxy_health may say what is slow." })
    : new OutcomeUnknown({
      message: "The call took too long and its outcome is not known",
      hint: "Read the present state, or repeat the call: writes name a desired state."
    })

const record = (tool: Tool, args: unknown, caller: CallerShape, began: number, result: ToolResult) => {
  const ms = performance.now() - began
  const line = {
    tool: tool.name,
    request_id: caller.actor.requestId,
    via: caller.actor.via,
    who: caller.actor.who,
    ...(caller.principal.id === null ? {} : { token: caller.principal.id }),
    code: result.code,
    ms: Math.round(ms * 100) / 100,
    ...subjectOf(args),
    ...(tool.plans && isDryRun(args) ? { dry_run: true } : {})
  }
  const log = Effect.logInfo("tool call", line)
  const size = result.text.length
  const outcome = Tracing.annotate(() => ({
    "haproxy_mcp.code": result.code,
    ...(result.isError ? { "error.type": result.code } : {})
  }))
  return Effect.andThen(
    Effect.andThen(countCall(tool.name, result.code, ms / 1000), outcome),
    size > hugeAnswer && !tool.bulk ? Effect.andThen(Effect.logWarning("huge answer", { ...line, size }), log) : log
  )
}

/** Did a writing call do something that no change tells of? Not one that found all as it was to be. */
const isNoChange = ({ structuredContent: { change_id, changed } }: ToolResult): boolean =>
  change_id === undefined && changed !== false

const run = (tool: Tool, args: unknown, caller: CallerShape): Effect.Effect<ToolResult, never, ProgramServices> => {
  const began = performance.now()
  const deadline = (tool.long ? Math.max(longest, caller.timeout) : caller.timeout) + grace
  let denied = false
  const permitted = Effect.flatMap(Rules, (rules) => {
    const refused = refusalOf(tool.by ?? tool, caller.principal, rules)
    if (refused === null) return tool.run(args)
    denied = refused._tag === "Forbidden"
    return Effect.fail(refused)
  })
  return permitted.pipe(
    Effect.map(success),
    Effect.timeoutOrElse({ duration: deadline, orElse: () => Effect.succeed(failure(tooLate(tool, args))) }),
    Effect.catchCause((cause) => {
      const { defect, error } = errorOf(cause, caller.actor.requestId)
      const result = Effect.succeed(failure(error))
      return defect ? Effect.andThen(Effect.logError("defect in a tool", cause), result) : result
    }),
    Effect.onExit((exit) => {
      const result = Exit.isSuccess(exit) ? exit.value : failure(cancelled())
      const recorded = record(tool, args, caller, began, result)
      return denied || (!onlyLooks(tool, args) && (result.isError || isNoChange(result)))
        ? Effect.andThen(noteCall(result.code, denied), recorded)
        : recorded
    }),
    Tracing.span(`tool ${tool.name}`, () => ({ attributes: { "haproxy_mcp.request_id": caller.actor.requestId } })),
    Effect.provideService(Caller, caller),
    Effect.annotateLogs("request_id", caller.actor.requestId)
  )
}

/** Tools by their names. */
export interface Catalogue {
  readonly find: (name: string) => Tool | undefined
  readonly names: ReadonlyArray<string>
  /** What to say to a name that is none of them. */
  readonly instead?: (name: string) => string
}

/** The result for a name that is no tool. Transports with an error of their own for it use that one. */
const noSuchTool = (name: string, among: Catalogue, names: ReadonlyArray<string>): ToolResult =>
  failure(
    new NotFound({
      message: `There is no tool ${name.replace(/[^\u0020-\u007e]/g, "?").slice(0, 80)}`,
      hint: among.instead?.(name) ?? "Use one of the valid values.",
      validValues: nearest(name, names, 5)
    })
  )

/** Calls a tool or a reading by its name; out of those that this process offers unless another catalogue is given. */
export const callTool = (
  name: string,
  args: unknown,
  caller: Omit<CallerShape, "tool">,
  other?: Catalogue
): Effect.Effect<ToolResult, never, ProgramServices> =>
  Effect.withFiber((fiber) => {
    const offered = offer(fiber.getRef(Toolsets))
    const among = other ?? offered
    const tool = among.find(name) ?? (other === undefined ? findReading(name) : undefined)
    if (tool !== undefined) return run(tool, args, { ...caller, tool: name, args })
    // To a client of MCP only those that it may call.
    const names = other?.names ?? visible(caller.principal, fiber.getRef(Rules), offered.tools).map((one) => one.name)
    return Effect.succeed(noSuchTool(name, among, names))
  })
