/**
 * The fiber that renews, under a clock of the test: rounds, failures, a CA that is down, clocks that jump, the CA's own
 * advice. The rows are a real database's; what a renewal is, stands in: its real parts are in RenewalStorm.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import { join } from "node:path"
import { Acme, type RenewalWindow } from "../../../src/acme/Acme.ts"
import type { Certificate } from "../../../src/domain/Certificate.ts"
import { AcmeFailed, ConfigInvalid, type ControlError, HaproxyUnreachable } from "../../../src/domain/Errors.ts"
import type { CertificateBundle } from "../../../src/haproxy/certificates/Bundle.ts"
import { CertificateFiles } from "../../../src/haproxy/certificates/CertificateFiles.ts"
import type { Installed } from "../../../src/program/certificates/Certificates.ts"
import * as Renewal from "../../../src/program/certificates/Renewal.ts"
import { renewalOf } from "../../../src/program/certificates/RenewalPlan.ts"
import { Store } from "../../../src/store/Store.ts"
import { folder, limits } from "../../store/support/Fixture.ts"
import { makeBundle } from "../../support/Certificates.ts"

const hour = 3_600_000
const day = 24 * hour

const nameOf = (id: number) => `n${String(id).padStart(3, "0")}.example.com`

/** A row whose certificate began at `notBefore`; `renewAt` as an install at that time would leave it. */
const rowOf = (id: number, notBefore: number, days: number, serial = 0): Certificate => {
  const facts = {
    names: [nameOf(id)],
    issuer: "CA",
    serial: String(serial),
    sha1: "",
    sha256: createHash("sha256").update(`${id} ${serial} ${notBefore}`).digest("hex").toUpperCase(),
    notBefore,
    notAfter: notBefore + days * day,
    keyType: "EC256",
    chain: 1
  }
  return {
    name: nameOf(id),
    source: "acme",
    state: "active",
    facts,
    renewAt: renewalOf(facts, notBefore),
    nextAttempt: null,
    failures: 0,
    lastError: null
  }
}

const caDown = () => new AcmeFailed({ message: "The CA does not answer", hint: "Wait.", retryable: true })
const refused = (name: string) => new AcmeFailed({ message: `The CA refuses\n${name}`, hint: "?", retryable: false })

interface Fixture {
  readonly store: Store["Service"]
  readonly renewals: Renewal.Renewals
  readonly bundles: Map<string, CertificateBundle>
  /** Attempts in order. */
  readonly tried: Array<{ readonly name: string; readonly at: number }>
  /** The most that ran beside each other. */
  readonly most: () => number
  readonly put: (rows: ReadonlyArray<Certificate>) => Effect.Effect<void>
  readonly row: (id: number) => Effect.Effect<Certificate>
  readonly asked: Array<{ readonly name: string; readonly at: number }>
}

interface Options {
  /** What the CA does with a name; default: a new certificate for so many days. */
  readonly fails?: (name: string, attempt: number) => ControlError | null
  readonly days?: number
  /** Milliseconds that a renewal takes. */
  readonly takes?: number
  readonly ready?: () => boolean
  readonly window?: (name: string, now: number) => RenewalWindow | null
  /** A clock that is wrong by so many milliseconds: the CA's is right. */
  readonly wrong?: () => number
}

const fixture = Effect.fnUntraced(function*(options: Options = {}) {
  const { days = 90, takes = 8_000, wrong = () => 0 } = options
  const dir = yield* folder
  const services = yield* Layer.build(Store.layer({ file: join(dir, "desired.db"), pools: limits }))
  const store = Context.get(services, Store)
  // Reading a disk takes time of another clock than the test's.
  const bundles: Fixture["bundles"] = new Map()
  const files = CertificateFiles.of({
    folder: dir,
    list: Effect.die("not here"),
    read: (name) => Effect.sync(() => bundles.get(name) ?? null),
    text: () => Effect.die("not here"),
    besides: 2,
    fileOf: () => Effect.die("not here"),
    stage: () => Effect.die("not here"),
    remove: () => Effect.die("not here"),
    check: Effect.die("not here")
  })
  const tried: Fixture["tried"] = []
  const asked: Fixture["asked"] = []
  let running = 0
  let most = 0
  const acme = Acme.of({
    server: "https://ca.example/directory",
    issue: () => Effect.die("not here"),
    renewalWindow: (chain) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const name = [...bundles].find(([, { chainText }]) => chainText === chain)![0]
        asked.push({ name, at: now })
        return options.window?.(name, now) ?? null
      }),
    state: Effect.die("not here")
  })
  const issue: Renewal.RenewalOptions["issue"] = ({ name }) =>
    Effect.gen(function*() {
      tried.push({ name, at: yield* Clock.currentTimeMillis })
      most = Math.max(most, ++running)
      yield* Effect.sleep(takes)
      const error = options.fails?.(name, tried.filter((one) => one.name === name).length) ?? null
      if (error !== null) return yield* error
      const now = yield* Clock.currentTimeMillis
      const id = Number(name.slice(1, 4))
      const fresh = rowOf(id, now - wrong(), days, tried.length)
      const certificate = { ...fresh, renewAt: renewalOf(fresh.facts, now) }
      yield* Effect.orDie(store.commit(store.putCertificate(certificate)))
      const installed: Installed = {
        certificate,
        changed: true,
        changeId: "chg_1",
        revision: 1,
        proved: true,
        warnings: []
      }
      return installed
    }).pipe(Effect.ensuring(Effect.sync(() => running--)))
  const renewals = Renewal.make({
    plane: { store, files, acme },
    issue,
    ready: Effect.sync(() => options.ready?.() ?? true),
    noted: Effect.void
  })
  const world: Fixture = {
    store,
    renewals,
    bundles,
    tried,
    asked,
    most: () => most,
    put: (rows) => Effect.orDie(store.commit(Effect.forEach(rows, store.putCertificate, { discard: true }))),
    row: (id) => Effect.orDie(Effect.map(store.certificate(nameOf(id)), (row) => row!))
  }
  return world
})

/** Puts a real certificate into the folder; answers its row. */
const file = (world: Fixture, id: number, days = 90): Certificate => {
  const bundle = makeBundle([nameOf(id)], { from: -1, to: days - 1 })
  world.bundles.set(nameOf(id), bundle)
  const { facts } = bundle
  return { ...rowOf(id, 0, 1), facts, renewAt: renewalOf(facts, facts.notBefore) }
}

const test = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.effect(name, () => Effect.provideService(body(), References.MinimumLogLevel, "None"))

/** Time goes on in steps, so that what wakes has its turn. */
const pass = (time: number, step = hour) =>
  Effect.gen(function*() {
    for (let left = time; left > 0; left -= step) yield* TestClock.adjust(Math.min(step, left))
  })

const start = Date.UTC(2026, 10, 21)

describe("A round", () => {
  test("renews 200 that are due at once, four beside each other, the one that ends first before the others", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      const world = yield* fixture()
      yield* world.put(Array.from({ length: 200 }, (_, id) => rowOf(id, start - (60 + id % 30) * day - day, 90)))
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(8 * 60_000, 2_000)
      assert.lengthOf(world.tried, 200)
      assert.strictEqual(world.most(), 4)
      const first = world.tried.slice(0, 6).map(({ name }) => Number(name.slice(1, 4)) % 30)
      assert.deepStrictEqual(first, [29, 29, 29, 29, 29, 29])
      // 200 runs of 8 s, 4 beside each other.
      assert.isAtLeast(world.tried.at(-1)!.at - start, 49 * 8_000)
      // And none of them again.
      yield* pass(5 * day, 6 * hour)
      assert.lengthOf(world.tried, 200)
    }))

  test("ends early when the CA is down, and the next ones wait longer each time", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      let down = true
      const world = yield* fixture({ fails: () => down ? caDown() : null })
      yield* world.put(Array.from({ length: 200 }, (_, id) => rowOf(id, start - 61 * day, 90)))
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(4 * 60_000, 1_000)
      // Three failures end it; the fourth was under way.
      assert.isAtMost(world.tried.length, 7)
      assert.isAtLeast(world.tried.length, 3)
      const touched = yield* world.store.certificates
      assert.lengthOf(touched.filter(({ failures }) => failures > 0), world.tried.length)
      yield* pass(12 * hour, 60_000)
      // Some rounds of a handful each in half a day, not 200 failing runs.
      assert.isAtMost(world.tried.length, 80)
      const early = world.tried.length
      down = false
      yield* pass(26 * hour, 30_000)
      assert.isAtLeast(world.tried.length, early + 200)
      for (const row of yield* world.store.certificates) {
        assert.strictEqual(row.failures, 0)
        assert.isNull(row.lastError)
      }
    }))

  test("goes on past certificates that the CA refuses, and tells each row why", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      const world = yield* fixture({ fails: (name) => Number(name.slice(1, 4)) % 2 === 0 ? refused(name) : null })
      yield* world.put(Array.from({ length: 20 }, (_, id) => rowOf(id, start - 61 * day, 90)))
      const before = yield* world.store.revision
      const round = yield* Effect.forkChild(world.renewals.renewDue)
      yield* pass(60_000, 1_000)
      const answer = yield* Fiber.join(round)
      assert.strictEqual(answer.due, 20)
      assert.lengthOf(answer.renewed, 10)
      assert.lengthOf(answer.failed, 10)
      assert.strictEqual(answer.skipped, 0)
      const row = yield* world.row(4)
      assert.strictEqual(row.lastError, "The CA refuses n004.example.com")
      assert.strictEqual(row.failures, 1)
      assert.isAtLeast(row.nextAttempt!, start + hour)
      assert.strictEqual(row.facts.notBefore, start - 61 * day, "the certificate of before is untouched")
      // A failed attempt is no change of the desired state.
      assert.strictEqual(yield* world.store.revision, before)
      // The next round leaves them alone for now.
      const again = yield* world.renewals.renewDue
      assert.deepStrictEqual([again.due, again.skipped], [0, 20])
    }))

  for (
    const [what, error] of [
      ["there is no acme.sh", new ConfigInvalid({ message: "There is no acme.sh", hint: "Install it." })],
      ["HAProxy is away", new HaproxyUnreachable({ message: "HAProxy is away", hint: "Start it." })]
    ] as const
  ) {
    test(`ends at once when ${what}`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(start)
        const world = yield* fixture({ fails: () => error })
        yield* world.put(Array.from({ length: 50 }, (_, id) => rowOf(id, start - 61 * day, 90)))
        yield* Effect.forkChild(world.renewals.run)
        yield* pass(2 * hour, 10_000)
        assert.isAtMost(world.tried.length, 5 * 4)
      }))
  }

  test("is not begun by itself while HAProxy is not compared", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      let isReady = false
      const world = yield* fixture({ ready: () => isReady })
      yield* world.put([rowOf(1, start - 61 * day, 90)])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(hour, 10_000)
      assert.lengthOf(world.tried, 0)
      isReady = true
      yield* pass(60_000, 1_000)
      assert.lengthOf(world.tried, 1)
    }))
})

describe("Over the years", () => {
  for (const days of [90, 47, 6]) {
    test(`a certificate of ${days} days is renewed once a lifetime's two thirds, always in time`, () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(start)
        const world = yield* fixture({ days })
        yield* world.put([rowOf(1, start, days)])
        yield* Effect.forkChild(world.renewals.run)
        let last = start
        for (let hours = 0; hours < (days > 10 ? 3 : 10) * days * 24; hours += 6) {
          yield* TestClock.adjust(6 * hour)
          const { facts } = yield* world.row(1)
          const now = yield* Clock.currentTimeMillis
          assert.isAbove(facts.notAfter - now, days * day / 6)
          last = now
        }
        const expected = (last - start) / (days * day * 2 / 3)
        assert.isAtLeast(world.tried.length, Math.floor(expected))
        assert.isAtMost(world.tried.length, Math.ceil(expected * 1.06) + 1)
      }))
  }

  test("a certificate of 6 days is saved when the CA is down until a day before its end", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      let down = true
      const world = yield* fixture({ days: 6, fails: () => down ? caDown() : null })
      yield* world.put([rowOf(1, start, 6)])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(5 * day, 60_000)
      const failed = world.tried.length
      assert.isAtLeast(failed, 4)
      down = false
      yield* pass(5 * hour, 60_000)
      assert.strictEqual(world.tried.length, failed + 1)
      assert.strictEqual((yield* world.row(1)).failures, 0)
    }))

  test("a clock that jumps a day ahead and back again neither storms nor forgets", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      let wrong = 0
      const world = yield* fixture({ days: 6, wrong: () => wrong })
      yield* world.put([rowOf(1, start, 6)])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(3 * day)
      assert.lengthOf(world.tried, 0)
      wrong = day
      yield* TestClock.setTime(start + 4 * day)
      yield* pass(2 * hour, 60_000)
      assert.lengthOf(world.tried, 1)
      yield* pass(2 * day)
      assert.lengthOf(world.tried, 1)
      wrong = 0
      yield* TestClock.setTime(start + 5 * day)
      yield* pass(day)
      assert.lengthOf(world.tried, 1)
      yield* pass(3 * day)
      assert.lengthOf(world.tried, 2)
    }))

  test("a clock a year ahead renews a certificate some times a day at most, and never in a loop", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start + 365 * day)
      const world = yield* fixture({ wrong: () => 365 * day })
      yield* world.put([rowOf(1, start, 90)])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(day, 60_000)
      assert.isAtLeast(world.tried.length, 1)
      assert.isAtMost(world.tried.length, 2)
    }))

  test("a clock before the certificate's time renews nothing", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start - 2 * day)
      const world = yield* fixture()
      yield* world.put([rowOf(1, start, 6), rowOf(2, start, 90)])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(2 * day)
      assert.lengthOf(world.tried, 0)
    }))
})

describe("The CA's renewal information", () => {
  test("is asked for once a day and certificate, spread, and followed", () =>
    Effect.gen(function*() {
      const now = Date.now()
      yield* TestClock.setTime(now)
      const early = nameOf(7)
      const world = yield* fixture({
        window: (name, at) => ({
          start: name === early ? at - 2 * day : now + 50 * day,
          end: name === early ? at - day : now + 52 * day,
          askAgain: 6 * hour
        })
      })
      // They are two days old, so the CA's word counts for them.
      const rows = Array.from({ length: 20 }, (_, id) => file(world, id))
      yield* world.put(rows)
      yield* TestClock.setTime(now + day)
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(3 * 60_000, 1_000)
      assert.lengthOf(world.asked, 20)
      yield* pass(20 * hour, 60_000)
      // The one that the CA wants renewed at once was, long before it is due; it has no file of ours here to ask about.
      assert.deepStrictEqual(world.tried.map(({ name }) => name), [early])
      assert.isAtMost(world.asked.length, 21)
      yield* pass(8 * hour, 60_000)
      const perName = Map.groupBy(world.asked, ({ name }) => name)
      for (const [name, times] of perName) assert.isAtMost(times.length, 2, name)
      assert.isAtLeast(world.asked.length, 38)
      // Later than the row's own time would be, is not later than the CA's window.
      const row = rows[3]!
      const next = yield* world.renewals.nextAttempt(row)
      assert.isAtLeast(next!, now + 50 * day)
      assert.isAtMost(next!, now + 52 * day)
    }))

  test("changes nothing where the CA gives none, or the file is another certificate", () =>
    Effect.gen(function*() {
      const now = Date.now()
      yield* TestClock.setTime(now)
      const world = yield* fixture()
      const own = file(world, 1)
      const other = { ...file(world, 2), facts: { ...own.facts, names: [nameOf(2)], sha256: "AB" } }
      yield* world.put([own, other])
      yield* Effect.forkChild(world.renewals.run)
      yield* pass(3 * 60_000, 1_000)
      assert.deepStrictEqual(world.asked.map(({ name }) => name), [nameOf(1)])
      assert.strictEqual(yield* world.renewals.nextAttempt(own), own.renewAt)
      assert.strictEqual(yield* world.renewals.dueAt(other), other.renewAt)
    }))
})
