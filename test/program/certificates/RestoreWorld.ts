/** A real HAProxy with HTTPS and what keeps it at its folder, without the verbs on top. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { mkdtempSync, rmSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HaproxyBinary } from "../../../scripts/haproxy.ts"
import { Acme } from "../../../src/acme/Acme.ts"
import type { Certificate } from "../../../src/domain/Certificate.ts"
import { CertificateFiles } from "../../../src/haproxy/certificates/CertificateFiles.ts"
import { handshake } from "../../../src/haproxy/certificates/Handshake.ts"
import { RuntimeApi } from "../../../src/haproxy/RuntimeApi.ts"
import type { CertificatesState } from "../../../src/program/certificates/Certificates.ts"
import * as Folder from "../../../src/program/certificates/Folder.ts"
import type { CertificatePlane } from "../../../src/program/certificates/Plane.ts"
import { renewalOf } from "../../../src/program/certificates/RenewalPlan.ts"
import * as Restorer from "../../../src/program/certificates/Restorer.ts"
import { Store } from "../../../src/store/Store.ts"
import { bundleOf } from "../../support/Certificates.ts"
import { becomes } from "../../support/Poll.ts"
import { type SiteOptions, startHaproxy } from "../../support/RealHaproxy.ts"

/** No test here asks a CA. */
const noCa = Acme.of({
  server: "https://ca.example/directory",
  issue: () => Effect.die("no CA here"),
  renewalWindow: () => Effect.die("no CA here"),
  state: Effect.die("no CA here")
})

/** The row of a certificate in this PEM. */
export const rowFor = (name: string, pem: string, source: Certificate["source"] = "acme"): Certificate => {
  const { facts } = bundleOf(pem)
  return {
    name,
    source,
    state: "active",
    facts,
    renewAt: source === "acme" ? renewalOf(facts, facts.notBefore) : null,
    nextAttempt: null,
    failures: 0,
    lastError: null
  }
}

/** Store and files in a folder of their own. */
export const storeIn = Effect.fnUntraced(function*(certificates: string) {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "certificates-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  return yield* Layer.build(Layer.mergeAll(
    Store.layer({ file: join(dir, "desired.db"), pools: { pools: 4, slots: 3 } }),
    CertificateFiles.layer({ folder: certificates })
  )).pipe(Effect.orDie)
})

export const makeRestoreWorld = Effect.fnUntraced(
  function*(options: SiteOptions & { readonly binary?: HaproxyBinary; readonly every?: number }) {
    const haproxy = yield* startHaproxy({ tls: true, ...options })
    const { site } = haproxy
    const isFile = typeof options.tls === "object" && options.tls.list === "file"
    const services = yield* storeIn(site.certDir)
    const runtime = Context.get(
      yield* Layer.build(RuntimeApi.layer({ transport: { path: site.runtimeSocket } })),
      RuntimeApi
    )
    // A busy machine takes longer than the layer waits.
    yield* Effect.promise(() =>
      becomes("HAProxy is reached", async () => (await Effect.runPromise(runtime.link))._tag === "Up")
    )
    const store = Context.get(services, Store)
    const plane: CertificatePlane = {
      runtime,
      store,
      files: Context.get(services, CertificateFiles),
      acme: noCa,
      place: { folder: site.certDir, runtimeFolder: null, listFile: isFile ? site.crtListFile : null },
      tlsAddress: null,
      haproxyHost: "127.0.0.1",
      listeners: () => []
    }
    const seen: Array<CertificatesState> = []
    const restorer = Restorer.make({
      plane,
      folder: Folder.make(plane.files, store.certificates),
      permit: yield* Semaphore.make(1),
      compared: (state) => Effect.sync(() => void seen.push(state)),
      every: options.every ?? 3_600_000
    })
    return {
      haproxy,
      site,
      plane,
      store,
      restorer,
      /** Ended comparisons. */
      seen,
      /** Puts a file there by hand. */
      put: (file: string, text: string) => Effect.promise(() => writeFile(join(site.certDir, file), text)),
      drop: (file: string) => Effect.promise(() => rm(join(site.certDir, file))),
      rows: (...rows: ReadonlyArray<Certificate>) =>
        Effect.orDie(store.commit(Effect.forEach(rows, store.putCertificate, { discard: true }))),
      row: (name: string) => Effect.orDie(store.certificate(name)),
      /** SHA-256 of what a client is shown for a name. */
      shown: (name: string) =>
        Effect.map(
          handshake({ host: "127.0.0.1", port: site.httpsPort, serverName: name, timeout: 5_000 }),
          (result) => result._tag === "Certificate" ? result.sha256 : result._tag
        ),
      /** Compares; it must be as expected. */
      compare: Effect.fnUntraced(
        function*(status: CertificatesState["status"], loaded: Readonly<Record<string, string>>) {
          const state = yield* restorer.restore
          assert.strictEqual(state.status, status, state.problems.join("\n"))
          assert.deepStrictEqual(Object.fromEntries([...state.loaded!].sort(([a], [b]) => a < b ? -1 : 1)), loaded)
          return state
        }
      )
    }
  }
)

export type RestoreWorld = Effect.Success<ReturnType<typeof makeRestoreWorld>>
