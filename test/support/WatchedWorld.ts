/**
 * A control plane on a real HAProxy that is watched: every command to HAProxy is recorded, everything that a call could
 * change can be taken as one text and compared, and tools are called as a client calls them. Tests of "refused means
 * that nothing happened" stand on it.
 */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import type { HaproxyBinary } from "../../scripts/haproxy.ts"
import type { AcmeOptions } from "../../src/acme/Acme.ts"
import type { Listener } from "../../src/domain/Address.ts"
import type { ErrorBody } from "../../src/domain/Errors.ts"
import type { GuardrailMode } from "../../src/domain/Guardrail.ts"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { withAllRights } from "../../src/domain/Principal.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import type { ToolResult } from "../../src/mcp/ToolResult.ts"
import type { CallerShape } from "../../src/program/Caller.ts"
import { Limits } from "../../src/program/Limits.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Store } from "../../src/store/Store.ts"
import { inSync, planeLayer, type PlaneOptions } from "./ControlPlane.ts"
import { dumpDatabase, dumpDesired, dumpFiles, dumpRuntime } from "./Dump.ts"
import { ask, newestLine, type RealHaproxy, type Site, type SiteOptions, startHaproxy } from "./RealHaproxy.ts"
import { type Recorder, startRecorder } from "./Recorder.ts"

export interface WatchedOptions extends SiteOptions {
  /** Default: the newest line. */
  readonly binary?: HaproxyBinary
  /** HAProxy's and our own listeners, as the settings would give them. */
  readonly listeners?: ReadonlyArray<Listener>
  /** Addresses of "this host". */
  readonly localAddresses?: ReadonlyArray<string>
  /** Extra public suffixes; default it.com. */
  readonly suffixes?: ReadonlyArray<string>
  /** acme.sh as the control plane has it; default: none. */
  readonly acme?: (site: Site) => Partial<AcmeOptions>
  /** Milliseconds until certificates are renewed by themselves; default: at once. */
  readonly renewAfter?: number
  /** MCP_GUARDRAILS; default: inform. */
  readonly guardrails?: GuardrailMode
}

export interface WatchedWorld {
  readonly haproxy: RealHaproxy
  readonly plane: PlaneOptions
  readonly sent: Recorder["commands"]
  readonly run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Effect.Effect<A, E>
  /** Calls a tool as a transport does. */
  readonly call: (name: string, args: unknown, caller?: Partial<CallerShape>) => Effect.Effect<ToolResult>
  /** Calls a tool that must succeed; answers its structured content. */
  readonly good: (name: string, args: unknown) => Effect.Effect<Record<string, unknown>>
  /** Calls a tool that must answer this code; answers the error. */
  readonly bad: (name: string, args: unknown, code: string) => Effect.Effect<ErrorBody>
  /** All that a call could change: rows, revision, files byte by byte, HAProxy's maps, servers and certificates. */
  readonly everything: Effect.Effect<string>
  /** Stops the control plane and starts it again, with other limits if asked. */
  readonly restartPlane: (options?: Pick<WatchedOptions, "suffixes" | "slots">) => Effect.Effect<void>
  /** Reconciles, then asserts that database, files and HAProxy say the same; answers the database's dump. */
  readonly consistent: Effect.Effect<string>
}

/** The error of a result, which must be one. */
export const errorOf = (result: ToolResult): ErrorBody => {
  assert.isTrue(result.isError, `no error: ${result.text.slice(0, 300)}`)
  return (result.structuredContent as { readonly error: ErrorBody }).error
}

const caller = {
  actor: { via: "test", who: "tester", requestId: "req-1" },
  timeout: 10_000,
  principal: withAllRights("program", "test"),
  progress: () => Effect.void
}

/** No comparison but those that a test asks for. */
const never = 3_600_000

export const makeWatchedWorld = Effect.fnUntraced(function*(options: WatchedOptions = {}) {
  const { pools = 5, slots = 3 } = options
  const haproxy = yield* startHaproxy({
    ...options,
    pools,
    slots,
    poolsFile: options.poolsFile ?? true,
    sections: [...(options.sections ?? []), `defaults ${poolsDefaults} from base`, ""],
    binary: options.binary ?? newestLine
  })
  const { site } = haproxy
  const recorder = yield* startRecorder(join(site.dir, "watched.sock"), site.runtimeSocket)
  const plane: PlaneOptions = {
    database: join(site.dir, "haproxy_mcp.db"),
    runtimeSocket: recorder.path,
    domainsMap: site.domainsMap,
    wildcardsMap: site.wildcardsMap,
    poolsFile: site.poolsFile,
    pools,
    slots,
    reconcileEvery: never,
    ...(options.guardrails === undefined ? {} : { guardrails: options.guardrails }),
    certificates: {
      folder: site.certDir,
      acme: options.acme?.(site) ?? {},
      compareEvery: never,
      ...(options.renewAfter === undefined ? {} : { renewAfter: options.renewAfter })
    },
    host: { masterSocket: site.masterSocket, stateFile: join(site.dir, "servers.state") }
  }
  const outer = yield* Effect.scope
  let scope: Scope.Closeable | null = null
  let services: Context.Context<ProgramServices> | null = null
  const restartPlane = Effect.fnUntraced(function*(changed: Pick<WatchedOptions, "suffixes" | "slots"> = {}) {
    if (scope !== null) yield* Scope.close(scope, Exit.void)
    scope = yield* Scope.fork(outer)
    const layer = planeLayer({ ...plane, slots: changed.slots ?? slots }).pipe(Layer.provide(Logger.layer([])))
    const built = yield* Layer.buildWithScope(layer, scope).pipe(Effect.orDie)
    services = Context.add(built, Limits, {
      ...Context.get(built, Limits),
      suffixes: publicSuffixes(changed.suffixes ?? options.suffixes ?? ["it.com"]),
      listeners: options.listeners ?? [],
      localAddresses: new Set(options.localAddresses)
    })
  })
  yield* restartPlane()
  const run = <A, E>(program: Effect.Effect<A, E, ProgramServices>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (services === null) throw new Error("the control plane is stopped")
      return Effect.provideContext(program, services)
    })

  const call: WatchedWorld["call"] = (name, args, given = {}) => run(callTool(name, args, { ...caller, ...given }))
  const good: WatchedWorld["good"] = (name, args) =>
    Effect.map(call(name, args), (result) => {
      assert.isFalse(result.isError, `${name} ${JSON.stringify(args)}: ${result.text.slice(0, 500)}`)
      return result.structuredContent
    })
  const bad: WatchedWorld["bad"] = (name, args, code) =>
    Effect.map(call(name, args), (result) => {
      const error = errorOf(result)
      assert.strictEqual(error.code, code, `${name} ${JSON.stringify(args)}: ${result.text.slice(0, 500)}`)
      return error
    })

  const maps = [site.runtimeDomainsMap, site.runtimeWildcardsMap]
  const dumpThree = Effect.fnUntraced(function*() {
    const database = yield* run(Effect.orDie(dumpDatabase))
    const files = yield* dumpFiles({ domains: site.domainsMap, wildcards: site.wildcardsMap, pools: site.poolsFile })
    const runtime = yield* dumpRuntime(site.runtimeSocket, maps)
    return { database, files, runtime }
  })
  /** Rows without times of attempts, every file below the folder, and HAProxy's list of what it has. */
  const dumpCertificates = Effect.gen(function*() {
    const rows = yield* run(Effect.orDie(Effect.flatMap(Store, (store) => store.certificates)))
    const files = yield* Effect.promise(() => readdir(site.certDir, { recursive: true }).catch(() => []))
    const bytes = yield* Effect.promise(() =>
      Promise.all(files.sort().map(async (file) => `${file}\n${await readFile(join(site.certDir, file), "latin1")}`))
    )
    const live = options.tls === undefined ? "" : yield* haproxy.command("show ssl cert")
    return [JSON.stringify(rows), ...bytes, live].join("\n--\n")
  })
  const everything = Effect.gen(function*() {
    const { database, files, runtime } = yield* dumpThree()
    const rows = yield* run(Effect.orDie(dumpDesired))
    const revision = yield* run(Effect.flatMap(Store, (store) => store.revision))
    const bytes = yield* Effect.promise(() =>
      Promise.all([site.domainsMap, site.wildcardsMap, site.poolsFile].map((path) => readFile(path, "latin1")))
    )
    // With the addresses of the entries in memory: an entry that was removed and added again shows.
    const live = yield* Effect.promise(() => Promise.all(maps.map((map) => ask(site.runtimeSocket, `show map ${map}`))))
    const certificates = yield* dumpCertificates
    return [`revision ${revision}`, rows, database, files, runtime, ...bytes, ...live, certificates].join("\n--\n")
  })
  const consistent = Effect.gen(function*() {
    yield* run(Effect.orDie(inSync))
    const { database, files, runtime } = yield* dumpThree()
    // A pool beyond the declared ones is foreign.
    const ours = (dump: string) =>
      dump.split("\n").filter((line) => Number(/^map \S+ pool_(\d+)$/.exec(line)?.[1] ?? 0) <= pools).join("\n")
    assert.strictEqual(ours(runtime), database, "HAProxy is not the database")
    // Drain stands in pools.cfg as weight 0, which hides the weight.
    assert.strictEqual(ours(files), database.replace(/ drain \d+$/gm, " drain ?"), "the files are not the database")
    return database
  })
  const world: WatchedWorld = {
    haproxy,
    plane,
    sent: recorder.commands,
    run,
    call,
    good,
    bad,
    everything,
    restartPlane,
    consistent
  }
  return world
})

/** For tests that call tools by the thousand: their log lines go nowhere. */
export const quiet = <A, E, R>(test: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provide(test, Logger.layer([]))
