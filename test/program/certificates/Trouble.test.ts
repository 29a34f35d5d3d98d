/** What a change of certificates meets on a real HAProxy, a real folder and a real database, and what is left then. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Acme } from "../../../src/acme/Acme.ts"
import { StorageFailed } from "../../../src/domain/Errors.ts"
import type { CertificateBundle } from "../../../src/haproxy/certificates/Bundle.ts"
import { CertificateFiles } from "../../../src/haproxy/certificates/CertificateFiles.ts"
import { RuntimeApi } from "../../../src/haproxy/RuntimeApi.ts"
import { Certificates } from "../../../src/program/certificates/Certificates.ts"
import { deleteCert } from "../../../src/program/certificates/Delete.ts"
import * as Installation from "../../../src/program/certificates/Installation.ts"
import * as Ledger from "../../../src/program/certificates/Ledger.ts"
import { loadCert } from "../../../src/program/certificates/Load.ts"
import * as Proof from "../../../src/program/certificates/Proof.ts"
import { health } from "../../../src/program/Health.ts"
import { CommitUncertain, Store } from "../../../src/store/Store.ts"
import { bundleOf, makeBundle, makeCertificate, mismatched } from "../../support/Certificates.ts"
import { takePort } from "../../support/Ports.ts"
import { makeWorld, type World } from "../../support/World.ts"
import { compared, put, shown } from "./support/Issuer.ts"

const install = (name: string, bundle: CertificateBundle) =>
  Effect.flatMap(
    Certificates,
    (certificates) => certificates.install({ name, bundle, source: "file", summary: `Loaded ${name}`, renewAt: null })
  )

const rows = Effect.flatMap(Store, (store) => store.certificates)

/** HAProxy's own words about what it has, and the folder. */
const state = ({ haproxy, site }: World) =>
  Effect.gen(function*() {
    const list = yield* haproxy.command(`show ssl crt-list -n ${site.certDir}`)
    const all = (yield* haproxy.command("show ssl cert")).split("\n").filter((line) => line.startsWith("/"))
    const each = yield* Effect.forEach(all, (path) => haproxy.command(`show ssl cert ${path}`))
    return [list, ...each, ...readdirSync(site.certDir).map((file) => readFileSync(join(site.certDir, file), "utf8"))]
      .join("\n")
  })

const begun = Effect.gen(function*() {
  const world = yield* makeWorld({ tls: true })
  yield* world.run(compared)
  const bundle = makeBundle(["example.com"])
  yield* world.run(install("example.com", bundle))
  return { world, bundle }
})

describe("a change of certificates", () => {
  it.live("where HAProxy has no TLS: refused with what to do, and nothing is degraded", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      assert.strictEqual((yield* world.run(compared)).status, "off")
      const folder = yield* world.run(Effect.map(Certificates, (certificates) => certificates.folder))
      const error = yield* Effect.flip(world.run(install("example.com", makeBundle(["example.com"]))))
      assert.strictEqual(error.code, "CONFIG_INVALID")
      assert.include(error.hint, "haproxy-mcp config")
      assert.isFalse(existsSync(folder))
      assert.deepStrictEqual(yield* world.run(rows), [])
      assert.strictEqual((yield* world.run(health)).status, "healthy")
    }))

  it.live("where another certificate answers for the name: taken back, and the other one is named", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({
        tls: true,
        certificates: { "aaa.pem": makeCertificate(["example.com"]).text }
      })
      yield* world.run(compared)
      const other = yield* shown(world, "example.com")
      const before = yield* state(world)
      const error = yield* Effect.flip(world.run(install("example.com", makeBundle(["example.com"]))))
      assert.strictEqual(error.code, "CONFLICT")
      assert.include(error.message, "aaa.pem")
      assert.include(error.message, other)
      assert.strictEqual(yield* state(world), before)
      assert.deepStrictEqual(yield* world.run(rows), [])
    }))

  it.live("where no TLS is to be reached from here: done, and said that nobody saw it", () =>
    Effect.gen(function*() {
      const port = yield* Effect.promise(() => takePort())
      const world = yield* makeWorld({ tls: true, plane: { tlsAddress: { host: "127.0.0.1", port } } })
      yield* world.run(compared)
      yield* put(world, "example.com", makeCertificate(["example.com"]).text)
      const loaded = yield* world.run(loadCert({ domain: "example.com" }))
      assert.deepInclude(loaded, { changed: true, proved: false })
      assert.include(loaded.warnings.join(), "HAPROXY_TLS_ADDRESS")
      assert.strictEqual(yield* shown(world, "example.com"), loaded.fingerprint_sha256)
    }))

  it.live("with a file that is none, or has another's key: refused, and the old one serves", () =>
    Effect.gen(function*() {
      const { bundle, world } = yield* begun
      const file = join(world.site.certDir, "example.com.pem")
      const good = readFileSync(file, "utf8")
      for (const bad of ["", "garbage\n", mismatched(["example.com"]), good.slice(0, 300)]) {
        writeFileSync(file, bad)
        const error = yield* Effect.flip(world.run(loadCert({ domain: "example.com" })))
        assert.deepInclude({ ...error }, { code: "INVALID_INPUT", field: "domain" })
        assert.strictEqual(readFileSync(file, "utf8"), bad)
        assert.strictEqual(yield* shown(world, "example.com"), bundle.facts.sha256)
      }
      for (const name of ["../etc/passwd", "a/b", ".hidden", "a b", ""]) {
        assert.strictEqual((yield* Effect.flip(world.run(loadCert({ domain: name })))).code, "INVALID_INPUT", name)
      }
      assert.strictEqual((yield* Effect.flip(world.run(loadCert({ domain: "exampel.com" })))).code, "NOT_FOUND")
    }))

  it.live("where the folder cannot be written: refused before HAProxy hears of it", () =>
    Effect.gen(function*() {
      const dir = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "haproxy-mcp-blocked-"))),
        (made) => Effect.sync(() => rmSync(made, { recursive: true }))
      )
      // A file where the folder should be; HAProxy's own folder of that name is a good one.
      const folder = join(dir, "certs")
      writeFileSync(folder, "")
      const world = yield* makeWorld({ tls: true, plane: { folder } })
      const before = yield* state(world)
      const error = yield* Effect.flip(world.run(install("example.com", makeBundle(["example.com"]))))
      assert.strictEqual(error.code, "STORAGE_FAILED")
      assert.strictEqual(yield* state(world), before)
    }))

  it.live("whose row cannot be written: file and HAProxy are as before", () =>
    Effect.gen(function*() {
      const { bundle, world } = yield* begun
      const before = yield* state(world)
      const withCommit = (failure: StorageFailed | CommitUncertain) =>
        Effect.gen(function*() {
          const real = yield* Store
          const store = { ...real, commit: () => Effect.fail(failure) } as unknown as Store["Service"]
          const plane = {
            runtime: yield* RuntimeApi,
            store,
            files: yield* CertificateFiles,
            acme: yield* Acme,
            place: { folder: world.site.certDir, runtimeFolder: null, listFile: null },
            tlsAddress: { host: "127.0.0.1", port: world.site.httpsPort },
            haproxyHost: "127.0.0.1",
            listeners: () => []
          }
          const certificates = yield* Certificates
          return yield* Installation.install(
            {
              plane,
              ledger: yield* Ledger.make(store),
              prove: Proof.make(plane),
              look: certificates.known,
              serves: () => {},
              doubt: Effect.void,
              closing: () => false
            },
            {
              changeId: "chg_test",
              name: "example.com",
              bundle: makeBundle(["example.com"]),
              source: "file",
              summary: "Loaded",
              renewAt: null
            },
            Date.now() + 5_000
          )
        })
      const failed = yield* Effect.flip(world.run(withCommit(new StorageFailed({ message: "full", hint: "-" }))))
      assert.strictEqual(failed.code, "STORAGE_FAILED")
      assert.strictEqual(yield* state(world), before)
      assert.strictEqual(yield* shown(world, "example.com"), bundle.facts.sha256)
      const uncertain = yield* Effect.flip(world.run(withCommit(new CommitUncertain({ message: "disk" }))))
      assert.deepInclude({ ...uncertain }, { code: "OUTCOME_UNKNOWN", changeId: "chg_test" })
      // What is in the folder is what HAProxy serves, and the row follows.
      yield* world.run(compared)
      const file = bundleOf(readFileSync(join(world.site.certDir, "example.com.pem"), "utf8"))
      assert.strictEqual(yield* shown(world, "example.com"), file.facts.sha256)
      assert.strictEqual((yield* world.run(rows))[0]?.facts.sha256, file.facts.sha256)
    }))

  it.live(
    "while HAProxy restarts and reloads: what was acknowledged is served, and the file always is",
    () =>
      Effect.gen(function*() {
        const { world } = yield* begun
        for (const happening of [world.haproxy.restart, world.haproxy.reload, world.haproxy.restart]) {
          const bundle = makeBundle(["example.com"])
          const disturbance = yield* Effect.forkChild(happening)
          const exit = yield* Effect.exit(world.run(install("example.com", bundle)))
          yield* Fiber.join(disturbance)
          yield* world.run(compared)
          const file = bundleOf(readFileSync(join(world.site.certDir, "example.com.pem"), "utf8"))
          assert.strictEqual(yield* shown(world, "example.com"), file.facts.sha256)
          assert.strictEqual((yield* world.run(rows))[0]?.facts.sha256, file.facts.sha256)
          if (Exit.isSuccess(exit)) assert.strictEqual(file.facts.sha256, bundle.facts.sha256)
        }
        const disturbance = yield* Effect.forkChild(world.haproxy.restart)
        const deleted = yield* Effect.exit(world.run(deleteCert({ domain: "example.com" })))
        yield* Fiber.join(disturbance)
        yield* world.run(compared)
        if (Exit.isSuccess(deleted)) {
          assert.strictEqual(yield* shown(world, "example.com"), "Refused")
          assert.deepStrictEqual(readdirSync(world.site.certDir), [])
        } else assert.notStrictEqual(yield* shown(world, "example.com"), "Refused")
      }),
    60_000
  )
})
