/**
 * When a certificate is renewed, tried again after a failure, and how long a CA that is down is left alone. Pure:
 * everything is computed from a row and the time, so a clock that jumps changes nothing for good.
 *
 * Guarantees, whatever the clock says: the same certificate is not renewed again before {@link leastLife} after it
 * came; a failed one is not tried again sooner than {@link shortestPause}; a time that was written down under a clock
 * far ahead of the present one does not hold anything up. All times in milliseconds since 1970.
 */
import { type Certificate, type CertificateFacts, dueAt } from "../../domain/Certificate.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Between two attempts at one certificate that fails: CAs allow five failures an hour and name. */
export const shortestPause = 15 * minute
const longestPause = day
/** The first pause after a failure; it doubles. */
const firstPause = hour

type Span = Pick<CertificateFacts, "notBefore" | "notAfter">

const clamp = (value: number, least: number, most: number): number => Math.min(Math.max(value, least), most)

const lifetime = (facts: Span): number => Math.max(0, facts.notAfter - facts.notBefore)

/** A new certificate is left alone so long, also when it seems due: the clock or the CA is wrong then. */
export const leastLife = (facts: Span): number => clamp(lifetime(facts) / 12, hour, day)

/**
 * A number from 0 to 1 that is the same for the same certificate: what is spread by it stays where it is when the
 * process restarts.
 */
export const spot = (sha256: string): number => Number.parseInt(sha256.slice(0, 12) || "0", 16) / 0x1_0000_0000_0000

/**
 * When a certificate is due: a third of its lifetime before its end, less up to a thirtieth (3 days of 90, 5 hours of
 * 6 days), so that those that were issued together are not renewed together.
 */
export const plannedFor = (facts: Pick<CertificateFacts, "notBefore" | "notAfter" | "sha256">): number =>
  Math.floor(dueAt(facts) - spot(facts.sha256) * lifetime(facts) / 30)

/** `renewAt` of a certificate that the CA has just given: {@link plannedFor}, and not soon. */
export const renewalOf = (facts: Pick<CertificateFacts, "notBefore" | "notAfter" | "sha256">, now: number): number =>
  Math.floor(Math.max(plannedFor(facts), now + leastLife(facts)))

/** A period in which the CA wants a certificate to be renewed (RFC 9773). */
export interface Window {
  readonly start: number
  readonly end: number
}

/**
 * When this certificate is to be renewed; null: not here, or it is being issued. A moment within the CA's window, the
 * same one each time, else the row's own; never later than a sixth of the lifetime before its end.
 */
export const dueMoment = (certificate: Certificate, window: Window | null, now: number): number | null => {
  const { facts, renewAt, source, state } = certificate
  if (source !== "acme" || state !== "active" || renewAt === null) return null
  // Later than it would be due: it was put off when it came, unless that was under a clock far ahead of this one.
  if (renewAt > dueAt(facts)) return renewAt - now > leastLife(facts) ? dueAt(facts) : renewAt
  if (window === null || !(window.end > window.start)) return renewAt
  const advised = window.start + spot(facts.sha256) * (window.end - window.start)
  return Math.floor(clamp(advised, facts.notBefore + leastLife(facts), facts.notAfter - lifetime(facts) / 6))
}

/** When this certificate is renewed or tried again; null: not here. */
export const nextMoment = (certificate: Certificate, window: Window | null, now: number): number | null => {
  const due = dueMoment(certificate, window, now)
  const { nextAttempt } = certificate
  // A pause longer than any comes from another clock.
  if (due === null || nextAttempt === null || nextAttempt - now > longestPause * 1.25) return due
  return Math.max(due, nextAttempt)
}

/**
 * When a certificate is tried again after so many failures in a row: after 1 h, 2 h, 4 h…, but after a tenth of the
 * time to its end (or since it) at most, a quarter of an hour at least; up to a quarter more by `random` (0 to 1).
 */
export const retryAt = (facts: Span, failures: number, now: number, random: number): number => {
  const most = clamp(Math.abs(facts.notAfter - now) / 10, shortestPause, longestPause)
  const pause = Math.min(firstPause * 2 ** Math.min(Math.max(failures, 1) - 1, 10), most)
  return Math.floor(now + pause * (1 + random / 4))
}

/** How long the CA is left alone after so many rounds in a row that it ended: 5 min, 10 min… up to 2 h. */
export const roundPause = (rounds: number, random: number): number =>
  Math.floor(Math.min(5 * minute * 2 ** Math.min(Math.max(rounds, 1) - 1, 10), 2 * hour) * (1 + random / 4))

/** How often the CA is asked about one certificate at most: its Retry-After, but once a day or four times a lifetime. */
export const askEvery = (facts: Span, retryAfter: number): number =>
  Math.max(retryAfter, clamp(lifetime(facts) / 24, hour, day))
