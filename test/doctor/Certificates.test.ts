/** What the doctor says of certificates beside a real HAProxy with TLS: all is well, and everything that may be wrong. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { chmod, copyFile, mkdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { readable, type SeenFile } from "../../src/doctor/CertificateFolder.ts"
import { examine } from "../../src/doctor/Doctor.ts"
import type { Finding, Report } from "../../src/doctor/Finding.ts"
import { Store } from "../../src/store/Store.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { makeSite, type Site, startHaproxy } from "../support/RealHaproxy.ts"
import { databaseOf, settingsOf } from "../support/Settings.ts"
import { placeAcme } from "../support/StandInAcme.ts"

const limit = 60_000
const day = 86_400_000

const authority = new FastAuthority("Doctor's CA")

/** Everything base64 in a key: no finding may hold a line of it. */
const keyLines = (pem: string): ReadonlyArray<string> =>
  /-----BEGIN EC PRIVATE KEY-----\n([^-]+)-----END/.exec(pem)![1]!.trim().split("\n")

const envOf = (site: Site, env: Readonly<Record<string, string>> = {}) => ({
  ...settingsOf(site, { pools: 4, slots: 3 }),
  HAPROXY_CERT_DIR: site.certDir,
  PATH: site.dir,
  ...env
})

const credentialsIn = (dir: string): string => join(dir, "secrets", "cloudflare.ini")

const about = (report: Report): ReadonlyArray<Finding> => report.findings.filter(({ area }) => area === "certificates")

const one = (report: Report, name: string): Finding => {
  const found = about(report).filter((finding) => finding.name === name)
  assert.strictEqual(found.length, 1, `${name}: ${JSON.stringify(about(report), null, 2)}`)
  return found[0]!
}

describe("certificates that are well", () => {
  it.live(
    "are counted, with the one that ends first and the routed names that have none",
    () =>
      Effect.gen(function*() {
        const shop = authority.issue(["shop.example.com", "*.shop.example.com"])
        const wild = authority.issue(["*.example.org"], { notAfter: Date.now() + 40 * day })
        const { site } = yield* startHaproxy({
          tls: true,
          certificates: { "shop.example.com.pem": shop.text, "example.org.pem": wild.text },
          domains: ["shop.example.com pool_1", "a.example.org pool_2", "bare.example.net pool_3"]
        })
        const report = yield* examine({ env: envOf(site) })
        assert.deepStrictEqual(about(report).filter(({ level }) => level !== "ok"), [])
        assert.strictEqual(one(report, "Certificates").found, `2 in ${site.certDir}`)
        assert.strictEqual(one(report, "TLS").found, `HAProxy loads ${site.certDir}`)
        assert.match(one(report, "Validity").found, /^all are valid; example\.org ends first, in (39|40) days$/)
        assert.strictEqual(one(report, "Without HTTPS").found, "1 routed name: bare.example.net")
        for (const line of [...keyLines(shop.key), ...keyLines(wild.key)]) {
          assert.notInclude(JSON.stringify(report), line)
        }
      }).pipe(Effect.scoped),
    limit
  )

  it.live("are none where nobody has set a folder", () =>
    Effect.gen(function*() {
      const { site } = yield* startHaproxy()
      const { HAPROXY_CERT_DIR: _, ...env } = envOf(site)
      const report = yield* examine({ env })
      assert.deepStrictEqual(about(report).filter(({ level }) => level !== "ok"), [])
      assert.include(one(report, "TLS").found, "loads no certificates of ours")
    }).pipe(Effect.scoped), limit)
})

describe("what is wrong with certificates is found, with the way to mend it", () => {
  it.live("in the folder and its files", () =>
    Effect.gen(function*() {
      const good = authority.issue(["shop.example.com"])
      const other = authority.issue(["other.example.com"])
      const { site } = yield* startHaproxy({
        tls: true,
        certificates: { "shop.example.com.pem": good.text },
        domains: ["shop.example.com pool_1"]
      })
      const old = authority.issue(["old.example.com"], {
        notBefore: Date.now() - 90 * day,
        notAfter: Date.now() - 2 * day
      })
      yield* Effect.promise(async () => {
        await writeFile(join(site.certDir, "old.example.com.pem"), old.text, { mode: 0o600 })
        await writeFile(join(site.certDir, "wrong-key.pem"), good.chain + other.key, { mode: 0o600 })
        await writeFile(join(site.certDir, "notes.txt"), "not a certificate\n", { mode: 0o600 })
        await chmod(join(site.certDir, "shop.example.com.pem"), 0o644)
        await chmod(site.certDir, 0o777)
      })
      const report = yield* examine({ env: envOf(site) })
      const files = one(report, "Certificate files")
      assert.strictEqual(files.level, "error")
      assert.include(files.found, "2 files")
      assert.include(files.found, "notes.txt holds no PEM block")
      assert.include(files.found, "wrong-key.pem has a private key that belongs to none of its certificates")
      assert.include(files.mend, "HAProxy does not start")
      const rights = about(report).filter(({ name }) => name === "Certificates")
      assert.deepStrictEqual(rights.map(({ level }) => level), ["error", "error"])
      assert.include(rights[0]!.found, "mode 0777")
      assert.include(rights[1]!.found, "every user may read shop.example.com.pem and its key (1 in all)")
      const validity = one(report, "Validity")
      assert.strictEqual(validity.level, "error")
      assert.match(validity.found, /^expired: old\.example\.com \((2|3) days\)$/)
      assert.include(validity.mend, "certs renew")
      for (const line of [good, other, old].flatMap(({ key }) => keyLines(key))) {
        assert.notInclude(JSON.stringify(report), line)
      }
      for (const { level, mend, name } of about(report)) assert.strictEqual(mend === null, level === "ok", name)
    }).pipe(Effect.scoped), limit)

  it.live("what ends soon, what HAProxy does not load, and a folder that is gone", () =>
    Effect.gen(function*() {
      const soon = authority.issue(["soon.example.com"], {
        notBefore: Date.now() - 80 * day,
        notAfter: Date.now() + 10 * day
      })
      const { site } = yield* startHaproxy({ tls: true, certificates: { "soon.pem": soon.text } })
      const expiring = yield* examine({ env: envOf(site) })
      assert.strictEqual(one(expiring, "Validity").level, "warning")
      assert.match(one(expiring, "Validity").found, /^about to expire: soon \((9|10) days\)$/)
      assert.strictEqual(one(expiring, "Not needed").level, "ok")
      const elsewhere = join(site.dir, "elsewhere")
      yield* Effect.promise(async () => {
        await mkdir(elsewhere)
        await copyFile(join(site.certDir, "soon.pem"), join(elsewhere, "soon.pem"))
      })
      const notLoaded = yield* examine({ env: envOf(site, { HAPROXY_CERT_DIR: elsewhere }) })
      assert.strictEqual(one(notLoaded, "TLS").level, "error")
      assert.isNotNull(one(notLoaded, "TLS").mend)
      yield* Effect.promise(() => rename(site.certDir, `${site.certDir}-away`))
      const gone = one(yield* examine({ env: envOf(site) }), "Certificates")
      assert.deepStrictEqual([gone.level, gone.found.includes("ENOENT")], ["error", true])
      assert.include(gone.mend, "mkdir -p")
    }).pipe(Effect.scoped), limit)

  it.live(
    "in what the database says: renewals that failed, and issued ones that nobody needs",
    () =>
      Effect.gen(function*() {
        const idle = authority.issue(["idle.example.com", "*.idle.example.com"])
        const { site } = yield* startHaproxy({ tls: true, certificates: { "idle.example.com.pem": idle.text } })
        yield* Effect.gen(function*() {
          const store = yield* Store
          yield* store.commit(store.putCertificate({
            name: "idle.example.com",
            source: "acme",
            state: "active",
            facts: {
              names: idle.names,
              issuer: "Doctor's CA",
              serial: "01",
              sha256: "00",
              sha1: idle.sha1,
              notBefore: idle.notBefore,
              notAfter: idle.notAfter,
              keyType: "EC256",
              chain: 1
            },
            renewAt: idle.notAfter - 30 * day,
            nextAttempt: Date.now() + 3_600_000,
            failures: 3,
            lastError: "The CA's rate limit is reached."
          }))
        }).pipe(Effect.provide(Store.layer({ file: databaseOf(site), pools: { pools: 4, slots: 3 } })))
        const report = yield* examine({ env: envOf(site) })
        const failed = one(report, "Renewals")
        assert.strictEqual(failed.level, "warning")
        assert.include(failed.found, "idle.example.com (3 times: The CA's rate limit is reached.)")
        assert.include(failed.mend, "certs renew-all")
        assert.strictEqual(one(report, "Not needed").level, "warning")
        assert.include(one(report, "Not needed").found, "no routed domain needs idle.example.com, which is renewed")
        // Certificates were issued here, and there is nothing to renew them with.
        assert.strictEqual(one(report, "acme.sh").level, "error")
      }).pipe(Effect.scoped),
    limit
  )

  it("files that HAProxy's own user may not read", () => {
    const file = (name: string, mode: number, uid: number, gid: number): SeenFile => ({
      name,
      file: `${name}.pem`,
      facts: null,
      problem: null,
      mode,
      uid,
      gid
    })
    const files = [file("group", 0o640, 7, 99), file("own", 0o600, 99, 0), file("closed", 0o600, 7, 99)]
    const [found, ...more] = readable("/certs", files, { uid: 99, gids: new Set([99]) })
    assert.deepStrictEqual(more, [])
    assert.strictEqual(found?.level, "error")
    assert.include(found?.found, "user 99 and may not read closed.pem:")
    assert.deepStrictEqual(readable("/certs", files, { uid: 0, gids: new Set() }), [])
  })
})

describe("acme.sh", () => {
  const at = Effect.fnUntraced(function*(env: (dir: string) => Readonly<Record<string, string>>) {
    const { site } = yield* makeSiteOnly
    const report = yield* examine({ env: envOf(site, env(site.dir)) })
    return about(report).filter(({ name }) => name === "acme.sh")
  })
  const makeSiteOnly = Effect.map(makeSite({ tls: true }), (site) => ({ site }))

  it.live("is at hand, and its credentials are in no finding", () =>
    Effect.gen(function*() {
      let secret = ""
      const [found, ...more] = yield* at((dir) => {
        const acme = placeAcme(dir)
        secret = acme.secret
        return { ...acme.env, PATH: process.env["PATH"] ?? "" }
      })
      assert.deepStrictEqual([found?.level, more], ["ok", []], JSON.stringify(found))
      assert.match(found!.found, /^3\.1\.1 \(.*acme\.sh\), CA https:\/\/127\.0\.0\.1:1\/directory, DNS hook dns_cf/)
      assert.notInclude(JSON.stringify(found), secret)
    }).pipe(Effect.scoped), limit)

  it.live.each(
    [
      ["is too old", "3.0.5", () => {}, "CVE-2023-38198"],
      ["has credentials that others may read", "3.1.1", (dir: string) => chmodSync(credentialsIn(dir), 0o644), "0644"],
      ["has no credentials", "3.1.1", (dir: string) => rmSync(credentialsIn(dir)), "CF_Token"],
      ["has no hook", "3.1.1", (dir: string) => rmSync(join(dir, "acme-home", "dnsapi", "dns_cf.sh")), "no DNS hook"]
    ] as const
  )("%s", ([, version, spoil, says]) =>
    Effect.gen(function*() {
      const [found] = yield* at((dir) => {
        const { env } = placeAcme(dir, version)
        spoil(dir)
        return { ...env, PATH: process.env["PATH"] ?? "" }
      })
      assert.strictEqual(found?.level, "error")
      assert.include(found!.found, says)
      assert.include(found!.mend, "operations.md")
    }).pipe(Effect.scoped), limit)

  it.live("has saved reload commands and is warned of", () =>
    Effect.gen(function*() {
      const found = yield* at((dir) => {
        const acme = placeAcme(dir)
        const place = join(dir, "acme-home", "old.example.com_ecc")
        mkdirSync(place)
        writeFileSync(join(place, "old.example.com.conf"), "Le_ReloadCmd='systemctl reload haproxy'\n")
        return { ...acme.env, PATH: process.env["PATH"] ?? "" }
      })
      assert.deepStrictEqual(found.map(({ level }) => level), ["ok", "warning"])
      assert.include(found[1]!.found, "old.example.com")
    }).pipe(Effect.scoped), limit)

  it.live("is no fault where nobody issues", () =>
    Effect.gen(function*() {
      const { site } = yield* makeSiteOnly
      const [found] = about(yield* examine({ env: envOf(site) })).filter(({ name }) => name === "acme.sh")
      assert.strictEqual(found?.level, "ok")
    }).pipe(Effect.scoped), limit)
})
