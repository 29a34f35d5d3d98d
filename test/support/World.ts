/**
 * A control plane over a real HAProxy, both in a folder of their own, both restartable, and the question that every
 * test of the write path asks: are database, files and HAProxy the same?
 */
import { assert } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { join } from "node:path"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import type { AcmeOptions } from "../../src/acme/Acme.ts"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import type { HaproxyHost } from "../../src/haproxy/host/HaproxyHost.ts"
import type { HostOptions } from "../../src/haproxy/HostControl.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { type CertificatePlaneOptions, inSync, planeLayer, type PlaneOptions } from "./ControlPlane.ts"
import { dumpDatabase, dumpFiles, dumpRuntime } from "./Dump.ts"
import { type Edge, startEdge } from "./Edge.ts"
import { newestLine, type RealHaproxy, type Site, type SiteOptions, startHaproxy } from "./RealHaproxy.ts"

export interface WorldOptions extends SiteOptions, Pick<PlaneOptions, "reconcileEvery" | "cheapFrom" | "host"> {
  readonly binary?: HaproxyBinary
  /** With `tls`: settings of acme.sh; default: there is none. */
  readonly acme?: (site: Site) => Partial<AcmeOptions>
  /** With `tls`: what the control plane is told of certificates, when that is not what is so. */
  readonly plane?: Partial<CertificatePlaneOptions>
  /** What the control plane is told of pools and slots, when that is not what HAProxy has. */
  readonly declared?: { readonly pools: number; readonly slots: number }
  /** HAProxy is on another host: its paths are those of that host, which may be reached in a way of your own. */
  readonly edge?: (edge: Edge) => HaproxyHost
}

export interface World {
  readonly haproxy: RealHaproxy
  readonly site: Site
  readonly plane: PlaneOptions
  /** With `edge`. */
  readonly edge: Edge | null
  /** Runs a program on the control plane that is up now. */
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Effect.Effect<A, E>
  /** Stops the control plane in order and starts a new one on the same database. */
  readonly restartPlane: Effect.Effect<void>
  readonly stopPlane: Effect.Effect<void>
  /** Restarts the control plane with other settings of HAProxy's host. */
  readonly control: (host: Partial<HostOptions>) => Effect.Effect<void>
  /** Asserts that database, files and HAProxy say the same, as they are; answers the database's dump. */
  readonly same: (note?: string) => Effect.Effect<string>
  /** Reconciles, then asserts {@link World.same}. */
  readonly consistent: (note?: string) => Effect.Effect<string>
}

/** Drain stands in pools.cfg as weight 0, which hides the weight. */
const forFiles = (dump: string) => dump.replace(/ drain \d+$/gm, " drain ?")

export const makeWorld = Effect.fnUntraced(function*(options: WorldOptions = {}) {
  const pools = options.pools ?? 5
  const slots = options.slots ?? 3
  const haproxy = yield* startHaproxy({
    ...options,
    pools,
    slots,
    // pools.cfg takes its settings from a named section of haproxy.cfg.
    sections: [...(options.sections ?? []), `defaults ${poolsDefaults} from base`, ""],
    binary: options.binary ?? newestLine
  })
  const { site } = haproxy
  const edge = options.edge === undefined ? null : yield* startEdge(site.dir)
  const there = edge?.there ?? ((path: string) => path)
  const plane: PlaneOptions = {
    database: join(site.dir, "haproxy_mcp.db"),
    runtimeSocket: there(site.runtimeSocket),
    domainsMap: there(site.domainsMap),
    wildcardsMap: there(site.wildcardsMap),
    poolsFile: options.poolsFile === true ? there(site.poolsFile) : null,
    ...(edge === null || options.edge === undefined ? {} : { edge: options.edge(edge) }),
    pools,
    slots,
    host: {
      masterSocket: there(site.masterSocket),
      stateFile: there(join(site.dir, "servers.state")),
      ...options.host
    },
    ...(options.tls === undefined ? {} : {
      certificates: {
        folder: there(site.certDir),
        listFile: options.tls !== true && options.tls.list === "file" ? there(site.crtListFile) : null,
        ...(options.acme === undefined ? {} : { acme: options.acme(site) }),
        ...options.plane
      }
    }),
    ...(options.cheapFrom === undefined ? {} : { cheapFrom: options.cheapFrom }),
    ...(options.declared === undefined ? {} : options.declared),
    ...(options.reconcileEvery === undefined ? {} : { reconcileEvery: options.reconcileEvery })
  }
  const outer = yield* Effect.scope
  let scope: Scope.Closeable | null = null
  let host = plane.host ?? {}
  let services: Context.Context<ProgramServices> | null = null

  const stopPlane = Effect.gen(function*() {
    if (scope !== null) yield* Scope.close(scope, Exit.void)
    scope = null
    services = null
  })
  const startPlane = Effect.gen(function*() {
    scope = yield* Scope.fork(outer)
    services = yield* Layer.buildWithScope(planeLayer({ ...plane, host }), scope).pipe(Effect.orDie)
  })
  const run = <A, E>(program: Effect.Effect<A, E, ProgramServices>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (services === null) throw new Error("the control plane is stopped")
      return Effect.provideContext(program, services)
    })

  const same = Effect.fnUntraced(function*(note = "") {
    const database = yield* run(Effect.orDie(dumpDatabase))
    const files = yield* dumpFiles({
      domains: site.domainsMap,
      wildcards: site.wildcardsMap,
      pools: options.poolsFile === true ? site.poolsFile : null
    })
    const runtime = yield* dumpRuntime(site.runtimeSocket, [site.runtimeDomainsMap, site.runtimeWildcardsMap])
    assert.strictEqual(runtime, database, `HAProxy is not the database ${note}`)
    const expected = plane.poolsFile === null
      ? database.split("\n").filter((line) => line.startsWith("map ")).join("\n")
      : forFiles(database)
    assert.strictEqual(files, expected, `the files are not the database ${note}`)
    return database
  })
  const consistent = (note?: string) => Effect.andThen(run(Effect.orDie(inSync)), same(note))

  yield* startPlane
  const world: World = {
    haproxy,
    site,
    plane,
    edge,
    run,
    stopPlane,
    control: (changed) =>
      Effect.suspend(() => {
        host = { ...host, ...changed }
        return Effect.andThen(stopPlane, startPlane)
      }),
    restartPlane: Effect.andThen(stopPlane, startPlane),
    same,
    consistent
  }
  return world
})
