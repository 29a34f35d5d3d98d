/**
 * The control plane in this process, over a real HAProxy, files and a database: the layers of src/ControlPlane.ts
 * with paths of the benchmark. The writing of files can be left out for a while, to see what the rest costs.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import { make as publicSuffixes } from "../src/domain/PublicSuffix.ts"
import { MapFiles } from "../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../src/haproxy/RuntimeApi.ts"
import { Limits } from "../src/program/Limits.ts"
import { Operations } from "../src/program/Operations.ts"
import { PoolAllocator } from "../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../src/program/Services.ts"
import { Store } from "../src/store/Store.ts"
import type { Site } from "../test/support/RealHaproxy.ts"
import { limits } from "./Population.ts"

/** The running control plane. */
export interface Plane {
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Promise<A>
  /** False: `apply` leaves the files as they are. Switch it only between a write and what takes it back. */
  readonly files: { write: boolean }
}

/** Starts it and waits until HAProxy runs what the database holds. */
export const startPlane = Effect.fnUntraced(function*(site: Site, database: string, poolsFile: boolean) {
  const files = { write: true }
  const mapFiles = Layer.effect(
    MapFiles,
    Effect.map(MapFiles, (real) =>
      MapFiles.of({
        ...real,
        apply: (edits) => Effect.suspend(() => files.write ? real.apply(edits) : Effect.void)
      }))
  ).pipe(Layer.provide(MapFiles.layer({
    domains: site.domainsMap,
    wildcards: site.wildcardsMap,
    pools: poolsFile ? site.poolsFile : null,
    limits
  })))
  const adapters = Layer.mergeAll(
    Store.layer({ file: database, pools: limits }),
    RuntimeApi.layer({ transport: { path: site.runtimeSocket } }),
    mapFiles,
    Layer.succeed(Limits, {
      pools: limits,
      suffixes: publicSuffixes([]),
      listeners: [],
      localAddresses: new Set<string>()
    })
  )
  const layer = Layer.mergeAll(PoolAllocator.layer(), Operations.layer).pipe(
    Layer.provideMerge(adapters),
    Layer.provideMerge(Layer.succeed(References.MinimumLogLevel, "Warn"))
  )
  const context = yield* Layer.build(layer)
  yield* Context.get(context, PoolAllocator).reconcile
  const plane: Plane = { files, run: Effect.runPromiseWith(context) }
  return plane
})
