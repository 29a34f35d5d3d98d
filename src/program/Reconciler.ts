/**
 * Observe, diff, apply, observe again: makes HAProxy and its files equal to the database, whatever came between
 * (a restart of HAProxy or of ours, a lost answer, somebody's edits). Level-triggered: it looks only at what is.
 *
 * Guarantees: on success HAProxy was read back after the last repair and equals the desired state, except for
 * what `problems` lists; foreign entries are where they were; no server changes under a route that leads to it.
 * It runs inside the actor, under its permit (PoolAllocator.ts).
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Listener } from "../domain/Address.ts"
import { type Edit, type Route, writesOf } from "../domain/Change.ts"
import { homeless, type MapDrift, mapDrift, type ObservedMap, type ObservedSlot, slotDrift } from "../domain/Drift.ts"
import { ConfigInvalid, type FileFailure } from "../domain/Errors.ts"
import { ownPool, parseSlotName, type PoolLimits, poolName, type PoolNumber, type SlotNumber } from "../domain/Pool.ts"
import { isWildcard } from "../domain/RouteName.ts"
import * as BoundAddresses from "../haproxy/BoundAddresses.ts"
import type { Command, Verdict } from "../haproxy/Command.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import * as ListenerSockets from "../haproxy/ListenerCommands.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import type { MapFiles } from "../haproxy/MapFiles.ts"
import { findMapPaths } from "../haproxy/MapPaths.ts"
import { canSwap, replaceMap } from "../haproxy/MapSwap.ts"
import { ownListeners } from "../haproxy/OwnListeners.ts"
import { LinkLost, type RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Servers from "../haproxy/ServerCommands.ts"
import type { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { applyJobs } from "./Apply.ts"
import type { Guardrails } from "./Guardrails.ts"
import { entryOf, type Node } from "./Node.ts"
import type { PublisherShape } from "./replication/Publisher.ts"

/** More differences of one map than this are repaired by an atomic swap of the whole map. */
const swapAbove = 256
/**
 * A duplicate too: one by one its key would be gone for a moment, and a request would find nothing. Not where a foreign
 * entry could not be sent along.
 */
const needsSwap = (drift: MapDrift, seen: ObservedMap): boolean =>
  (drift.differences > swapAbove || drift.repairs.some((edits) => edits.length > 1))
  && canSwap(seen.filter(({ key }) => drift.foreign.has(key)))

/** Observe-apply rounds before what is left counts as unrepairable. */
const rounds = 3

/** What the reconciler works on. */
export interface Plane {
  readonly runtime: RuntimeApi["Service"]
  readonly store: Store["Service"]
  readonly files: MapFiles["Service"]
  readonly limits: PoolLimits
  /** Addresses of HAProxy's host; null when it is another one than ours. */
  readonly hostAddresses: ReadonlySet<string> | null
  /** HAPROXY_RUNTIME_MAP_FILE: the path of domains.map as HAProxy knows it, when the operator set it. */
  readonly runtimeMapFile: string | null
  /** The process is going away: what has begun gets less time to wait for HAProxy. */
  readonly closing: () => boolean
  /** Of the remote copy of the database. */
  readonly publisher: PublisherShape
  readonly guardrails: Guardrails
}

/** The key of one slot among what is refused. */
export const slotKey = (pool: PoolNumber, slot: SlotNumber): string => `slot:${pool}/${slot}`

/** What a run found and left. */
export interface Reconciled {
  readonly node: Node
  /** Differences found by the first observation. */
  readonly drift: number
  /** `route:NAME`, `pool:N` or {@link slotKey} → why HAProxy would not take it, or does not have it all the same. */
  readonly refused: ReadonlyMap<string, string>
  /** Sentences for an operator: what is not as it should be and cannot be repaired from here. */
  readonly problems: ReadonlyArray<string>
  /** The files hold the desired state too. */
  readonly filesCurrent: boolean
}

/** All that is ours in HAProxy. */
export interface Observed {
  readonly node: Omit<Node, "listeners" | "reserved">
  readonly domains: ObservedMap
  readonly wildcards: ObservedMap
  readonly slots: ReadonlyArray<ObservedSlot>
}

/** Pools of ours among the values of foreign entries. */
const reservedBy = (limits: PoolLimits, ...maps: ReadonlyArray<ReadonlyMap<string, string>>): ReadonlySet<PoolNumber> =>
  new Set(maps.flatMap((map) => [...map.values()].flatMap((value) => ownPool(value, limits) ?? [])))

/** Unwraps answers of commands that only read: HAProxy refusing one means that the configuration is not ours. */
const must = <A>(verdict: Verdict<A>, what: string): Effect.Effect<A, ConfigInvalid> =>
  Result.isSuccess(verdict)
    ? Effect.succeed(verdict.success)
    : Effect.fail(
      new ConfigInvalid({
        message: `HAProxy does not answer ${what}: ${verdict.failure.text}`,
        hint: "Check that the Runtime API socket has level admin and that the maps are loaded by haproxy.cfg."
      })
    )

const ask = <A>(plane: Plane, command: Command<A>, what: string, deadline: number) =>
  Effect.flatMap(
    plane.runtime.exchange([command], { timeout: Math.max(1, deadline - Date.now()) }),
    ([verdict]) => must(verdict as Verdict<A>, what)
  )

const ownSlots = (rows: ReadonlyArray<Servers.ServerStateRow>, limits: PoolLimits): ReadonlyArray<ObservedSlot> => {
  const slots: Array<ObservedSlot> = []
  for (const row of rows) {
    const name = parseSlotName(row.server)
    if (name === null || poolName(name.pool) !== row.backend) continue
    if (name.pool > limits.pools || name.slot > limits.slots) continue
    slots.push({ ...name, ip: row.ip, port: row.port, weight: row.userWeight, state: row.state })
  }
  return slots
}

/** Where HAProxy listens. One that refuses to say (a level or a build without `show fd`) is worked with all the same. */
const findListeners = Effect.fnUntraced(function*(plane: Plane, pid: number, deadline: number) {
  const [verdict] = yield* plane.runtime.exchange([ListenerSockets.show], {
    timeout: Math.max(1, deadline - Date.now())
  })
  if (Result.isFailure(verdict)) {
    yield* Effect.logDebug(`HAProxy does not say where it listens: ${verdict.failure.text}`)
    return []
  }
  const sockets = verdict.success
  const here = plane.hostAddresses !== null && sockets.length > 0
  return ownListeners(sockets, here ? yield* BoundAddresses.read(pid, sockets.map(({ fd }) => fd)) : null)
})

/** Reads all that is ours from HAProxy, in one connection's life. */
export const observe = Effect.fnUntraced(function*(plane: Plane, deadline: number) {
  const link = yield* plane.runtime.link
  if (link._tag === "Down") return yield* new LinkLost({ reason: link.reason, sent: false })
  const info = yield* ask(plane, Info.show, "show info", deadline)
  if (info.stopping || info.pid !== link.epoch.pid) {
    yield* plane.runtime.reset("another worker took over")
    return yield* new LinkLost({ reason: "the worker that answered is stopping", sent: false })
  }
  const list = yield* ask(plane, Maps.list, "show map", deadline)
  const paths = yield* findMapPaths(
    list,
    {
      domains: plane.files.paths.domains,
      wildcards: plane.files.paths.wildcards,
      runtimeMapFile: plane.runtimeMapFile
    },
    plane.limits,
    (path) => ask(plane, Maps.show(path), `show map ${path}`, deadline),
    plane.files.foreignIn
  )
  const domains = yield* ask(plane, Maps.show(paths.domains), `show map ${paths.domains}`, deadline)
  const wildcards = yield* ask(plane, Maps.show(paths.wildcards), `show map ${paths.wildcards}`, deadline)
  const slots = ownSlots(yield* ask(plane, Servers.showState(), "show servers state", deadline), plane.limits)
  const pools = new Map<PoolNumber, Set<SlotNumber>>()
  for (const { pool, slot } of slots) {
    const known = pools.get(pool)
    if (known === undefined) pools.set(pool, new Set([slot]))
    else known.add(slot)
  }
  // What `show map` counts, versions that were prepared and never committed included: later counts start from it.
  const map = (path: string) => {
    const found = list.find((one) => one.path === path)
    return {
      path,
      entries: found?.entries ?? 0,
      version: found?.currentVersion ?? 0,
      foreign: new Map<string, string>()
    }
  }
  const node: Observed["node"] = {
    connection: link.connection,
    epoch: link.epoch,
    maps: { domains: map(paths.domains), wildcards: map(paths.wildcards) },
    pools
  }
  const observed: Observed = { node, domains, wildcards, slots }
  return observed
})

/**
 * An empty database beside maps that lead to our pools is somebody's lost database or another program's work:
 * emptying them would take every domain down, so nothing is touched.
 */
const refuseEmpty = (own: number) =>
  Effect.fail(
    new ConfigInvalid({
      message: `The database is empty, but HAProxy's maps hold ${own} entries of our pools`,
      hint: "Restore the database. Or take over what HAProxy runs: haproxy-mcp foreign adopt --all. Or, to start anew, "
        + "move these entries out of the map files and reload HAProxy."
    })
  )

/**
 * A cheap look for a large installation: the same worker, the same number and version of map entries, every slot as
 * desired. Reading 100,000 entries takes their map's lock for half a second; this takes none. It does not see an
 * entry that somebody repointed in place: only a full comparison does.
 */
export const looksUnchanged = Tracing.fn("Reconciler.looksUnchanged")(
  function*(plane: Plane, node: Node, deadline: number) {
    const info = yield* ask(plane, Info.show, "show info", deadline)
    const list = yield* ask(plane, Maps.list, "show map", deadline)
    const rows = yield* ask(plane, Servers.showState(), "show servers state", deadline)
    const servers = yield* plane.store.allServers
    return !info.stopping && info.pid === node.epoch.pid &&
      slotDrift(servers, ownSlots(rows, plane.limits)).length === 0
      && Object.values(node.maps).every((map) =>
        list.some((one) => one.path === map.path && one.entries === map.entries && one.currentVersion === map.version)
      )
  }
)

/**
 * Brings HAProxy and the files to the desired state by `deadline` (milliseconds since 1970). Files that are `tried` may
 * be behind afterwards (`filesCurrent`); those that are `needed` and cannot be written fail the whole.
 */
export const reconcile = Tracing.fn("Reconciler.reconcile")(function*(
  plane: Plane,
  deadline: number,
  files: "needed" | "tried" = "needed"
): Effect.fn.Return<Reconciled, LinkLost | FileFailure | ConfigInvalid> {
  const routes = yield* plane.store.allRoutes
  const servers = yield* plane.store.allServers
  const exact: Array<Route> = []
  const wild: Array<Route> = []
  for (const route of routes) (isWildcard(route.name) ? wild : exact).push(route)
  const fresh = routes.length === 0 && (yield* plane.store.revision) === 0
  const refused = new Map<string, string>()
  let firstDrift: number | null = null
  let listeners: ReadonlyArray<Listener> | null = null
  for (let round = 1;; round++) {
    const observed = yield* observe(plane, deadline)
    listeners ??= yield* findListeners(plane, observed.node.epoch.pid, deadline)
    // Each takes a while at 100,000 entries: others, and the look at the link, get their turns between.
    const domains = mapDrift("domains", exact, observed.domains, plane.limits)
    yield* Effect.yieldNow
    const wildcards = mapDrift("wildcards", wild, observed.wildcards, plane.limits)
    yield* Effect.yieldNow
    const inMaps = domains.differences + wildcards.differences
    if (fresh && inMaps > 0) return yield* refuseEmpty(inMaps)
    const node: Node = {
      ...observed.node,
      maps: {
        domains: { ...observed.node.maps.domains, foreign: domains.foreign },
        wildcards: { ...observed.node.maps.wildcards, foreign: wildcards.foreign }
      },
      reserved: reservedBy(plane.limits, domains.foreign, wildcards.foreign),
      listeners
    }
    const slots = slotDrift(servers, observed.slots)
    const drift = inMaps + slots.reduce((sum, group) => sum + group.length, 0)
    firstDrift ??= drift
    if (drift === 0 || round > rounds) {
      const lost = homeless(servers, observed.slots)
      const problems = [
        ...(lost.length === 0
          ? []
          : [
            `HAProxy's configuration has no slot for ${lost.length} servers, such as ${poolName(lost[0]!.pool)} slot ${
              lost[0]!.slot
            }`
          ]),
        ...[...domains.shadowed, ...wildcards.shadowed].slice(0, 10).map((key) =>
          `An entry that is not managed here holds the key ${key}`
        ),
        ...[...refused].slice(0, 10).map(([key, text]) => `HAProxy refuses ${key}: ${text}`),
        ...(drift > 0 && refused.size === 0 ? [`${drift} differences come back as often as they are repaired`] : [])
      ]
      // What is not so is refused, whoever is to blame: no acknowledgement may overlook it.
      for (const [kind, found] of [["domains", domains], ["wildcards", wildcards]] as const) {
        const text = refused.get(`map:${kind}`) ?? "HAProxy does not keep it as it was set"
        for (const key of writesOf(found.repairs.flat())) if (!refused.has(key)) refused.set(key, text)
        for (const key of found.shadowed) {
          refused.set(
            `route:${key.startsWith(".") ? `*${key}` : key}`,
            "an entry that is not managed here holds its key"
          )
        }
      }
      for (const key of writesOf(slots.flat())) {
        if (!refused.has(key)) refused.set(key, "HAProxy does not keep it as it was set")
      }
      for (const { pool, slot } of lost) refused.set(slotKey(pool, slot), "HAProxy's configuration has no such slot")
      const written = yield* Effect.result(plane.files.reset({ routes, servers }))
      if (Result.isFailure(written) && files === "needed") return yield* written.failure
      return { node, drift: firstDrift, refused, problems, filesCurrent: Result.isSuccess(written) }
    }
    refused.clear()
    const swaps =
      ([["domains", exact, domains, observed.domains], ["wildcards", wild, wildcards, observed.wildcards]] as const)
        .filter(([, , found, seen]) => needsSwap(found, seen))
    const jobs: Array<ReadonlyArray<Edit>> = [
      ...slots,
      ...(swaps.some(([kind]) => kind === "domains") ? [] : domains.repairs),
      ...(swaps.some(([kind]) => kind === "wildcards") ? [] : wildcards.repairs)
    ]
    const applied = yield* applyJobs(plane.runtime, node, jobs, deadline)
    applied.verdicts.forEach((verdict, index) => {
      if (verdict._tag === "refused") { for (const key of writesOf(jobs[index]!)) refused.set(key, verdict.text) }
    })
    for (const [kind, desired, found, seen] of swaps) {
      const kept = seen.filter((entry) => found.foreign.has(entry.key))
      const all = desired.map(entryOf)
      const ours = found.foreign.size === 0 ? all : all.filter(({ key }) => !found.foreign.has(key))
      yield* replaceMap(plane.runtime, node.maps[kind].path, [...kept, ...ours], { deadline }).pipe(
        Effect.catchTag("HaproxyRefused", (error) => Effect.sync(() => refused.set(`map:${kind}`, error.message)))
      )
    }
  }
})
