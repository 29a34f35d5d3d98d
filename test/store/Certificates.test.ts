/** Rows of certificates, and the migration that brings their table to a database of before. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { type Certificate, covers } from "../../src/domain/Certificate.ts"
import { schemaVersion } from "../../src/store/Migrate.ts"
import { add, folder, name, ownerEdit, route, routeEdit, withNewStore, withStore, write } from "./support/Fixture.ts"

const row = (certificate: string, more: Partial<Certificate> = {}): Certificate => ({
  name: certificate,
  source: "acme",
  state: "active",
  facts: {
    names: [certificate, `*.${certificate}`],
    issuer: "R11",
    serial: "04A1",
    sha256: "AB".repeat(32),
    sha1: "CD".repeat(20),
    notBefore: 1_700_000_000_000,
    notAfter: 1_707_776_000_000,
    keyType: "EC256",
    chain: 1
  },
  renewAt: 1_705_000_000_000,
  nextAttempt: null,
  failures: 0,
  lastError: null,
  ...more
})

/** What has every kind of value, and characters that SQL and JSON could stumble over. */
const rows: ReadonlyArray<Certificate> = [
  row("a.example.com"),
  row("*.wild.example.com", {
    source: "file",
    renewAt: null,
    nextAttempt: 1_705_000_000_001,
    failures: 3,
    lastError: "it's \"wrong\"; DROP TABLE certificates; -- \u00fc\u0000"
  }),
  row("under_score.pem.bak", { facts: { ...row("x.example.com").facts, names: [], issuer: "Let's \\ \u{1F512}" } }),
  row("new.example.com", { state: "issuing", renewAt: null })
]
const byName = (all: ReadonlyArray<Certificate>) => all.toSorted((a, b) => (a.name < b.name ? -1 : 1))

describe("a certificate's row", () => {
  it.live("comes back as it was written, replaced or not, also after a restart, until it is removed", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "desired.db")
      const renewed = row("a.example.com", { facts: { ...row("a.example.com").facts, serial: "FF" }, failures: 1 })
      const expected = byName([...rows.slice(1), renewed])
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          yield* store.commit(Effect.forEach(rows, store.putCertificate))
          assert.deepStrictEqual(yield* store.certificates, byName(rows))
          yield* store.commit(store.putCertificate(renewed))
          assert.deepStrictEqual(yield* store.certificate("a.example.com"), renewed)
          assert.isNull(yield* store.certificate("A.example.com"))
          assert.isNull(yield* store.certificate("'"))
        }))
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.certificates, expected)
          for (const { name } of expected) yield* store.commit(store.removeCertificate(name))
          yield* store.commit(store.removeCertificate("never.example.com"))
          assert.deepStrictEqual(yield* store.certificates, [])
        }))
    })))

  it.live("goes with its commit: a failure leaves the one of before", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        yield* store.commit(store.putCertificate(rows[0]!))
        const failed = yield* Effect.result(store.commit(Effect.gen(function*() {
          yield* store.putCertificate(row("a.example.com", { failures: 9 }))
          yield* store.removeCertificate("a.example.com")
          yield* store.putCertificate(row("b.example.com"))
          return yield* Effect.fail("no" as const)
        })))
        assert.strictEqual(failed._tag, "Failure")
        assert.deepStrictEqual(yield* store.certificates, [rows[0]!])
        // Rows without a recorded change are no revision.
        assert.strictEqual(yield* store.revision, 0)
        yield* store.commit(Effect.andThen(store.putCertificate(row("b.example.com")), write(store, [])))
        assert.strictEqual(yield* store.revision, 1)
      })
    ))
})

describe("the routes of a certificate", () => {
  it.live("are those that its names stand for, by the rule of the domain", () =>
    withNewStore((store) =>
      Effect.gen(function*() {
        const routes = [
          "example.com",
          "*.example.com",
          "a.example.com",
          "b.example.com",
          "deep.a.example.com",
          "*.a.example.com",
          "notexample.com",
          "xexample.com.example.net",
          "a-example.com",
          "example.org"
        ]
        yield* store.commit(write(store, [
          ownerEdit(1, null, "example.com"),
          ...routes.map((one, index) => routeEdit(null, route(one, 1, index + 1)))
        ]))
        const certificates = [
          ["example.com"],
          ["*.example.com"],
          ["example.com", "*.example.com"],
          ["*.a.example.com", "example.org", "*.example.org"],
          ["*.com", "*."],
          ["a%.example.com", "*._xample.com", "*.%", "'", "*.'", ""],
          []
        ]
        for (const names of certificates) {
          assert.deepStrictEqual(
            yield* store.routesUnder(names, 100),
            routes.filter((one) => covers(names, one)).sort(),
            names.join()
          )
        }
        assert.deepStrictEqual(yield* store.routesUnder(["example.com", "*.example.com"], 2), [
          "*.example.com",
          "a.example.com"
        ])
      })
    ))

  it.live(
    "are found among 100,000 within 50 ms, for many names in one walk",
    () =>
      withNewStore((store) =>
        Effect.gen(function*() {
          const count = 100_000
          yield* store.commit(write(store, [
            ownerEdit(1, null, "n0.s0.example.com"),
            ...Array.from(
              { length: count },
              (_, n) => routeEdit(null, route(`n${n}.s${n % 1000}.example.com`, 1, n + 1))
            )
          ]))
          const names = Array.from({ length: 50 }, (_, n) => [`s${n}.example.com`, `*.s${n}.example.com`]).flat()
          const fastest = Effect.fnUntraced(function*(asked: ReadonlyArray<string>, limit: number, found: number) {
            const times: Array<number> = []
            for (let round = 0; round < 7; round++) {
              // Of this thread: others may be busy too.
              const began = process.threadCpuUsage()
              assert.strictEqual((yield* store.routesUnder(asked, limit)).length, found)
              const { system, user } = process.threadCpuUsage(began)
              times.push((system + user) / 1000)
            }
            return Math.min(...times)
          })
          assert.isBelow(yield* fastest(["n7.s7.example.com"], 1, 1), 5)
          assert.isBelow(yield* fastest(["none.example.com", "*.none.example.com"], 100, 0), 50)
          assert.isBelow(yield* fastest(["s3.example.com", "*.s3.example.com"], 100, 100), 50)
          // 50 wildcards in one certificate are one walk too, not fifty.
          assert.isBelow(yield* fastest(names, 10_000, 5_000), 200)
        })
      ),
    30_000
  )
})

describe("a database of before there were certificates", () => {
  /** Takes the second migration back: what a program before it has left. */
  const makeOld = (file: string) => {
    const db = new DatabaseSync(file)
    db.exec(
      "DROP TABLE certificates; DROP TABLE lives; DROP TABLE tokens; DELETE FROM migrations WHERE migration_id >= 2; PRAGMA user_version = 1"
    )
    db.exec("DROP TABLE audit")
    for (const column of ["seq", "hash", "from", "anchor"]) db.exec(`ALTER TABLE meta DROP COLUMN audit_${column}`)
    db.close()
  }

  it.live("gets their table, and keeps all that it had", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = join(yield* folder, "desired.db")
      const before = yield* withStore(file, (store) =>
        Effect.gen(function*() {
          yield* store.commit(add(store, "a.example.com"))
          yield* store.commit(add(store, "b.example.com", { outcome: "pending" }))
          return [yield* store.snapshot, yield* store.changes({ limit: 10 }), store.lineage]
        }))
      makeOld(file)
      yield* withStore(file, (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual([yield* store.snapshot, yield* store.changes({ limit: 10 }), store.lineage], before)
          assert.deepStrictEqual(yield* store.certificates, [])
          yield* store.commit(store.putCertificate(rows[0]!))
          assert.isNotNull(yield* store.route(name("a.example.com")))
        }))
      const db = new DatabaseSync(file, { readOnly: true })
      assert.strictEqual(db.prepare("PRAGMA user_version").get()?.["user_version"], schemaVersion)
      db.close()
      yield* withStore(
        file,
        (store) => Effect.map(store.certificates, (all) => assert.deepStrictEqual(all, [rows[0]!]))
      )
    })))
})
