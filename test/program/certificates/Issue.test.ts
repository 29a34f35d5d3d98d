/** The verbs that ask the CA, on real HAProxy, with a stand-in for acme.sh that takes a tenth of a second. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { listCerts } from "../../../src/program/certificates/CertificateList.ts"
import { Certificates } from "../../../src/program/certificates/Certificates.ts"
import { deleteCert } from "../../../src/program/certificates/Delete.ts"
import { issueCert } from "../../../src/program/certificates/Issue.ts"
import { renewAllCerts, renewCert } from "../../../src/program/certificates/Renew.ts"
import { addDomain } from "../../../src/program/Domains.ts"
import { LongestCall, operation } from "../../../src/program/Operations.ts"
import { Store } from "../../../src/store/Store.ts"
import { makeCertificate } from "../../support/Certificates.ts"
import { makeIssuer, put, shown } from "./support/Issuer.ts"

const row = (name: string) => Effect.flatMap(Store, (store) => store.certificate(name))

describe("issue", () => {
  it.live("gets a certificate and serves it; the same again asks nobody", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      yield* world.run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      const issued = yield* world.run(issueCert({ domain: "example.com" }))
      assert.deepInclude(issued, { changed: true, proved: true, warnings: [], certificate: "example.com" })
      assert.deepStrictEqual(issued.domains, ["example.com", "*.example.com"])
      assert.strictEqual(yield* shown(world, "example.com"), issued.fingerprint_sha256)
      assert.strictEqual(yield* shown(world, "a.example.com"), issued.fingerprint_sha256)
      assert.deepInclude(yield* world.run(row("example.com")), { source: "acme", state: "active", failures: 0 })
      assert.lengthOf(acme.runs(), 1)

      const again = yield* world.run(issueCert({ domain: "example.com" }))
      assert.deepInclude(again, { changed: false, proved: true, fingerprint_sha256: issued.fingerprint_sha256 })
      assert.lengthOf(acme.runs(), 1)
      // Other names are another certificate under the same name.
      const exact = yield* world.run(issueCert({ domain: "example.com", wildcard: false }))
      assert.deepStrictEqual(exact.domains, ["example.com"])
      assert.strictEqual(yield* shown(world, "a.example.com"), "Refused")
      assert.lengthOf(acme.runs(), 2)
      assert.deepStrictEqual(readdirSync(world.site.certDir), ["example.com.pem"])
    }))

  it.live("refuses names that no CA gives certificates for, and asks nobody", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      for (const domain of ["*.example.com", "co.uk", "it.com", "EXAMPLE", "exa mple.com", "-a.com", "1.2.3.4"]) {
        const error = yield* Effect.flip(world.run(issueCert({ domain })))
        assert.deepInclude({ ...error }, { code: "INVALID_INPUT", field: "domain" }, domain)
      }
      assert.include((yield* Effect.flip(world.run(issueCert({ domain: "*.example.com" })))).hint, "wildcard=true")
      assert.deepStrictEqual(acme.runs(), [])
    }))

  it.live("two at once for one name are one run with one result", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      const gate = join(world.site.dir, "go")
      acme.plan({ waitFor: gate })
      const both = yield* Effect.forEach(
        [1, 2],
        () => Effect.forkChild(world.run(issueCert({ domain: "example.com" })))
      )
      while ((yield* world.run(row("example.com"))) === null) yield* Effect.yieldNow
      const running = yield* world.run(Effect.flatMap(Certificates, ({ underWay }) => underWay))
      assert.deepStrictEqual([...running], ["example.com"])
      const other = yield* Effect.flip(world.run(issueCert({ domain: "example.com", wildcard: false })))
      assert.strictEqual(other.code, "BUSY")
      const busy = yield* Effect.flip(world.run(deleteCert({ domain: "example.com" })))
      assert.strictEqual(busy.code, "BUSY")
      const listed = yield* world.run(listCerts({}))
      assert.deepInclude(listed.certificates[0], { certificate: "example.com", status: "issuing" })
      writeFileSync(gate, "")
      const [first, second] = yield* Effect.forEach(both, Fiber.join)
      assert.strictEqual(first?.change_id, second?.change_id)
      assert.lengthOf(acme.runs(), 1)
    }))

  it.live("leaves nothing behind when the CA refuses, and the old one serving when a renewal fails", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      acme.plan({ fail: "Error: rejected" })
      const refused = yield* Effect.flip(world.run(issueCert({ domain: "example.com" })))
      assert.strictEqual(refused.code, "ACME_FAILED")
      assert.isNull(yield* world.run(row("example.com")))
      assert.deepStrictEqual(readdirSync(world.site.certDir), [])
      acme.plan({})
      const issued = yield* world.run(issueCert({ domain: "example.com" }))
      acme.plan({ fail: "Error: rejected" })
      const failed = yield* Effect.flip(world.run(renewCert({ domain: "example.com", force: true })))
      assert.strictEqual(failed.code, "ACME_FAILED")
      assert.strictEqual(yield* shown(world, "example.com"), issued.fingerprint_sha256)
      const noted = yield* world.run(row("example.com"))
      assert.deepInclude(noted, { state: "active", failures: 1, lastError: failed.message })
      assert.isAbove(noted?.nextAttempt ?? 0, Date.now())
    }))

  it.live("asks the CA only when HAProxy could take the certificate", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer({ plane: { folder: "/nowhere/else" } })
      const error = yield* Effect.flip(world.run(issueCert({ domain: "example.com" })))
      assert.strictEqual(error.code, "CONFIG_INVALID")
      assert.include(error.hint, "haproxy-mcp config")
      assert.deepStrictEqual(acme.runs(), [])
      assert.isNull(yield* world.run(row("example.com")))
    }))

  it.live("goes on as an operation when it takes longer than a call", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      const gate = join(world.site.dir, "go")
      acme.plan({ waitFor: gate })
      const answer = yield* world.run(
        issueCert({ domain: "example.com" }).pipe(Effect.provideService(LongestCall, 300))
      )
      assert.deepInclude(answer, { changed: false, proved: false, certificate: "example.com" })
      writeFileSync(gate, "")
      const followed = yield* world.run(operation({ operation_id: answer.operation_id ?? "", wait: 20 }))
      assert.strictEqual(followed.status, "done")
      assert.deepInclude(followed.result as object, { changed: true, proved: true })
    }))
})

describe("renew", () => {
  it.live("only what is due, unless it is forced; what was put there by hand is not renewed", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      const issued = yield* world.run(issueCert({ domain: "example.com" }))
      const early = yield* world.run(renewCert({ domain: "www.example.com" }))
      assert.deepInclude(early, { changed: false, certificate: "example.com" })
      assert.lengthOf(acme.runs(), 1)
      const forced = yield* world.run(renewCert({ domain: "example.com", force: true }))
      assert.notStrictEqual(forced.fingerprint_sha256, issued.fingerprint_sha256)
      assert.strictEqual(yield* shown(world, "example.com"), forced.fingerprint_sha256)
      assert.lengthOf(acme.runs(), 2)

      yield* put(world, "hand.test", makeCertificate(["hand.test"]).text)
      const byHand = yield* Effect.flip(world.run(renewCert({ domain: "hand.test", force: true })))
      assert.strictEqual(byHand.code, "CONFLICT")
      assert.include(byHand.hint, "haproxy_issue_cert")
      const unknown = yield* Effect.flip(world.run(renewCert({ domain: "exampl.com" })))
      assert.strictEqual(unknown.code, "NOT_FOUND")
      assert.deepStrictEqual(unknown.validValues, ["example.com"])
      // It may be taken over, and then it is.
      const taken = yield* world.run(issueCert({ domain: "hand.test", wildcard: false }))
      assert.isTrue(taken.changed)
      assert.deepInclude(yield* world.run(row("hand.test")), { source: "acme" })
    }))

  it.live("renews all that are due, and names those that fail", () =>
    Effect.gen(function*() {
      const { acme, world } = yield* makeIssuer()
      const none = yield* world.run(renewAllCerts())
      assert.deepInclude(none, { due: 0, renewed: [], failed: [] })
      for (const domain of ["a.test", "b.test", "c.test"]) {
        yield* world.run(issueCert({ domain: `x.${domain}`, wildcard: false }))
      }
      const due = ["x.a.test", "x.b.test"]
      yield* world.run(Effect.flatMap(Store, (store) =>
        store.commit(Effect.forEach(due, (name) =>
          Effect.flatMap(store.certificate(name), (found) =>
            store.putCertificate({ ...found!, renewAt: 1 }))))))
      const ran = acme.runs().length
      const answer = yield* world.run(renewAllCerts())
      assert.deepInclude(answer, { due: 2, failed: [], skipped: 1 })
      assert.deepStrictEqual([...answer.renewed].sort(), due)
      assert.lengthOf(acme.runs(), ran + 2)
    }))
})

describe("delete", () => {
  it.live("refuses while a domain needs it, and not when another certificate stands for it", () =>
    Effect.gen(function*() {
      const { world } = yield* makeIssuer()
      yield* world.run(addDomain({ domain: "www.example.com", ip: "10.0.0.1" }))
      yield* world.run(issueCert({ domain: "example.com" }))
      const refused = yield* Effect.flip(world.run(deleteCert({ domain: "example.com" })))
      assert.strictEqual(refused.code, "CONFLICT")
      assert.include(refused.message, "www.example.com")
      yield* world.run(issueCert({ domain: "www.example.com", wildcard: false }))
      const deleted = yield* world.run(deleteCert({ domain: "example.com" }))
      assert.deepInclude(deleted, { changed: true, needed_by: [] })
      const forced = yield* world.run(deleteCert({ domain: "www.example.com", force: true }))
      assert.deepInclude(forced, { changed: true, needed_by: ["www.example.com"] })
      assert.lengthOf(forced.warnings, 1)
      assert.strictEqual(yield* shown(world, "www.example.com"), "Refused")
      assert.deepStrictEqual(yield* world.run(Effect.flatMap(Store, (store) => store.certificates)), [])
      rmSync(join(world.site.dir, "go"), { force: true })
    }))
})
