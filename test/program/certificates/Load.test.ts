/** Certificates that somebody puts into the folder: loaded, replaced, deleted, and refused with nothing changed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { listCerts } from "../../../src/program/certificates/CertificateList.ts"
import { deleteCert } from "../../../src/program/certificates/Delete.ts"
import { loadCert } from "../../../src/program/certificates/Load.ts"
import { addDomain, removeDomain } from "../../../src/program/Domains.ts"
import { operation } from "../../../src/program/Operations.ts"
import { bundleOf, makeCertificate } from "../../support/Certificates.ts"
import { realLines } from "../../support/RealHaproxy.ts"
import { makeWorld } from "../../support/World.ts"
import { compared, put, shown } from "./support/Issuer.ts"

describe.each(realLines)("HAProxy $line", (binary) => {
  it.live("loads a file, loads another in its place, and deletes it", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, tls: true })
      yield* world.run(compared)
      const first = makeCertificate(["example.com", "*.example.com"])
      yield* put(world, "example.com", first.text)
      const loaded = yield* world.run(loadCert({ domain: "example.com" }))
      const facts = bundleOf(first.text).facts
      assert.isTrue(loaded.changed)
      assert.isTrue(loaded.proved, loaded.warnings.join())
      assert.strictEqual(loaded.fingerprint_sha256, facts.sha256)
      assert.deepStrictEqual(loaded.domains, ["example.com", "*.example.com"])
      assert.strictEqual(yield* shown(world, "www.example.com"), facts.sha256)
      const change = yield* world.run(operation({ operation_id: loaded.change_id ?? "" }))
      assert.strictEqual(change.status, "applied")

      const again = yield* world.run(loadCert({ domain: "example.com" }))
      assert.deepInclude(again, { changed: false, proved: true, revision: loaded.revision })
      assert.isUndefined(again.change_id)

      const second = makeCertificate(["example.com"])
      yield* put(world, "example.com", second.text)
      const replaced = yield* world.run(loadCert({ domain: "example.com.pem" }))
      assert.isTrue(replaced.changed)
      assert.strictEqual(yield* shown(world, "example.com"), bundleOf(second.text).facts.sha256)
      // HAProxy alone starts with the same.
      yield* world.haproxy.restart
      assert.strictEqual(yield* shown(world, "example.com"), bundleOf(second.text).facts.sha256)

      yield* world.run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      const refused = yield* Effect.flip(world.run(deleteCert({ domain: "example.com" })))
      assert.strictEqual(refused.code, "CONFLICT")
      assert.strictEqual(yield* shown(world, "example.com"), bundleOf(second.text).facts.sha256)
      yield* world.run(removeDomain({ domain: "example.com" }))
      const deleted = yield* world.run(deleteCert({ domain: "example.com" }))
      assert.deepInclude(deleted, { changed: true, needed_by: [] })
      assert.strictEqual(yield* shown(world, "example.com"), "Refused")
      assert.deepStrictEqual(readdirSync(world.site.certDir), [])
      assert.strictEqual((yield* world.run(listCerts({}))).total, 0)
      const gone = yield* Effect.flip(world.run(deleteCert({ domain: "example.com" })))
      assert.strictEqual(gone.code, "NOT_FOUND")
      const status = yield* world.run(operation({ operation_id: deleted.change_id ?? "" }))
      assert.strictEqual(status.status, "applied")
    }), 60_000)
})
