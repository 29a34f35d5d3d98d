/**
 * Decides what becomes of the predecessor's state: sources in, edits and a report out. Pure.
 *
 * The rules, each of them told in the report where it decides something:
 * - The map files say which names are routed and where, because HAProxy serves by them; the database adds the names
 *   that the maps lack. Of two entries of one key the first counts, as in HAProxy.
 * - An entry that does not lead to one of our pools is foreign. A name that our rules refuse stays as it is too, and
 *   its pool keeps its servers and is nobody else's.
 * - The first domain of a pool that has servers of its own is the owner, the others share. Age is the order of the
 *   database, then of the map.
 * - A wildcard over a registrable domain of the same pool came with it; every other one was wanted for itself.
 * Which servers are taken: MigrationServers.ts.
 */
import * as Result from "effect/Result"
import type { Edit, Route } from "../domain/Change.ts"
import type { LegacyDatabase, LegacyEntry, LegacyServer } from "../domain/Legacy.ts"
import type { MapTextKind } from "../domain/MapText.ts"
import { ownPool, type PoolLimits, poolName, type PoolNumber } from "../domain/Pool.ts"
import { type DomainName, fromMapKey, isWildcard, mapKey, parentOf, type RouteName } from "../domain/RouteName.ts"
import type { MigrationReport, Note } from "./MigrationReport.ts"
import { type AcceptServer, placeServers } from "./MigrationServers.ts"

/** Where everything comes from. */
export interface MigrationSources {
  readonly domains: { readonly file: string; readonly entries: ReadonlyArray<LegacyEntry> }
  readonly wildcards: { readonly file: string; readonly entries: ReadonlyArray<LegacyEntry> }
  readonly database: LegacyDatabase | null
  /** Of the database, or of servers.json where there is none. */
  readonly servers: { readonly file: string; readonly found: ReadonlyArray<LegacyServer> }
}

/** The rules of this installation. */
export interface MigrationRules {
  readonly limits: PoolLimits
  readonly isRegistrable: (name: DomainName) => boolean
  readonly accept: AcceptServer
}

/** What is to be written, and told. */
export interface MigrationPlan {
  readonly edits: ReadonlyArray<Edit>
  /** Without the certificates, which MigrationCertificates.ts judges. */
  readonly report: Omit<MigrationReport, "sources" | "taken"> & {
    readonly taken: Omit<MigrationReport["taken"], "certificates">
  }
}

/** Why a map value is none of our pools. */
export const whyForeign = (value: string, limits: PoolLimits): string =>
  value === ""
    ? "it leads nowhere: it has no value"
    : /^pool_[1-9]\d*$/.test(value)
    ? `it leads to ${value}, and HAPROXY_POOL_COUNT is ${limits.pools}`
    : `it leads to ${value}, which is none of our pools`

/** Why a key that leads to one of our pools is not a name that its map may hold. */
export const whyRefused = (kind: MapTextKind, key: string): string => {
  const name = fromMapKey(key)
  if (Result.isFailure(name)) return `the name ${name.failure.rule}`
  if (isWildcard(name.success) !== (kind === "wildcards")) {
    return kind === "domains" ? "a wildcard belongs into wildcards.map" : "an exact name belongs into domains.map"
  }
  return `the name is not written as ${mapKey(name.success)}`
}

/** The name of a key that this map may hold; the same rule as in MapText.ts. */
const ownName = (kind: MapTextKind, key: string): RouteName | null => {
  const name = fromMapKey(key)
  return Result.isSuccess(name) && mapKey(name.success) === key && isWildcard(name.success) === (kind === "wildcards")
    ? name.success
    : null
}

/** The names, and what was decided about them. */
class Names {
  readonly pools = new Map<RouteName, PoolNumber>()
  /** Every key of the sources that leads to one of our pools, refused ones too: servers are kept under it. */
  readonly poolOf = new Map<string, PoolNumber>()
  /** Pools that only refused entries lead to must keep their servers. */
  readonly reserved = new Set<PoolNumber>()
  readonly sharing = new Set<RouteName>()
  readonly foreign: Array<Note> = []
  readonly refused: Array<Note> = []
  readonly left: Array<Note> = []
  readonly decided: Array<Note> = []
  readonly #rules: MigrationRules
  readonly #held = new Set<string>()

  constructor(rules: MigrationRules) {
    this.#rules = rules
  }

  takeMap(kind: MapTextKind, from: string, entries: ReadonlyArray<LegacyEntry>): void {
    const { limits } = this.#rules
    const first = new Map<string, string>()
    for (const { key, value } of entries) {
      const before = first.get(key)
      const pool = ownPool(value, limits)
      const name = pool === null ? null : ownName(kind, key)
      const own = name !== null
      if (before === undefined) first.set(key, value)
      if (pool === null) this.foreign.push({ what: key, from, why: whyForeign(value, limits) })
      else if (name === null) {
        this.refused.push({ what: key, from, why: `${whyRefused(kind, key)}; it leads to ${value}` })
        this.reserved.add(pool)
        if (!this.poolOf.has(key)) this.poolOf.set(key, pool)
      } else if (before === undefined) {
        this.pools.set(name, pool)
        this.poolOf.set(name, pool)
      } else {
        const why = `an entry before it leads to ${before}: this one (${value}) never had an effect`
        this.left.push({ what: key, from, why })
      }
      if (!own && before === undefined) this.#held.add(`${kind} ${key}`)
    }
  }

  takeDatabase({ file: from, routes }: LegacyDatabase): void {
    const { limits } = this.#rules
    for (const { name: what, pool: value, sharesWith } of routes) {
      const parsed = fromMapKey(what)
      const pool = ownPool(value, limits)
      if (Result.isFailure(parsed)) this.left.push({ what, from, why: `the name ${parsed.failure.rule}` })
      else if (pool === null) {
        if (!this.pools.has(parsed.success)) this.left.push({ what, from, why: whyForeign(value, limits) })
      } else {
        const name = parsed.success
        const map = isWildcard(name) ? "wildcards" : "domains"
        const there = this.pools.get(name)
        if (sharesWith !== null) this.sharing.add(name)
        if (there !== undefined) {
          if (there !== pool) {
            const why = `its map leads to ${poolName(there)}, the database to ${value}: the map counts`
            this.decided.push({ what: name, from, why })
          }
        } else if (this.#held.has(`${map} ${mapKey(name)}`)) {
          this.left.push({ what: name, from, why: "an entry that is not ours holds this name in the map" })
        } else {
          this.pools.set(name, pool)
          this.poolOf.set(name, pool)
          this.poolOf.set(what, pool)
          this.decided.push({ what: name, from, why: `it stands in no map: it is routed to ${value} from now on` })
        }
      }
    }
  }

  /** Oldest first, exact names before wildcards. */
  inOrder(database: LegacyDatabase | null): ReadonlyArray<RouteName> {
    const order = new Set<RouteName>()
    for (const { name } of database?.routes ?? []) {
      const parsed = fromMapKey(name)
      if (Result.isSuccess(parsed) && this.pools.has(parsed.success)) order.add(parsed.success)
    }
    for (const name of this.pools.keys()) order.add(name)
    const names = [...order]
    return [...names.filter((name) => !isWildcard(name)), ...names.filter(isWildcard)]
  }
}

/** Makes the plan. Ages begin at `firstSeq`. */
export const planMigration = (sources: MigrationSources, rules: MigrationRules, firstSeq: number): MigrationPlan => {
  const names = new Names(rules)
  names.takeMap("domains", sources.domains.file, sources.domains.entries)
  names.takeMap("wildcards", sources.wildcards.file, sources.wildcards.entries)
  if (sources.database !== null) names.takeDatabase(sources.database)
  const order = names.inOrder(sources.database)

  const rich = new Set(sources.servers.found.map((server) => server.of))
  const owners = new Map<PoolNumber, RouteName>()
  const claim = (isFit: (name: RouteName) => boolean) => {
    for (const name of order) {
      const pool = names.pools.get(name)!
      if (!owners.has(pool) && isFit(name)) owners.set(pool, name)
    }
  }
  claim((name) => !isWildcard(name) && !names.sharing.has(name) && rich.has(name))
  claim((name) => !isWildcard(name) && !names.sharing.has(name))
  claim(() => true)

  const isImplicit = (name: RouteName): boolean => {
    if (!isWildcard(name)) return false
    const parent = parentOf(name)
    return names.pools.get(parent) === names.pools.get(name) && rules.isRegistrable(parent)
  }
  const routes = order.map((name, index): Route => ({
    name,
    pool: names.pools.get(name)!,
    implicit: isImplicit(name),
    seq: firstSeq + index
  }))
  // Where an owner and a share of its pool name the same slot, the owner's server counts.
  const { file, found } = sources.servers
  const owning = new Set<string>(owners.values())
  const ordered = [...found.filter(({ of }) => owning.has(of)), ...found.filter(({ of }) => !owning.has(of))]
  const servers = placeServers({ file, found: ordered }, rules, {
    poolOf: (of) => names.poolOf.get(of) ?? names.poolOf.get(of.toLowerCase()) ?? ownPool(of, rules.limits),
    isUsed: (pool) => owners.has(pool) || names.reserved.has(pool)
  })
  const wildcards = order.filter(isWildcard).length
  return {
    edits: [
      ...[...owners].map(([pool, after]): Edit => ({ kind: "owner", pool, before: null, after })),
      ...routes.map((after): Edit => ({ kind: "route", name: after.name, before: null, after })),
      ...servers.taken.map((after): Edit => ({
        kind: "server",
        pool: after.pool,
        slot: after.slot,
        before: null,
        after
      }))
    ],
    report: {
      taken: {
        domains: order.length - wildcards,
        wildcards,
        pools: owners.size,
        servers: servers.taken.length
      },
      foreign: names.foreign,
      refused: names.refused,
      left: [...names.left, ...servers.left],
      decided: names.decided
    }
  }
}
