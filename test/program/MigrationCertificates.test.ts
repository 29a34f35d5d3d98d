/** The predecessor's certificates: rows made of its lists and of the files that are there, by the real migration. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { dueAt } from "../../src/domain/Certificate.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { Limits } from "../../src/program/Limits.ts"
import { migrate, reportFile } from "../../src/program/Migration.ts"
import * as Legacy from "../../src/store/Legacy.ts"
import { Store } from "../../src/store/Store.ts"
import { makeCertificate, mismatched } from "../support/Certificates.ts"
import { leaveDatabase, snapshot } from "../support/Predecessor.ts"

const pools = { pools: 10, slots: 3 }

/** A folder with the predecessor's things: `conf/certificates.json`, `certs/NAME.pem`, its database. */
const site = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "migration-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
  ),
  (dir) => {
    for (const name of ["conf", "certs"]) mkdirSync(join(dir, name))
    return {
      dir,
      json: join(dir, "conf", "certificates.json"),
      database: join(dir, "haproxy_mcp.db"),
      put: (name: string, text: string) => writeFileSync(join(dir, "certs", `${name}.pem`), text)
    }
  }
)
type SiteOf = Effect.Success<typeof site>

/** A first start; answers what is in the database after it. */
const start = ({ database, dir, json }: SiteOf) =>
  Effect.gen(function*() {
    yield* migrate({ serversFile: join(dir, "conf", "servers.json"), certificatesFile: json })
    const store = yield* Store
    const { changes } = yield* store.changes({ limit: 10 })
    return {
      revision: yield* store.revision,
      rows: yield* store.certificates,
      changes: changes.map(({ outcome, summary, tool }) => `${tool} ${outcome}: ${summary}`),
      routes: (yield* store.allRoutes).map(({ name }) => name)
    }
  }).pipe(
    Effect.provide(Layer.mergeAll(
      Layer.unwrap(Effect.as(Legacy.makeWay(database), Store.layer({ file: database, pools }))),
      MapFiles.layer({ domains: join(dir, "conf", "domains.map"), limits: pools }),
      CertificateFiles.layer({ folder: join(dir, "certs") }),
      Layer.succeed(Limits, {
        pools,
        suffixes: publicSuffixes([]),
        listeners: [],
        localAddresses: new Set<string>(),
        haproxyIsHere: true
      })
    ))
  )

describe("the predecessor's certificates", () => {
  it.live("of certificates.json become rows with the facts of their files, in one commit, and once", () =>
    Effect.gen(function*() {
      const old = yield* site
      const there = makeCertificate(["example.com", "*.example.com"], { from: -60, to: 30 })
      const fresh = makeCertificate(["fresh.example.net"])
      old.put("example.com", there.text)
      old.put("fresh.example.net", fresh.text)
      old.put("broken.example.net", mismatched(["broken.example.net"]))
      writeFileSync(
        old.json,
        JSON.stringify({
          "example.com": { expires: "2020-01-01T00:00:00", path: "/etc/passwd" },
          "*.example.com": {},
          "fresh.example.net": null,
          "gone.example.net": { expires: "2099-01-01" },
          "broken.example.net": {},
          "../../etc/shadow": {},
          "under_score.net": {}
        })
      )
      const before = [snapshot(join(old.dir, "certs"), /./), snapshot(join(old.dir, "conf"), /./)]
      const { changes, revision, rows } = yield* start(old)
      assert.strictEqual(revision, 1)
      assert.deepStrictEqual(changes, [
        "migration pending: Took over 0 domains, 0 wildcards and 0 servers in 0 pools, and 4 certificates "
        + "from the version before"
      ])
      assert.deepStrictEqual(rows.map(({ name, source, state }) => `${name} ${source} ${state}`), [
        "broken.example.net acme active",
        "example.com acme active",
        "fresh.example.net acme active",
        "gone.example.net acme active"
      ])
      const [broken, example, young, gone] = rows
      assert.deepStrictEqual(example!.facts.names, ["example.com", "*.example.com"])
      assert.strictEqual(example!.facts.sha1, there.sha1)
      assert.deepStrictEqual([example!.facts.notBefore, example!.facts.notAfter], [there.notBefore, there.notAfter])
      assert.isNull(example!.lastError)
      assert.isAtMost(young!.renewAt!, dueAt(young!.facts))
      assert.isAbove(young!.renewAt!, Date.now() + 50 * 86_400_000)
      assert.deepStrictEqual([gone!.facts.names, gone!.renewAt, gone!.nextAttempt], [[], null, null])
      assert.strictEqual(gone!.lastError, `no file gone.example.net.pem in ${join(old.dir, "certs")}`)
      assert.isNull(broken!.renewAt)
      assert.match(broken!.lastError!, /^broken\.example\.net\.pem has a private key that belongs to none/)

      const report = readFileSync(reportFile(old.database), "utf8")
      for (
        const said of [
          /certificates\.json +7 certificates\n/,
          /and 4 certificates\n/,
          /\n {2}\.\.\/\.\.\/etc\/shadow +the certificate's name contains a port, path/,
          /\n {2}under_score\.net +the certificate's name contains an underscore/,
          /gone\.example\.net +its certificate is not renewed before somebody issues it anew: no file/,
          /broken\.example\.net +its certificate is not renewed/
        ]
      ) assert.match(report, said)
      assert.notInclude(report, "PRIVATE KEY")
      assert.deepStrictEqual([snapshot(join(old.dir, "certs"), /./), snapshot(join(old.dir, "conf"), /./)], before)

      writeFileSync(old.json, "[\"late.example.net\"]")
      const again = yield* start(old)
      assert.deepStrictEqual([again.revision, again.rows.length], [1, 4])
    }).pipe(Effect.scoped))

  it.live("of its database count where it has a table of them, else those of certificates.json", () =>
    Effect.gen(function*() {
      const old = yield* site
      old.put("shop.example.com", makeCertificate(["shop.example.com"]).text)
      leaveDatabase(old.database, { domains: [{ domain: "shop.example.com", pool: "pool_1" }], servers: [] })
      writeFileSync(old.json, "[\"stale.example.com\"]")
      const { changes, revision, routes, rows } = yield* start(old)
      assert.deepStrictEqual(rows.map(({ facts, name }) => [name, facts.names]), [
        ["shop.example.com", ["shop.example.com"]]
      ])
      assert.deepStrictEqual([revision, routes, changes.length], [1, ["shop.example.com"], 1])
      const report = readFileSync(reportFile(old.database), "utf8")
      assert.match(report, /1 name, 0 servers, 1 certificate\n/)
      assert.match(report, /certificates\.json +not read: the database is newer/)

      const older = yield* site
      leaveDatabase(older.database, {
        domains: [{ domain: "shop.example.com", pool: "pool_1" }],
        servers: [],
        hasCertificates: false
      })
      writeFileSync(older.json, "[\"stale.example.com\"]")
      assert.deepStrictEqual((yield* start(older)).rows.map(({ name }) => name), ["stale.example.com"])
    }).pipe(Effect.scoped))

  it.live("are nothing where there is nothing, and a file that is no JSON stops the start", () =>
    Effect.gen(function*() {
      const old = yield* site
      // Put there by hand: of these the predecessor knew nothing.
      old.put("hand.example.net", makeCertificate(["hand.example.net"]).text)
      assert.deepStrictEqual(yield* start(old), { revision: 0, rows: [], changes: [], routes: [] })
      writeFileSync(old.json, "[\"a.example.net\"")
      const refused = yield* Effect.flip(start(old))
      assert.match(refused.message, /certificates\.json is not JSON/)
      writeFileSync(old.json, "[\"a.example.net\"]")
      assert.strictEqual((yield* start(old)).rows.length, 1)
    }).pipe(Effect.scoped))
})
