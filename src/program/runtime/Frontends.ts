/** The verb that enables, disables or limits a frontend until HAProxy's next start. */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import type { Command } from "../../haproxy/Command.ts"
import * as Frontends from "../../haproxy/FrontendCommands.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { absent, asWriter, endBeforeTelling, notSo, tell, untilRestart } from "./Telling.ts"

export interface SetFrontendInput {
  readonly frontend: string
  readonly state?: "enabled" | "disabled"
  readonly maxconn?: number
}

export interface SetFrontendAnswer extends Answer {
  readonly changed: boolean
  readonly frontend: string
  readonly status: string
  readonly maxconn: number | null
}

/** Most connections that HAProxy can be told. */
const mostConnections = 1_000_000

const look = Effect.fnUntraced(function*(frontend: string) {
  const rows = yield* inTime(ask(Stats.show({ kinds: ["frontend"] })))
  const row = rows.find(({ proxy }) => proxy === frontend)
  return row ??
    (yield* absent("frontend", "frontend", frontend, rows.map(({ proxy }) => proxy), "haproxy_list_frontends"))
})

/** A frontend listens unless it is paused or stopped. */
const isEnabled = (row: Stats.StatRow): boolean => row.status === "OPEN" || row.status === "FULL"

/** Enables or disables it, sets its maxconn, and reads both back. */
export const setFrontend = asWriter(
  Tracing.fn("setFrontend")(function*(
    input: SetFrontendInput
  ): Effect.fn.Return<SetFrontendAnswer, ControlError, ProgramServices> {
    const frontend = yield* Input.proxyName("frontend", input.frontend)
    const maxconn = input.maxconn === undefined
      ? undefined
      : yield* Input.whole("maxconn", input.maxconn, 1, mostConnections)
    if (input.state === undefined && maxconn === undefined) {
      return yield* new InvalidInput({
        message: "Nothing to set",
        hint: "Give state, maxconn or both.",
        field: "state"
      })
    }
    const before = yield* look(frontend)
    const wanted = input.state === undefined ? isEnabled(before) : input.state === "enabled"
    const commands: ReadonlyArray<Command<unknown>> = [
      ...(maxconn !== undefined && before.sessionLimit !== maxconn ? [Frontends.setMaxconn(frontend, maxconn)] : []),
      ...(wanted === isEnabled(before) ? [] : [wanted ? Frontends.enable(frontend) : Frontends.disable(frontend)])
    ]
    yield* endBeforeTelling({
      summary: `Frontend ${frontend} is ${wanted ? "enabled" : "disabled"} with maxconn ${
        maxconn ?? before.sessionLimit
      }, ${untilRestart}`,
      commands,
      now: { frontend, status: before.status, maxconn: before.sessionLimit },
      sessions: before.currentSessions
    })
    for (const command of commands) yield* tell(command)
    const after = yield* look(frontend)
    if (isEnabled(after) !== wanted || (maxconn !== undefined && after.sessionLimit !== maxconn)) {
      return yield* notSo(`${frontend} is ${after.status} with maxconn ${after.sessionLimit}`)
    }
    return {
      summary: `Frontend ${frontend} is ${after.status} with maxconn ${after.sessionLimit}, ${untilRestart}`,
      changed: isEnabled(before) !== isEnabled(after) || before.sessionLimit !== after.sessionLimit,
      frontend,
      status: after.status,
      maxconn: after.sessionLimit
    }
  })
)
