/** The verb that shows requests and responses that broke the rules of HTTP. What was captured is strangers' text. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import * as Errors from "../../haproxy/ErrorCommands.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import { page, type RowsInput } from "./Rows.ts"
import { absent } from "./Telling.ts"

export interface ErrorsInput extends RowsInput {
  readonly proxy?: string
  readonly kind?: Errors.CapturedError["kind"]
}

export interface ErrorsAnswer extends Answer {
  readonly errors: ReadonlyArray<Errors.CapturedError>
  readonly total: number
  readonly next_cursor: string | null
}

/** The last invalid request of each frontend and response of each backend. */
export const showErrors = Tracing.fn("showErrors")(function*(
  input: ErrorsInput
): Effect.fn.Return<ErrorsAnswer, ControlError, RuntimeApi> {
  const proxy = input.proxy === undefined ? undefined : yield* Input.proxyName("proxy", input.proxy)
  if (proxy !== undefined) {
    const known = yield* inTime(ask(Stats.show({ kinds: ["frontend", "backend"] })))
    if (!known.some((row) => row.proxy === proxy)) {
      return yield* absent("frontend or backend", "proxy", proxy, known.map((row) => row.proxy), "haproxy_backends")
    }
  }
  const all = yield* inTime(ask(Errors.show(proxy, input.kind)))
  const { next_cursor, rows, total } = yield* page(all, input)
  return {
    summary: total === 0 ? "No invalid request or response was captured" : `${rows.length} of ${total} captured errors`,
    errors: rows,
    total,
    next_cursor
  }
})
