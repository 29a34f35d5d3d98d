/** The verb that enables, disables or limits a frontend until HAProxy's next start. */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import * as Frontends from "../../haproxy/FrontendCommands.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import { absent, asWriter, notSo, tell, untilRestart } from "./Telling.ts"

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
  ): Effect.fn.Return<SetFrontendAnswer, ControlError, RuntimeApi> {
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
    if (maxconn !== undefined && before.sessionLimit !== maxconn) yield* tell(Frontends.setMaxconn(frontend, maxconn))
    if (input.state === "enabled" && !isEnabled(before)) yield* tell(Frontends.enable(frontend))
    if (input.state === "disabled" && isEnabled(before)) yield* tell(Frontends.disable(frontend))
    const after = yield* look(frontend)
    const wanted = input.state === undefined ? isEnabled(before) : input.state === "enabled"
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
