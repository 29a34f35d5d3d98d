/** What certificates look like from outside: lists, one certificate, haproxy_health, over real files and HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { issuingRow } from "../../../src/domain/Certificate.ts"
import { certInfo, listCerts } from "../../../src/program/certificates/CertificateList.ts"
import { Certificates } from "../../../src/program/certificates/Certificates.ts"
import { addDomain } from "../../../src/program/Domains.ts"
import { health } from "../../../src/program/Health.ts"
import { Store } from "../../../src/store/Store.ts"
import { makeCertificate } from "../../support/Certificates.ts"
import { becomes } from "../../support/Poll.ts"
import { makeWorld } from "../../support/World.ts"
import { rowFor } from "./RestoreWorld.ts"
import { compared, put } from "./support/Issuer.ts"

const test = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.provideService(body(), References.MinimumLogLevel, "None"), 60_000)

const rows = (...all: ReadonlyArray<ReturnType<typeof rowFor>>) =>
  Effect.flatMap(Store, (store) => store.commit(Effect.forEach(all, store.putCertificate, { discard: true })))

const restored = Effect.flatMap(Certificates, ({ restore }) => restore)

describe("A list of certificates", () => {
  test("is rows and files as one: each status, its names, whether it is served, what comes next", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ tls: true, plane: { compareEvery: 3_600_000 } })
      yield* world.run(compared)
      const empty = yield* world.run(listCerts({}))
      assert.deepInclude(empty, { total: 0, certificates: [], next_cursor: null })
      assert.include(empty.summary, world.site.certDir)

      const issued = makeCertificate(["issued.test", "*.issued.test"], { from: -10, to: 80 })
      const byHand = makeCertificate(["hand.test"], { from: -80, to: 10 })
      const over = makeCertificate(["over.test"], { from: -90, to: -1 })
      const later = makeCertificate(["later.test"], { from: 1, to: 90 })
      const gone = makeCertificate(["gone.test"])
      for (const one of [issued, byHand, over, later]) yield* put(world, one.names[0]!, one.text)
      yield* put(world, "broken", "-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
      yield* world.run(rows(
        { ...rowFor("issued.test", issued.text), failures: 2, lastError: "The CA is down" },
        rowFor("gone.test", gone.text),
        issuingRow("soon.test")
      ))
      // Before a comparison: the files are seen, and nothing of them is served.
      const first = yield* world.run(listCerts({}))
      assert.deepStrictEqual(first.certificates.map(({ loaded }) => loaded), first.certificates.map(() => false))
      yield* world.run(restored)
      const list = yield* world.run(listCerts({}))
      assert.deepStrictEqual(
        list.certificates.map(({ certificate, loaded, source, status }) => [certificate, status, source, loaded]),
        [
          ["broken", "broken", "file", false],
          ["gone.test", "missing", "acme", false],
          ["hand.test", "expiring", "file", true],
          ["issued.test", "valid", "acme", true],
          ["later.test", "not_yet_valid", "file", true],
          ["over.test", "expired", "file", true],
          ["soon.test", "issuing", "acme", false]
        ]
      )
      assert.deepStrictEqual(list.counts, {
        valid: 1,
        expiring: 1,
        expired: 1,
        not_yet_valid: 1,
        issuing: 1,
        missing: 1,
        broken: 1
      })
      const item = list.certificates[3]!
      assert.deepStrictEqual(item.domains, ["issued.test", "*.issued.test"])
      assert.strictEqual(item.days_left, 79)
      assert.strictEqual(item.not_after, new Date(issued.notAfter).toISOString())
      assert.strictEqual(item.last_error, "The CA is down")
      assert.match(item.issuer, /Test CA/)
      const next = Date.parse(item.next_attempt!)
      assert.isAbove(next, Date.now() + 40 * 86_400_000)
      assert.isBelow(next, issued.notAfter - 25 * 86_400_000)
      assert.match(list.certificates[0]!.last_error!, /^broken\.pem|broken/)
      assert.match(list.certificates[1]!.last_error!, /gone/)
      assert.isNull(list.certificates[2]!.next_attempt)
      assert.notInclude(JSON.stringify(list), "PRIVATE")

      // Files that somebody puts there or takes away are seen at once.
      yield* put(world, "new.test", makeCertificate(["new.test"]).text)
      yield* Effect.sync(() => rmSync(join(world.site.certDir, "broken.pem")))
      const now = yield* world.run(listCerts({ search: "NEW" }))
      assert.deepStrictEqual(now.certificates.map(({ certificate, loaded }) => [certificate, loaded]), [[
        "new.test",
        false
      ]])
      assert.strictEqual(now.counts["broken"], 0)
      assert.strictEqual((yield* world.run(listCerts({ search: "*.issued" }))).total, 1)
      assert.strictEqual((yield* world.run(listCerts({ search: "nobody" }))).total, 0)

      // A file that was replaced by hand is not what HAProxy serves.
      yield* put(world, "hand.test", makeCertificate(["hand.test"]).text)
      const replaced = yield* world.run(certInfo({ domain: "hand.test" }))
      assert.deepInclude(replaced, { status: "valid", loaded: false })
      assert.include(replaced.summary, "HAProxy does not serve it")
    }))

  test("comes in pages that together are all of it, whatever leaves in between", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ tls: true, plane: { compareEvery: 3_600_000 } })
      yield* world.run(compared)
      const names = Array.from({ length: 23 }, (_, index) => `n${String(index).padStart(2, "0")}.test`)
      for (const name of names) yield* put(world, name, makeCertificate([name]).text)
      const seen: Array<string> = []
      let cursor: string | undefined
      do {
        const page = yield* world.run(listCerts({ limit: 5, ...(cursor === undefined ? {} : { cursor }) }))
        seen.push(...page.certificates.map(({ certificate }) => certificate))
        if (seen.length === 5) yield* Effect.sync(() => rmSync(join(world.site.certDir, `${seen.at(-1)}.pem`)))
        cursor = page.next_cursor ?? undefined
      } while (cursor !== undefined)
      assert.deepStrictEqual(seen, names)
      const bad = yield* Effect.flip(world.run(listCerts({ cursor: "nonsense" })))
      assert.deepInclude(bad, { code: "INVALID_INPUT", field: "cursor" })
    }))
})

describe("One certificate", () => {
  test("is found by its name, else by a host, the exact one first; who needs it is named", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ tls: true, plane: { compareEvery: 3_600_000 } })
      yield* world.run(compared)
      const wild = makeCertificate(["example.com", "*.example.com"])
      const shop = makeCertificate(["shop.example.com"], { key: "RSA2048", chain: 2 })
      yield* put(world, "example.com", wild.text)
      yield* put(world, "my-shop", shop.text)
      yield* world.run(restored)
      yield* world.run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      for (const name of ["www", "shop", "api"]) {
        yield* world.run(addDomain({ domain: `${name}.example.com`, share_with: "example.com" }))
      }
      const info = yield* world.run(certInfo({ domain: "example.com" }))
      const { facts } = rowFor("example.com", wild.text)
      assert.deepInclude(info, {
        certificate: "example.com",
        file: join(world.site.certDir, "example.com.pem"),
        serial: facts.serial,
        fingerprint_sha256: facts.sha256,
        key_type: "EC256",
        chain_length: 1,
        failures: 0,
        loaded: true,
        source: "file"
      })
      assert.deepStrictEqual(info.needed_by, ["*.example.com", "api.example.com", "example.com", "www.example.com"])
      const byHost = yield* world.run(certInfo({ domain: "shop.example.com" }))
      assert.deepInclude(byHost, {
        certificate: "my-shop",
        domain: "shop.example.com",
        key_type: "RSA2048",
        chain_length: 2
      })
      // The wildcard stands for it as well.
      assert.deepStrictEqual(byHost.needed_by, [])
      assert.strictEqual((yield* world.run(certInfo({ domain: "other.example.com" }))).certificate, "example.com")
      assert.strictEqual((yield* world.run(certInfo({ domain: "my-shop" }))).certificate, "my-shop")

      const wrong = yield* Effect.flip(world.run(certInfo({ domain: "exmaple.com" })))
      assert.strictEqual(wrong.code, "NOT_FOUND")
      assert.include(wrong.validValues ?? [], "example.com")
      assert.strictEqual((yield* Effect.flip(world.run(certInfo({ domain: "my-shpo" })))).code, "NOT_FOUND")
      assert.strictEqual((yield* Effect.flip(world.run(certInfo({ domain: "a.b.example.com" })))).code, "NOT_FOUND")
      assert.strictEqual((yield* Effect.flip(world.run(certInfo({ domain: "../passwd" })))).code, "INVALID_INPUT")
    }))
})

describe("haproxy_health", () => {
  test("says nothing of certificates where HAProxy has none of ours", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.run(compared)
      const answer = yield* world.run(health)
      assert.deepInclude(answer.components.certificates, { status: "not_configured", total: 0 })
      assert.strictEqual(answer.status, "healthy")
      // Asked for here, and served by nobody.
      yield* world.run(rows(rowFor("a.test", makeCertificate(["a.test"]).text)))
      const trouble = yield* world.run(health)
      assert.strictEqual(trouble.components.certificates.status, "error")
      assert.strictEqual(trouble.status, "degraded")
      assert.include(trouble.summary, "certificates")
    }))

  test("counts what is loaded, ends soon and fails, and has the times of what comes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ tls: true, plane: { compareEvery: 3_600_000 } })
      yield* world.run(compared)
      assert.deepInclude((yield* world.run(health)).components.certificates, { status: "ok", loaded: 0, total: 0 })
      const good = makeCertificate(["good.test"], { from: -10, to: 80 })
      yield* put(world, "good.test", good.text)
      yield* world.run(rows({ ...rowFor("good.test", good.text), failures: 1, lastError: "The CA is down" }))
      yield* world.run(restored)
      const { certificates } = (yield* world.run(health)).components
      const { next_attempt, ...rest } = certificates
      assert.deepStrictEqual(rest, {
        status: "ok",
        loaded: 1,
        total: 1,
        expiring: 0,
        failing: 1,
        next_expiry: new Date(good.notAfter).toISOString()
      })
      assert.isBelow(Date.parse(next_attempt!), good.notAfter)

      yield* put(world, "soon.test", makeCertificate(["soon.test"], { from: -85, to: 5 }).text)
      yield* world.run(restored)
      const degraded = yield* world.run(health)
      assert.deepInclude(degraded.components.certificates, {
        status: "degraded",
        loaded: 2,
        expiring: 1,
        reason: "1 expires soon"
      })
      assert.strictEqual(degraded.status, "degraded")

      yield* put(world, "over.test", makeCertificate(["over.test"], { from: -85, to: -5 }).text)
      yield* put(world, "bad.test", "bad\n")
      yield* world.run(rows({ ...rowFor("good.test", good.text), failures: 3, lastError: "The CA is down" }))
      yield* world.run(restored)
      const broken = (yield* world.run(health)).components.certificates
      assert.strictEqual(broken.status, "error")
      for (
        const part of [/1 has expired/, /1 expires soon/, /1 file cannot be used/, /3 times in a row/, /bad\.test/]
      ) {
        assert.match(broken.reason!, part)
      }

      // HAProxy is away: nobody knows what it has, and health says so.
      yield* world.haproxy.kill
      const state = world.run(Effect.flatMap(Certificates, (certificates) => certificates.state))
      yield* Effect.promise(() => becomes("unknown", async () => (await Effect.runPromise(state)).loaded === null))
      assert.isNull((yield* world.run(health)).components.certificates.loaded)
      const away = yield* world.run(listCerts({}))
      assert.strictEqual(away.total, 4)
      assert.isTrue(away.certificates.every(({ loaded }) => loaded === null))
    }))
})
