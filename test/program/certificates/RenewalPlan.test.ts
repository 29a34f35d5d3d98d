/** When a certificate is renewed and tried again, whatever its lifetime, its CA and the clock say. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { type Certificate, dueAt, validityAt } from "../../../src/domain/Certificate.ts"
import {
  askEvery,
  dueMoment,
  leastLife,
  nextMoment,
  plannedFor,
  renewalOf,
  retryAt,
  roundPause,
  shortestPause,
  spot
} from "../../../src/program/certificates/RenewalPlan.ts"

const hour = 3_600_000
const day = 24 * hour
const origin = Date.UTC(2026, 10, 21)

const sha256 = (text: string | number) => createHash("sha256").update(String(text)).digest("hex").toUpperCase()

const certificate = (days: number, options: Partial<Certificate> & { readonly id?: number } = {}): Certificate => {
  const { id = 1, ...row } = options
  const facts = {
    names: [`n${id}.example.com`],
    issuer: "CA",
    serial: "01",
    sha1: "",
    sha256: sha256(id),
    notBefore: origin,
    notAfter: origin + days * day,
    keyType: "EC256",
    chain: 1
  }
  return {
    name: `n${id}.example.com`,
    source: "acme",
    state: "active",
    facts,
    renewAt: renewalOf(facts, origin),
    nextAttempt: null,
    failures: 0,
    lastError: null,
    ...row
  }
}

const whole = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Lifetimes that CAs give, in days, and odd ones. */
const lifetimes = Arbitrary.schema(Schema.Literals([1, 6, 10, 47, 90, 100, 199, 398]))

describe("The plan of a renewal", () => {
  it.effect.prop(
    "lies in the last third of the lifetime but a little before it, and leaves time for a week of failures or a sixth",
    [lifetimes, whole(0, 100_000)],
    ([days, id]) =>
      Effect.sync(() => {
        const one = certificate(days, { id })
        const due = dueMoment(one, null, origin)!
        assert.isAtMost(due, dueAt(one.facts))
        assert.isAtLeast(due, dueAt(one.facts) - days * day / 30 - 1)
        assert.isAtLeast(due, origin + leastLife(one.facts))
        assert.strictEqual(validityAt(one.facts, due), "valid")
        assert.strictEqual(due, Math.max(plannedFor(one.facts), origin + leastLife(one.facts)))
      })
  )

  it("spreads certificates that came at the same moment evenly over a thirtieth of their lifetime", () => {
    const moments = Array.from({ length: 1_000 }, (_, id) => dueMoment(certificate(90, { id }), null, origin)!)
    const last = dueAt(certificate(90).facts)
    const buckets = Array.from({ length: 10 }, () => 0)
    for (const moment of moments) buckets[Math.min(9, Math.floor((last - moment) / (3 * day / 10)))]!++
    for (const count of buckets) assert.isAbove(count, 60)
  })

  it("is the same after a restart, and for no two certificates by design", () => {
    assert.strictEqual(spot(sha256(1)), spot(sha256(1)))
    assert.notStrictEqual(spot(sha256(1)), spot(sha256(2)))
    assert.strictEqual(spot(""), 0)
  })

  it("leaves what somebody put there alone, and what is being issued", () => {
    assert.isNull(dueMoment(certificate(90, { source: "file", renewAt: null }), null, origin + 400 * day))
    assert.isNull(dueMoment(certificate(90, { source: "file" }), null, origin + 400 * day))
    assert.isNull(dueMoment(certificate(90, { state: "issuing" }), null, origin + 400 * day))
    assert.isNull(nextMoment(certificate(90, { renewAt: null }), null, origin + 400 * day))
  })

  it.effect.prop(
    "follows the CA's window, at the same moment within it each time, but never into the last sixth",
    [lifetimes, whole(0, 400 * 24), whole(1, 48), whole(0, 1_000)],
    ([days, from, length, id]) =>
      Effect.sync(() => {
        const one = certificate(days, { id })
        const window = { start: origin + from * hour, end: origin + (from + length) * hour }
        const moment = dueMoment(one, window, origin)!
        assert.strictEqual(dueMoment(one, window, origin + 5 * day), moment)
        const latest = one.facts.notAfter - days * day / 6
        const earliest = one.facts.notBefore + leastLife(one.facts)
        if (window.start >= earliest && window.end <= latest) {
          assert.isAtLeast(moment, window.start - 1)
          assert.isAtMost(moment, window.end)
        } else {
          assert.isAtLeast(moment, earliest - 1)
          assert.isAtMost(moment, latest)
        }
      })
  )

  it("renews a revoked certificate at once: the CA's window has passed", () => {
    const now = origin + 20 * day
    const one = certificate(90)
    assert.isAtMost(dueMoment(one, { start: now - 2 * day, end: now - day }, now)!, now)
    // A window that is none is not believed.
    assert.strictEqual(dueMoment(one, { start: now, end: now - day }, now), one.renewAt)
  })

  it("does not renew what has just come again and again, because the CA's window or the clock says so", () => {
    // The CA says "now" of every certificate.
    const fresh = certificate(90)
    const window = { start: origin - day, end: origin - hour }
    assert.isAtLeast(dueMoment(fresh, window, origin)!, origin + day - 1)
    // The clock is a year ahead: what comes has ended already.
    const ahead = origin + 365 * day
    const { facts } = fresh
    const later = { ...fresh, renewAt: renewalOf(facts, ahead) }
    assert.isAbove(dueMoment(later, null, ahead)!, ahead + hour - 1)
    assert.isAbove(dueMoment(later, window, ahead)!, ahead + hour - 1)
    // The clock is right again: nothing of it is left.
    assert.strictEqual(dueMoment(later, null, origin + day), dueAt(facts))
  })

  it("waits, when the clock is before the certificate's time", () => {
    const one = certificate(6)
    for (const now of [origin - hour, origin - day, origin - 30 * day]) {
      assert.isAbove(nextMoment(one, null, now)!, now + 3 * day)
    }
  })
})

describe("Trying again", () => {
  it.effect.prop(
    "never comes sooner than a quarter of an hour, nor later than a day and a quarter",
    [lifetimes, whole(1, 1_000), whole(-400 * 24, 400 * 24), whole(0, 99)],
    ([days, failures, hours, random]) =>
      Effect.sync(() => {
        const now = origin + hours * hour
        const pause = retryAt(certificate(days).facts, failures, now, random / 100) - now
        assert.isAtLeast(pause, shortestPause)
        assert.isAtMost(pause, 1.25 * day)
      })
  )

  it("doubles from an hour on while there is time", () => {
    const { facts } = certificate(90)
    const now = origin + 60 * day
    const pauses = [1, 2, 3, 4, 5, 6, 7].map((failures) => (retryAt(facts, failures, now, 0) - now) / hour)
    assert.deepStrictEqual(pauses, [1, 2, 4, 8, 16, 24, 24])
  })

  it.effect.prop(
    "gives every lifetime at least a dozen attempts before its end, when the CA is down from the due moment on",
    [lifetimes, whole(0, 1_000)],
    ([days, seed]) =>
      Effect.sync(() => {
        let one = certificate(days, { id: seed })
        let now = dueMoment(one, null, origin)!
        let attempts = 0
        for (; now < one.facts.notAfter; attempts++) {
          const failures = one.failures + 1
          one = { ...one, failures, nextAttempt: retryAt(one.facts, failures, now, spot(sha256(seed + attempts))) }
          const next = nextMoment(one, null, now)!
          assert.isAtLeast(next, now + shortestPause)
          now = next
        }
        assert.isAtLeast(attempts, 12)
        assert.isAtMost(attempts, 200)
        // What has ended is not given up, and not hammered on either.
        assert.isAtMost(now - one.facts.notAfter, 1.25 * day)
      })
  )

  it("does not wait for a time that was written down under a clock far ahead", () => {
    const now = origin + 70 * day
    const one = certificate(90, { failures: 1, nextAttempt: now + 30 * day })
    assert.isAtMost(nextMoment(one, null, now)!, now)
    const soon = certificate(90, { failures: 1, nextAttempt: now + hour })
    assert.strictEqual(nextMoment(soon, null, now), now + hour)
  })

  it("leaves a CA that is down alone for longer each time, two hours and a half at most", () => {
    const pauses = [1, 2, 3, 4, 5, 6, 20].map((rounds) => roundPause(rounds, 0) / 60_000)
    assert.deepStrictEqual(pauses, [5, 10, 20, 40, 80, 120, 120])
    assert.strictEqual(roundPause(20, 1) / 60_000, 150)
  })

  it("asks the CA about a certificate no more often than it wants, nor than a day or a quarter of a short life", () => {
    assert.strictEqual(askEvery(certificate(90).facts, 6 * hour), day)
    assert.strictEqual(askEvery(certificate(90).facts, 40 * hour), 40 * hour)
    assert.strictEqual(askEvery(certificate(6).facts, hour), 6 * hour)
  })
})
