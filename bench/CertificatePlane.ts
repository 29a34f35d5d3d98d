/**
 * The control plane in this process over a world of certificates: what the rows call without a transport. Its database
 * is new; a copy of it, empty, is there for the floor before it is locked.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Result from "effect/Result"
import { copyFileSync } from "node:fs"
import { parseBundle } from "../src/haproxy/certificates/Pem.ts"
import { Certificates } from "../src/program/certificates/Certificates.ts"
import type { ProgramServices } from "../src/program/Services.ts"
import { Store } from "../src/store/Store.ts"
import { planeLayer, within } from "../test/support/ControlPlane.ts"
import type { CertificateWorld } from "./CertificateWorld.ts"
import { limits } from "./Population.ts"

/** Milliseconds that anything may take here. */
const patience = 60_000

export interface CertificatesInProcess {
  /** File of an empty database with the same tables. */
  readonly emptyDatabase: string
  /** Checks a PEM and installs it under a name. */
  readonly install: (name: string, text: string) => Promise<unknown>
  readonly remove: (name: string) => Promise<unknown>
  /** Compares HAProxy with the folder and loads what it lacks. */
  readonly restore: () => Promise<unknown>
}

/** Starts it and waits until HAProxy holds what the folder holds. */
export const startCertificatePlane = Effect.fnUntraced(function*(world: CertificateWorld) {
  const { database, folder, haproxy: { site }, runtimeFolder } = world
  yield* Effect.provide(Effect.void, Store.layer({ file: database, pools: limits }))
  const emptyDatabase = `${database}.empty`
  copyFileSync(database, emptyDatabase)
  const layer = planeLayer({
    ...limits,
    database,
    runtimeSocket: site.runtimeSocket,
    domainsMap: site.domainsMap,
    wildcardsMap: site.wildcardsMap,
    certificates: {
      folder,
      runtimeFolder: runtimeFolder === folder ? null : runtimeFolder,
      tlsAddress: { host: "127.0.0.1", port: world.tlsPort }
    }
  })
  const context = yield* Layer.build(
    Layer.provideMerge(layer, Layer.succeed(References.MinimumLogLevel, "Warn"))
  )
  const runHere = Effect.runPromiseWith(context)
  const run = <A, E>(program: Effect.Effect<A, E, ProgramServices>) => runHere(within(patience)(program))
  const certificates = Context.get(context, Certificates)
  const plane: CertificatesInProcess = {
    emptyDatabase,
    install: (name, text) =>
      run(Effect.suspend(() => {
        const bundle = parseBundle(text)
        if (Result.isFailure(bundle)) throw new Error(bundle.failure.problem)
        const summary = `${name} is installed`
        return certificates.install({ name, bundle: bundle.success, source: "file", summary, renewAt: null })
      })),
    remove: (name) => run(certificates.remove({ name })),
    restore: () => run(certificates.restore)
  }
  const { reason, status } = yield* Effect.promise(() => run(certificates.restore))
  if (status !== "ok") throw new Error(`HAProxy is not the folder: ${status}, ${reason}`)
  return plane
})
