/** Numbers of the link to HAProxy and of the files, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Series from "../Series.ts"
import type { Epoch } from "./Probe.ts"

const exchangeSeconds = Series.timer(
  "haproxy_mcp_runtime_exchange_seconds",
  "Time of one exchange with the Runtime API, from asking to the last answer"
)
const lostExchanges = Series.counter(
  "haproxy_mcp_runtime_exchanges_lost_total",
  "Exchanges with the Runtime API that got no complete answer"
)
const reconnects = Series.counter(
  "haproxy_mcp_runtime_reconnects_total",
  "Connections to the Runtime API after the first"
)
const epochs = Series.counter("haproxy_mcp_epochs_total", "Workers of HAProxy seen, the first included")
const startTime = Metric.gauge("haproxy_mcp_haproxy_worker_start_time_seconds", {
  description: "When HAProxy's present worker started, in seconds since 1970; 0 before one was seen"
})
const fileSeconds = Series.timer(
  "haproxy_mcp_file_write_seconds",
  "Time in which the files that HAProxy starts from were written durably for a batch"
)

/** What the link tells. */
export interface LinkMetrics {
  /** A connection was opened and this worker answered. */
  readonly connected: (epoch: Epoch) => void
  /** An exchange was answered completely, after so many milliseconds, or not. */
  readonly exchanged: (ms: number) => void
  readonly lost: () => void
}

const worker = ({ pid, version }: Epoch) =>
  Metric.gauge("haproxy_mcp_haproxy_worker_info", {
    description: "HAProxy's worker that answered last; always 1",
    attributes: { pid: String(pid), version }
  })

/** The numbers of a link, for as long as it lives. */
export const link = (isUp: () => boolean): Effect.Effect<LinkMetrics, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* Series.exist([exchangeSeconds, lostExchanges, reconnects, epochs, startTime])
    yield* Series.watched("haproxy_mcp_runtime_link_up", "HAProxy's Runtime API answers: 1 or 0", () => isUp() ? 1 : 0)
    const context = yield* Effect.context<never>()
    let last: Epoch | null = null
    let connections = 0
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (last !== null) Metric.removeUnsafe(worker(last), context)
      })
    )
    return {
      connected: (epoch) => {
        if (connections++ > 0) reconnects.updateUnsafe(1, context)
        if (last !== null && last.pid === epoch.pid && last.startTime === epoch.startTime) return
        if (last !== null) Metric.removeUnsafe(worker(last), context)
        last = epoch
        epochs.updateUnsafe(1, context)
        startTime.updateUnsafe(epoch.startTime, context)
        worker(epoch).updateUnsafe(1, context)
      },
      exchanged: (ms) => exchangeSeconds.updateUnsafe(ms / 1000, context),
      lost: () => lostExchanges.updateUnsafe(1, context)
    }
  })

/** Counts a write of the files for a batch that took so many milliseconds. */
export const fileWrites: Effect.Effect<(ms: number) => void> = Effect.map(
  Effect.andThen(Series.exist([fileSeconds]), Effect.context<never>()),
  (context) => (ms) => fileSeconds.updateUnsafe(ms / 1000, context)
)
