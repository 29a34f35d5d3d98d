/** A control plane over FakeHaproxy, for the faults that a real HAProxy cannot be made to have at a given command. */
import { assert } from "@effect/vitest"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ProgramServices } from "../../src/program/Services.ts"
import { declarePools, FakeHaproxy, type FakeHaproxyShape, type Line, parseBackends } from "../../src/testing.ts"
import { inSync, planeLayer, type PlaneOptions } from "./ControlPlane.ts"
import { dumpDatabase, dumpFiles, dumpRuntime } from "./Dump.ts"

export interface FakeWorld {
  readonly fake: FakeHaproxyShape
  readonly plane: PlaneOptions
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Effect.Effect<A, E>
  readonly startPlane: Effect.Effect<void>
  readonly stopPlane: Effect.Effect<void>
  /** Asserts that database, files and HAProxy say the same, as they are; answers the database's dump. */
  readonly same: (note?: string) => Effect.Effect<string>
  /** Reconciles, then asserts {@link FakeWorld.same}. */
  readonly consistent: (note?: string) => Effect.Effect<string>
}

const text = (path: string) => existsSync(path) ? readFileSync(path, "utf8") : ""

export interface FakeWorldOptions {
  readonly line?: Line
  readonly pools?: number
  readonly slots?: number
  /** HAProxy loads the certificates of a folder beside the database at each start. */
  readonly certificates?: boolean
  /** The folder of the database and files; default: a new one that is removed. */
  readonly dir?: string
}

/** The fake loads its maps and pools from the files at each start, as HAProxy does. The control plane is not started yet. */
export const makeFakeWorld = Effect.fnUntraced(function*(options: FakeWorldOptions = {}) {
  const dir = options.dir ?? (yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-fake-"))),
    (made) => Effect.promise(() => rm(made, { recursive: true, force: true }))
  ))
  const files = {
    domains: join(dir, "domains.map"),
    wildcards: join(dir, "wildcards.map"),
    pools: join(dir, "pools.cfg")
  }
  const { pools = 3, slots = 3 } = options
  const certificates = join(dir, "certs")
  if (options.certificates === true) mkdirSync(certificates, { recursive: true })
  const pems = () =>
    readdirSync(certificates).filter((name) => !name.startsWith(".")).sort().map((name) => join(certificates, name))
  const fake = yield* FakeHaproxy.make({
    line: options.line ?? "3.4",
    maps: () => ({ [files.domains]: text(files.domains), [files.wildcards]: text(files.wildcards) }),
    backends: () => existsSync(files.pools) ? parseBackends(text(files.pools)) : declarePools({ count: pools, slots }),
    ...(options.certificates === true ?
      {
        certificates: () => Object.fromEntries(pems().map((path) => [path, text(path)])),
        crtLists: () => ({ [certificates]: pems() })
      } :
      {})
  })
  assert("path" in fake.address)
  const socket = fake.address.path
  const plane: PlaneOptions = {
    database: join(dir, "haproxy_mcp.db"),
    runtimeSocket: socket,
    domainsMap: files.domains,
    wildcardsMap: files.wildcards,
    poolsFile: files.pools,
    pools,
    slots,
    ...(options.certificates === true ? { certificates: { folder: certificates } } : {})
  }
  const outer = yield* Effect.scope
  let scope: Scope.Closeable | null = null
  let services: Context.Context<ProgramServices> | null = null
  const stopPlane = Effect.gen(function*() {
    if (scope !== null) yield* Scope.close(scope, Exit.void)
    scope = null
    services = null
  })
  const startPlane = Effect.gen(function*() {
    yield* stopPlane
    scope = yield* Scope.fork(outer)
    services = yield* Layer.buildWithScope(planeLayer(plane), scope).pipe(Effect.orDie)
  })
  const run = <A, E>(program: Effect.Effect<A, E, ProgramServices>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (services === null) throw new Error("the control plane is stopped")
      return Effect.provideContext(program, services)
    })
  const same = Effect.fnUntraced(function*(note = "") {
    const database = yield* run(Effect.orDie(dumpDatabase))
    const onDisk = yield* dumpFiles(files)
    const runtime = yield* dumpRuntime(socket, [files.domains, files.wildcards])
    assert.strictEqual(runtime, database, `HAProxy is not the database: ${note}`)
    assert.strictEqual(onDisk, database.replace(/ drain \d+$/gm, " drain ?"), `the files are not the database: ${note}`)
    return database
  })
  const consistent = (note?: string) => Effect.andThen(run(Effect.orDie(inSync)), same(note))
  const world: FakeWorld = { fake, plane, run, startPlane, stopPlane, same, consistent }
  return world
})
