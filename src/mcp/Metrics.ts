/** Numbers of the tools, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

const calls = new Map<string, Metric.Counter<number>>()
const times = new Map<string, Metric.Histogram<number>>()

/** The series of a pair, made once: the sets of tools and of codes are both closed. */
const callsOf = (tool: string, code: string): Metric.Counter<number> => {
  const key = `${tool} ${code}`
  let counter = calls.get(key)
  if (counter === undefined) {
    counter = Metric.counter("haproxy_mcp_tool_calls_total", {
      description: "Tool calls by their outcome",
      attributes: { tool, code },
      incremental: true
    })
    calls.set(key, counter)
  }
  return counter
}

const timesOf = (tool: string): Metric.Histogram<number> => {
  let histogram = times.get(tool)
  if (histogram === undefined) {
    histogram = Metric.histogram("haproxy_mcp_tool_call_seconds", {
      description: "Time from a tool call to its answer",
      attributes: { tool },
      boundaries: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 45]
    })
    times.set(tool, histogram)
  }
  return histogram
}

/** A call of `tool` ended with `code` after `seconds`. */
export const countCall = (tool: string, code: string, seconds: number): Effect.Effect<void> =>
  Effect.andThen(Metric.update(callsOf(tool, code), 1), Metric.update(timesOf(tool), seconds))

const refusals = new Map<string, Metric.Counter<number>>()

/** The gate refused a request, with `reason` out of a closed set. */
export const countRefusal = (reason: string): Effect.Effect<void> => {
  let counter = refusals.get(reason)
  if (counter === undefined) {
    counter = Metric.counter("haproxy_mcp_http_refused_total", {
      description: "HTTP requests that the gate refused",
      attributes: { reason },
      incremental: true
    })
    refusals.set(reason, counter)
  }
  return Metric.update(counter, 1)
}
