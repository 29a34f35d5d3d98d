/** How the certificates are, as one component of haproxy_health. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Certificate, validityAt } from "../../domain/Certificate.ts"
import type { Store } from "../../store/Store.ts"
import type { ComponentStatus, HealthAnswer } from "../HealthShapes.ts"
import { Certificates, type CertificatesState } from "./Certificates.ts"
import { type Numbers, numbersOf } from "./Overview.ts"
import { current, iso } from "./Standing.ts"

type Component = HealthAnswer["components"]["certificates"]

/** So many failures in a row are no mishap. */
const manyFailures = 3

/** `1 has expired`, `2 have expired`, or nothing. */
const some = (count: number, one: string, many: string): ReadonlyArray<string> =>
  count === 0 ? [] : [`${count} ${count === 1 ? one : many}`]

/** What is wrong, in one sentence; null: nothing is. Pure. */
export const troubleOf = (
  numbers: Numbers,
  state: CertificatesState,
  rows: number
): { readonly status: ComponentStatus; readonly reason: string } | null => {
  const { broken, expired, expiring, missing } = numbers.counts
  if (state.status === "off") {
    return rows === 0 ? null : { status: "error", reason: `HAProxy serves none of them: ${state.reason}` }
  }
  if (state.status === "error") return { status: "error", reason: state.reason }
  const sentences = [
    ...some(expired, "has expired", "have expired"),
    ...some(expiring, "expires soon", "expire soon"),
    ...some(missing, "has lost its file", "have lost their files"),
    ...some(broken, "file cannot be used", "files cannot be used"),
    ...(numbers.failuresInARow >= manyFailures
      ? [`renewals fail, ${numbers.failuresInARow} times in a row (haproxy_list_certs says why)`]
      : []),
    ...(state.status === "degraded" ? state.problems.slice(0, 3) : [])
  ]
  return sentences.length === 0 ? null : { status: expired > 0 ? "error" : "degraded", reason: sentences.join("; ") }
}

/** What rows alone tell, while nobody looks at HAProxy and the folder. */
export const certificatesAtRest = (rows: ReadonlyArray<Certificate>, now: number): Component => {
  const active = rows.filter(({ state }) => state === "active")
  const moments = active.flatMap(({ nextAttempt, renewAt }) => renewAt === null ? [] : [nextAttempt ?? renewAt])
  const first = (times: ReadonlyArray<number>) => times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b))
  return {
    status: rows.length === 0 ? "not_configured" : "unknown",
    loaded: null,
    total: rows.length,
    expiring: active.filter(({ facts }) => validityAt(facts, now) === "expiring").length,
    failing: rows.filter(({ failures }) => failures > 0).length,
    next_expiry: iso(first(active.map(({ facts }) => facts.notAfter))),
    next_attempt: iso(first(moments)),
    ...(rows.length === 0 ? {} : { reason: "nobody serves" })
  }
}

/** Never fails: what cannot be read is what it reports. */
export const certificatesHealth: Effect.Effect<Component, never, Store | Certificates> = Effect.gen(function*() {
  const certificates = yield* Certificates
  const all = yield* current
  const now = yield* Clock.currentTimeMillis
  const moments = new Map<string, number | null>()
  for (const { row } of all) if (row !== null) moments.set(row.name, yield* certificates.nextAttempt(row))
  const numbers = numbersOf(all, now, ({ name }) => moments.get(name) ?? null)
  const state = yield* certificates.state
  const rows = all.filter(({ row }) => row !== null).length
  const trouble = troubleOf(numbers, state, rows)
  const status: ComponentStatus = trouble?.status
    ?? (state.status === "off" || (all.length === 0 && state.status !== "ok")
      ? "not_configured"
      : state.status === "unknown"
      ? "unknown"
      : "ok")
  return {
    status,
    loaded: state.loaded?.size ?? null,
    total: numbers.total,
    expiring: numbers.counts.expiring,
    failing: numbers.failing,
    next_expiry: iso(numbers.nextExpiry),
    next_attempt: iso(numbers.nextAttempt),
    ...(trouble !== null ? { reason: trouble.reason } : status === "unknown" ? { reason: state.reason } : {})
  }
}).pipe(
  Effect.catch(({ message }) =>
    Effect.succeed<Component>({
      status: "error",
      loaded: null,
      total: 0,
      expiring: 0,
      failing: 0,
      next_expiry: null,
      next_attempt: null,
      reason: message
    })
  )
)
