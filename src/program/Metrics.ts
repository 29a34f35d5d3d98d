/** Numbers of the write path, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

const batches = Metric.counter("haproxy_mcp_batches_total", { description: "Batches of writes", incremental: true })
const batchWrites = Metric.histogram("haproxy_mcp_batch_writes", {
  description: "Writes that shared one commit",
  boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
})
const batchSeconds = Metric.histogram("haproxy_mcp_batch_seconds", {
  description: "Time from the begin of a batch to its answers",
  boundaries: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})
const reconciles = Metric.counter("haproxy_mcp_reconciles_total", {
  description: "Full comparisons of HAProxy with the desired state",
  incremental: true
})
const drift = Metric.counter("haproxy_mcp_drift_repaired_total", {
  description: "Differences found and repaired by the reconciler",
  incremental: true
})
const foreign = Metric.gauge("haproxy_mcp_foreign_entries", { description: "Map entries that are not managed here" })

/** A batch of `writes` ended after `ms` milliseconds. */
export const batchDone = (writes: number, ms: number): Effect.Effect<void> =>
  Effect.all([Metric.update(batches, 1), Metric.update(batchWrites, writes), Metric.update(batchSeconds, ms / 1000)], {
    discard: true
  })

/** A comparison found `differences` and `others` foreign entries. */
export const reconciled = (differences: number, others: number): Effect.Effect<void> =>
  Effect.all([Metric.update(reconciles, 1), Metric.update(drift, differences), Metric.update(foreign, others)], {
    discard: true
  })

/** Why HAProxy was reloaded from here: `requested` by haproxy_reload. Routine verbs never do. */
export const reloadReasons = ["requested"] as const
export type ReloadReason = (typeof reloadReasons)[number]

const reloads = new Map(
  reloadReasons.map((reason) => [
    reason,
    Metric.counter("haproxy_mcp_reloads_total", {
      description: "Reloads of HAProxy that were asked for from here",
      attributes: { reason },
      incremental: true
    })
  ])
)

/** HAProxy was reloaded. */
export const reloaded = (reason: ReloadReason): Effect.Effect<void> => Metric.update(reloads.get(reason)!, 1)
