/**
 * Numbers of certificates, under the names that /metrics shows. No series is per certificate: labels come from closed
 * sets only (Series.ts), and haproxy_list_certs names those that a number speaks of.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Series from "../../Series.ts"
import type { Numbers } from "./Overview.ts"
import { statuses } from "./Standing.ts"

const results = ["ok", "failed"] as const

/** How a piece of work ended. */
export type Outcome = (typeof results)[number]

const issues = Series.countersBy(
  "haproxy_mcp_certificate_issues_total",
  "Certificates asked of the CA, new ones and renewals",
  "result",
  results
)
const issueSeconds = Series.timer(
  "haproxy_mcp_certificate_issue_seconds",
  "Time from asking the CA for a certificate to its answer, good or bad",
  {},
  [1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600]
)
const installs = Series.countersBy(
  "haproxy_mcp_certificate_installs_total",
  "Certificates put into the folder and into HAProxy by a change; failed ones were taken back",
  "result",
  results
)
const proofs = Series.countersBy(
  "haproxy_mcp_certificate_tls_proofs_total",
  "TLS handshakes that were to show a new certificate; wrong: another one or none was shown",
  "result",
  ["ok", "wrong", "unreachable"]
)
const comparisons = Series.countersBy(
  "haproxy_mcp_certificate_restores_total",
  "Comparisons of HAProxy's certificates with the folder",
  "result",
  ["clean", "repaired", "failed"]
)
const repairs = Series.counter(
  "haproxy_mcp_certificate_repairs_total",
  "Certificates that HAProxy lacked, or had another one for, and that a comparison loaded"
)

/** Seconds since 1970, as Prometheus wants times; 0 for none. */
const timestamp = (ms: number | null): number => ms === null ? 0 : ms / 1000

/** What is read when somebody asks. */
export interface Watched {
  readonly numbers: (now: number) => Numbers
  /** Certificates of ours in HAProxy's memory; 0 while that is not known. */
  readonly loaded: () => number
}

/** Makes the series exist, and shows the state for as long as the scope lives. */
export const watch = ({ loaded, numbers }: Watched): Effect.Effect<void, never, Scope.Scope> => {
  // A scrape asks for a dozen of them at the same moment.
  let last = { at: 0, numbers: numbers(0) }
  const read = (): Numbers => {
    const now = Date.now()
    if (Math.abs(now - last.at) > 100) last = { at: now, numbers: numbers(now) }
    return last.numbers
  }
  return Effect.all([
    Series.exist([issueSeconds, repairs]),
    Series.exist([...issues.values(), ...installs.values(), ...proofs.values(), ...comparisons.values()]),
    Effect.forEach(statuses, (status) =>
      Series.watched(
        "haproxy_mcp_certificate_count",
        "Certificates by how they stand; missing: a row without a file, broken: a file that is no certificate with its key",
        () => read().counts[status],
        { status }
      ), { discard: true }),
    Series.watched(
      "haproxy_mcp_certificate_loaded",
      "Certificates of the folder that HAProxy has in memory; 0 while that is not known",
      loaded
    ),
    Series.watched(
      "haproxy_mcp_certificate_next_expiry_timestamp_seconds",
      "When the first certificate ends or ended, seconds since 1970; 0: there is none",
      () => timestamp(read().nextExpiry)
    ),
    Series.watched(
      "haproxy_mcp_certificate_next_attempt_timestamp_seconds",
      "When the next certificate is renewed or tried again, seconds since 1970; 0: none is renewed here",
      () => timestamp(read().nextAttempt)
    ),
    Series.watched(
      "haproxy_mcp_certificate_failing",
      "Certificates whose last attempt failed",
      () => read().failing
    ),
    Series.watched(
      "haproxy_mcp_certificate_failures_in_a_row",
      "The most failures in a row of any certificate",
      () => read().failuresInARow
    )
  ], { discard: true })
}

/** The CA answered after `ms` milliseconds. */
export const issued = (outcome: Outcome, ms: number): Effect.Effect<void> =>
  Effect.andThen(Metric.update(issues.get(outcome)!, 1), Metric.update(issueSeconds, ms / 1000))

/** A change put a certificate in place, or was taken back. */
export const installed = (outcome: Outcome): Effect.Effect<void> => Metric.update(installs.get(outcome)!, 1)

/** A handshake was tried. */
export const proved = (result: "ok" | "wrong" | "unreachable"): Effect.Effect<void> =>
  Metric.update(proofs.get(result)!, 1)

/** A comparison ended and loaded so many; null: it failed. */
export const restored = (loaded: number | null): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(comparisons.get(loaded === null ? "failed" : loaded > 0 ? "repaired" : "clean")!, 1),
    Metric.update(repairs, loaded ?? 0)
  )
