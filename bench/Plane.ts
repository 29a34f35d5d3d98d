/**
 * The control plane in this process, over a real HAProxy, files and a database: the layers of src/ControlPlane.ts
 * with paths of the benchmark, and a clock around each of the three places where a write waits for the world. The
 * writing of files can be left out for a while, to see what the rest costs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { join } from "node:path"
import { Acme } from "../src/acme/Acme.ts"
import { make as publicSuffixes } from "../src/domain/PublicSuffix.ts"
import { CertificateFiles } from "../src/haproxy/certificates/CertificateFiles.ts"
import { HostControl, noHost } from "../src/haproxy/HostControl.ts"
import { MapFiles } from "../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../src/haproxy/RuntimeApi.ts"
import * as Certificates from "../src/program/certificates/Engine.ts"
import { Limits } from "../src/program/Limits.ts"
import { Operations } from "../src/program/Operations.ts"
import { PoolAllocator } from "../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../src/program/Services.ts"
import { Tokens } from "../src/program/Tokens.ts"
import { Store } from "../src/store/Store.ts"
import { noAcme } from "../test/support/ControlPlane.ts"
import type { Site } from "../test/support/RealHaproxy.ts"
import { limits } from "./Population.ts"

/** Milliseconds spent since they were last set to 0: deciding and committing, talking to HAProxy, writing files. */
export interface Spent {
  commit: number
  runtime: number
  files: number
}

/** The running control plane. */
export interface Plane {
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Promise<A>
  readonly spent: Spent
  /** False: `stage` and `apply` leave the files as they are. Switch it only between a write and what takes it back. */
  readonly files: { write: boolean }
}

/** Starts it and waits until HAProxy runs what the database holds. */
export const startPlane = Effect.fnUntraced(function*(site: Site, database: string, poolsFile: boolean) {
  const files = { write: true }
  const noCertificates = join(site.dir, "no-certificates")
  const spent: Spent = { commit: 0, runtime: 0, files: 0 }
  const clocked = <A, E, R>(part: keyof Spent, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const began = performance.now()
      return Effect.onExit(effect, () => Effect.sync(() => spent[part] += performance.now() - began))
    })
  const store = Layer.effect(
    Store,
    Effect.map(Store, (real) => Store.of({ ...real, commit: (body) => clocked("commit", real.commit(body)) }))
  ).pipe(Layer.provide(Store.layer({ file: database, pools: limits })))
  const runtime = Layer.effect(
    RuntimeApi,
    Effect.map(RuntimeApi, (real) =>
      RuntimeApi.of({
        ...real,
        exchange: (commands, options) => clocked("runtime", real.exchange(commands, options))
      }))
  ).pipe(Layer.provide(RuntimeApi.layer({ transport: { path: site.runtimeSocket } })))
  const mapFiles = Layer.effect(
    MapFiles,
    Effect.map(MapFiles, (real) =>
      MapFiles.of({
        ...real,
        stage: (edits) => files.write ? real.stage(edits) : Effect.void,
        apply: (edits) => Effect.suspend(() => files.write ? clocked("files", real.apply(edits)) : Effect.void)
      }))
  ).pipe(Layer.provide(MapFiles.layer({
    domains: site.domainsMap,
    wildcards: site.wildcardsMap,
    pools: poolsFile ? site.poolsFile : null,
    limits
  })))
  const adapters = Layer.mergeAll(
    store,
    runtime,
    mapFiles,
    CertificateFiles.layer({ folder: noCertificates }),
    Acme.layer(noAcme),
    Layer.succeed(Limits, {
      pools: limits,
      suffixes: publicSuffixes([]),
      listeners: [],
      localAddresses: new Set<string>(),
      haproxyIsHere: true
    })
  )
  const layer = Certificates.layer({
    place: { folder: noCertificates, runtimeFolder: null, listFile: null },
    tlsAddress: null,
    haproxyHost: "127.0.0.1"
  }).pipe(
    Layer.provideMerge(
      Layer.mergeAll(PoolAllocator.layer(), Operations.layer, Tokens.layer, HostControl.layer(noHost))
    ),
    Layer.provideMerge(adapters),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Warn"))
  )
  const context = yield* Layer.build(layer)
  yield* Context.get(context, PoolAllocator).reconcile
  const plane: Plane = { files, spent, run: Effect.runPromiseWith(context) }
  return plane
})
