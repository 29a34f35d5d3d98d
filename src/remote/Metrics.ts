/** Numbers of the link to HAProxy's host, under the names that /metrics shows. They exist only where there is one. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Series from "../Series.ts"
import { type FailureKind, kinds } from "./Failure.ts"

/** Steps of a disk: asking for names and facts, reading, writing a new file durably, changing names, fsync of a folder. */
const steps = ["look", "read", "write", "name", "sync"] as const
export type Step = (typeof steps)[number]

const connections = Series.counter(
  "haproxy_mcp_ssh_connections_total",
  "SSH connections to HAProxy's host that were ready"
)
const failures = Series.countersBy(
  "haproxy_mcp_ssh_failures_total",
  "SSH connections to HAProxy's host that failed or were lost, by what helps",
  "kind",
  kinds
)
const times = new Map(
  steps.map((step) => [
    step,
    Series.timer(
      "haproxy_mcp_ssh_file_seconds",
      "Time of one step with a file of HAProxy's host, by its kind; look is one round trip",
      { step }
    )
  ])
)

export interface SshMetrics {
  readonly connected: () => void
  readonly failed: (kind: FailureKind) => void
  readonly took: (step: Step, ms: number) => void
}

/** The numbers of a link, for as long as it lives. */
export const make = (isUp: () => boolean): Effect.Effect<SshMetrics, never, Scope.Scope> =>
  Effect.gen(function*() {
    yield* Series.exist([connections, ...failures.values(), ...times.values()])
    yield* Series.watched("haproxy_mcp_ssh_up", "HAProxy's host is reached by SSH: 1 or 0", () => isUp() ? 1 : 0)
    const context = yield* Effect.context<never>()
    return {
      connected: () => connections.updateUnsafe(1, context),
      failed: (kind) => failures.get(kind)?.updateUnsafe(1, context),
      took: (step, ms) => times.get(step)?.updateUnsafe(ms / 1000, context)
    }
  })
