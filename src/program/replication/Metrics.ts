/** Numbers of the remote copy, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Series from "../../Series.ts"

const uploadSeconds = Series.timer("haproxy_mcp_remote_upload_seconds", "Time of one durable upload to the remote host")
const kinds = ["full", "delta"] as const
const uploads = Series.countersBy(
  "haproxy_mcp_remote_uploads_total",
  "Generations that became durable on the remote host",
  "kind",
  kinds
)
const bytes = Series.counter("haproxy_mcp_remote_upload_bytes_total", "Bytes of the generations that were uploaded")
const failures = Series.counter("haproxy_mcp_remote_failures_total", "Uploads that are not known to be durable")

/** What is read when somebody asks. */
export interface Watched {
  readonly generation: () => number
  readonly lag: () => number
  readonly isWriter: () => boolean
}

/** Makes the series exist, and shows how the copy stands for as long as it is kept. */
export const watch = ({ generation, isWriter, lag }: Watched): Effect.Effect<void, never, Scope.Scope> =>
  Effect.all([
    Series.exist([uploadSeconds, bytes, failures]),
    Series.exist(uploads.values()),
    Series.watched("haproxy_mcp_remote_generation", "Newest generation on the remote host that is known", generation),
    Series.watched("haproxy_mcp_remote_lag_commits", "Commits that are not durable on the remote host yet", lag),
    Series.watched("haproxy_mcp_remote_writer", "This process writes there: 1, or 0 when it was fenced", () =>
      isWriter() ? 1 : 0)
  ], { discard: true })

/** A generation of so many bytes became durable after `ms` milliseconds. */
export const uploaded = (kind: (typeof kinds)[number], size: number, ms: number): Effect.Effect<void> =>
  Effect.map(Effect.context<never>(), (context) => {
    uploads.get(kind)!.updateUnsafe(1, context)
    bytes.updateUnsafe(size, context)
    uploadSeconds.updateUnsafe(ms / 1000, context)
  })

/** An upload failed. */
export const failed: Effect.Effect<void> = Metric.update(failures, 1)
