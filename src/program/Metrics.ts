/** Numbers of the write path and of the reconciler, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Series from "../Series.ts"

const batches = Series.counter("haproxy_mcp_batches_total", "Batches of writes")
const batchWrites = Metric.histogram("haproxy_mcp_batch_writes", {
  description: "Writes that shared one commit",
  boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
})
const batchSeconds = Series.timer("haproxy_mcp_batch_seconds", "Time from the begin of a batch to its answers")
const applySeconds = Series.timer(
  "haproxy_mcp_apply_seconds",
  "Time in which a batch was made live in HAProxy and read back, waiting for a lost HAProxy included"
)

/** How a comparison of HAProxy with the desired state ended: nothing to do, repaired, or it could not be done. */
type Comparison = "clean" | "repaired" | "failed"
const comparisons = Series.countersBy(
  "haproxy_mcp_reconciles_total",
  "Full comparisons of HAProxy with the desired state",
  "result",
  ["clean", "repaired", "failed"]
)
const drift = Series.counter("haproxy_mcp_drift_repaired_total", "Differences found and repaired by the reconciler")

/** Why HAProxy was reloaded from here: `requested` by haproxy_reload. Routine verbs never do. */
export const reloadReasons = ["requested"] as const
export type ReloadReason = (typeof reloadReasons)[number]
const reloads = Series.countersBy(
  "haproxy_mcp_reloads_total",
  "Reloads of HAProxy that were asked for from here",
  "reason",
  reloadReasons
)

/** What is read when somebody asks. */
export interface Watched {
  readonly queued: () => number
  readonly inSync: () => boolean
  readonly foreign: () => number
}

/** Makes the series exist, and shows the state of the actor for as long as it lives. */
export const watch = ({ foreign, inSync, queued }: Watched): Effect.Effect<void, never, Scope.Scope> =>
  Effect.all([
    Series.exist([batches, batchWrites, batchSeconds, applySeconds, drift, ...comparisons.values()]),
    Series.exist(reloads.values()),
    Series.watched("haproxy_mcp_queue_length", "Writes that wait for their turn", queued),
    Series.watched(
      "haproxy_mcp_in_sync",
      "HAProxy is known to run the desired state: 1 or 0",
      () => inSync() ? 1 : 0
    ),
    Series.watched("haproxy_mcp_foreign_entries", "Map entries that are not managed here", foreign)
  ], { discard: true })

/** A batch of `writes` ended after `ms` milliseconds. */
export const batchDone = (writes: number, ms: number): Effect.Effect<void> =>
  Effect.map(Effect.context<never>(), (context) => {
    batches.updateUnsafe(1, context)
    batchWrites.updateUnsafe(writes, context)
    batchSeconds.updateUnsafe(ms / 1000, context)
  })

/** The part of a batch that is HAProxy's ended after `ms` milliseconds. */
export const applied = (ms: number): Effect.Effect<void> => Metric.update(applySeconds, ms / 1000)

/** A comparison ended, with so many differences repaired; null: it failed. */
export const reconciled = (differences: number | null): Effect.Effect<void> => {
  const result: Comparison = differences === null ? "failed" : differences > 0 ? "repaired" : "clean"
  return Effect.map(Effect.context<never>(), (context) => {
    comparisons.get(result)!.updateUnsafe(1, context)
    drift.updateUnsafe(differences ?? 0, context)
  })
}

/** HAProxy was reloaded. */
export const reloaded = (reason: ReloadReason): Effect.Effect<void> => Metric.update(reloads.get(reason)!, 1)
