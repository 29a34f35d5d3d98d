/** The program layers over a database, files and a HAProxy (real or fake) that a test made. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { HostControl, type HostOptions, noHost } from "../../src/haproxy/HostControl.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import { Caller } from "../../src/program/Caller.ts"
import { Limits } from "../../src/program/Limits.ts"
import { Operations } from "../../src/program/Operations.ts"
import { type AllocatorOptions, PoolAllocator } from "../../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Store } from "../../src/store/Store.ts"

export interface PlaneOptions extends AllocatorOptions {
  readonly database: string
  readonly runtimeSocket: string
  readonly domainsMap: string
  readonly wildcardsMap: string
  readonly poolsFile?: string | null
  readonly pools: number
  readonly slots: number
  /** Addresses of "this host" beside loopback, and whether HAProxy runs on it (default). */
  readonly localAddresses?: ReadonlyArray<string>
  readonly haproxyIsHere?: boolean
  /** How HAProxy's host is controlled; default: no way is set, and none is looked for. */
  readonly host?: Partial<HostOptions>
}

/** Tests provoke trouble by the thousand: its log is shown on demand, with TEST_LOG=Info or Debug. */
const quiet = Layer.succeed(References.MinimumLogLevel, (process.env["TEST_LOG"] ?? "Fatal") as LogLevel.LogLevel)

/** Everything a program needs, over these paths. */
export const planeLayer = (options: PlaneOptions) => {
  const limits = { pools: options.pools, slots: options.slots }
  const adapters = Layer.mergeAll(
    Store.layer({ file: options.database, pools: limits }),
    RuntimeApi.layer({ transport: { path: options.runtimeSocket } }),
    MapFiles.layer({
      domains: options.domainsMap,
      wildcards: options.wildcardsMap,
      pools: options.poolsFile ?? null,
      limits
    }),
    Layer.succeed(Limits, {
      pools: limits,
      suffixes: publicSuffixes(["it.com"]),
      listeners: [],
      localAddresses: new Set<string>(options.localAddresses),
      haproxyIsHere: options.haproxyIsHere ?? true
    })
  )
  const host = HostControl.layer({ ...noHost, ...options.host })
  return Layer.mergeAll(PoolAllocator.layer(options), Operations.layer, host).pipe(
    Layer.provideMerge(adapters),
    Layer.provide(quiet)
  )
}

/** Runs a program as a caller with this timeout. */
export const within = (timeout: number) => <A, E>(program: Effect.Effect<A, E, ProgramServices>) =>
  Effect.gen(function*() {
    const caller = yield* Caller
    return yield* program.pipe(Effect.provideService(Caller, { ...caller, timeout }))
  })

/** Waits until HAProxy runs the desired state. */
export const inSync = Effect.gen(function*() {
  return yield* (yield* PoolAllocator).reconcile
})
