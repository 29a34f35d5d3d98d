/** Numbers of the tools and of HTTP, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Series from "../Series.ts"
import { toolNames } from "./Catalogue.ts"
import { errorCodes } from "./ErrorDocument.ts"
import type { Refusal } from "./Gate.ts"

const calls = new Map<string, Metric.Counter<number>>()
const times = new Map<string, Metric.Histogram<number>>()

/** The series of a pair, made once: the sets of tools and of codes are both closed. */
const callsOf = (tool: string, code: string): Metric.Counter<number> => {
  const key = `${tool} ${code}`
  let one = calls.get(key)
  if (one === undefined) {
    one = Series.counter("haproxy_mcp_tool_calls_total", "Tool calls by their outcome: OK or the error's code", {
      tool,
      code
    })
    calls.set(key, one)
  }
  return one
}

const timesOf = (tool: string): Metric.Histogram<number> => {
  let one = times.get(tool)
  if (one === undefined) {
    one = Series.timer("haproxy_mcp_tool_call_seconds", "Time from a tool call to its answer", { tool }, [
      ...Series.seconds,
      45
    ])
    times.set(tool, one)
  }
  return one
}

const errors: ReadonlyMap<string, Metric.Counter<number>> = Series.countersBy(
  "haproxy_mcp_tool_errors_total",
  "Tool calls that were answered with an error, by its code",
  "code",
  errorCodes
)

/** A call of `tool` ended with `code` after `seconds`. */
export const countCall = (tool: string, code: string, seconds: number): Effect.Effect<void> =>
  Effect.map(Effect.context<never>(), (context) => {
    callsOf(tool, code).updateUnsafe(1, context)
    timesOf(tool).updateUnsafe(seconds, context)
    errors.get(code)?.updateUnsafe(1, context)
  })

const reasons = Object.keys(
  {
    duplicate_header: 0,
    host: 0,
    origin: 0,
    no_token: 0,
    wrong_token: 0,
    expired_token: 0,
    revoked_token: 0,
    too_many: 0,
    unready: 0
  } satisfies Record<Refusal, 0>
) as ReadonlyArray<Refusal>
const refusals = Series.countersBy(
  "haproxy_mcp_http_refused_total",
  "HTTP requests that the gate refused",
  "reason",
  reasons
)

/** The gate refused a request. */
export const countRefusal = (reason: Refusal): Effect.Effect<void> => Metric.update(refusals.get(reason)!, 1)

const ready = Metric.gauge("haproxy_mcp_ready", { description: "Writes would be taken now, as /readyz says: 1 or 0" })

/** What `/readyz` says, to be shown. */
export const showReady = (good: boolean): Effect.Effect<void> => Metric.update(ready, good ? 1 : 0)

/** Makes the series exist, and shows what the listener holds for as long as it lives. */
export const watch = (requests: () => number, streams: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.all([
    Series.exist(toolNames.flatMap((tool) => [callsOf(tool, "OK"), timesOf(tool)])),
    Series.exist(errors.values()),
    Series.exist(refusals.values()),
    Series.exist([ready]),
    Series.watched("haproxy_mcp_http_requests_in_flight", "HTTP requests that are being answered", requests),
    Series.watched("haproxy_mcp_streams_open", "Answers that are streams of events and still open", streams)
  ], { discard: true })
