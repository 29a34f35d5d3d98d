/**
 * Where the rows of an import go, given what is there: the edits, or what is wrong with a row. Owners come first, so
 * that a share may stand before its owner in the file; a share of a share gets its owner's pool. A domain that is there
 * already must be as its row says. Nothing is written here.
 */
import { formatEndpoint } from "../../domain/Address.ts"
import type { Edit, Route } from "../../domain/Change.ts"
import { poolName, type PoolNumber, type Server, slotName, type SlotNumber } from "../../domain/Pool.ts"
import { isWildcard, parentOf, type RouteName, type WildcardName, wildcardOf } from "../../domain/RouteName.ts"
import type { View } from "../Decision.ts"
import type { Limits } from "../Limits.ts"
import type { Row, RowServer } from "./Row.ts"
import type { Problem } from "./Shapes.ts"
import type { State } from "./State.ts"

/** What a good row asks for, without its age. */
interface NewRoute {
  readonly name: RouteName
  readonly pool: PoolNumber
  readonly implicit: boolean
  /** The implicit wildcard that is there and becomes explicit. */
  readonly before: Route | null
}

interface Refusal {
  readonly field: string
  readonly message: string
  readonly hint: string
}

const refusal = (field: string, message: string, hint: string): Refusal => ({ field, message, hint })

/** The pool of a row, or why it has none. */
type Placed = PoolNumber | Refusal

export class Placement {
  readonly problems: Array<Problem> = []
  readonly routes: Array<NewRoute> = []
  /** Owners and servers of new pools. */
  readonly edits: Array<Edit> = []
  /** Pools and routes that are read. */
  readonly reads = new Set<string>()
  readonly warnings: Array<string> = []
  unchanged = 0
  pools = 0
  servers = 0
  wildcards = 0
  private readonly placed = new Map<RouteName, Placed>()
  private readonly wanted = new Map<PoolNumber, Row>()
  private readonly freePools: ReadonlySet<PoolNumber>
  private nextFree = 0
  private kept = 0
  private firstKept: WildcardName | null = null
  private readonly rows: ReadonlyMap<RouteName, Row>
  private readonly bad: ReadonlyMap<RouteName, number>
  private readonly state: State
  private readonly view: View
  private readonly limits: Limits["Service"]
  /** The foreign value under a name's key; the caller asks for it, because that is an effect. */
  private readonly foreign: ReadonlySet<RouteName>

  constructor(options: {
    readonly rows: ReadonlyMap<RouteName, Row>
    readonly bad: ReadonlyMap<RouteName, number>
    readonly state: State
    readonly view: View
    readonly limits: Limits["Service"]
    readonly foreign: ReadonlySet<RouteName>
  }) {
    this.rows = options.rows
    this.bad = options.bad
    this.state = options.state
    this.view = options.view
    this.limits = options.limits
    this.foreign = options.foreign
    this.freePools = new Set(options.state.free)
  }

  /** Reserves the pools that rows name, before others take any free one. */
  reserve(): void {
    for (const row of this.rows.values()) {
      if (row.pool !== null && !this.wanted.has(row.pool)) this.wanted.set(row.pool, row)
    }
  }

  /** Places a row, and first those whose pool it shares. */
  place(row: Row): void {
    const chain = new Set<Row>()
    let at: Row | undefined = row
    for (; at !== undefined && !this.placed.has(at.name) && !chain.has(at);) {
      chain.add(at)
      at = at.sharesWith === null ? undefined : this.rows.get(at.sharesWith)
    }
    if (at !== undefined && chain.has(at)) {
      const all = [...chain]
      for (const each of all.slice(all.indexOf(at))) {
        this.settle(each, refusal("shares_with", `${each.name} shares with itself through others`, "Name an owner."))
        chain.delete(each)
      }
    }
    for (const at of [...chain].toReversed()) {
      this.settle(at, at.sharesWith === null ? this.placeOwner(at) : this.placeShare(at, at.sharesWith))
    }
  }

  /** Adds the implicit wildcard of a row that was placed. */
  addWildcard(row: Row): void {
    const pool = this.placed.get(row.name)
    if (typeof pool !== "number" || isWildcard(row.name)) return
    const isNew = !this.state.routes.has(row.name)
    const name = wildcardOf(row.name)
    const there = this.state.routes.get(name)
    if (!(row.wildcard ?? (isNew && row.registrable)) || this.rows.has(name) || this.bad.has(name)) return
    if (there !== undefined || this.foreign.has(name)) {
      if (!isNew) return
      this.kept++
      this.firstKept ??= name
      return
    }
    this.wildcards++
    this.routes.push({ name, pool, implicit: true, before: null })
  }

  /** What an operator should know. */
  notes(): ReadonlyArray<string> {
    return this.kept === 0
      ? this.warnings
      : [...this.warnings, `${this.kept} wildcards were there already and keep their routes, such as ${this.firstKept}`]
  }

  private settle(row: Row, placed: Placed): void {
    this.placed.set(row.name, placed)
    if (typeof placed !== "number") this.problems.push({ line: row.line, ...placed })
  }

  private placeShare(row: Row, target: RouteName): Placed {
    const through = this.placed.get(target)
    if (through !== undefined && typeof through !== "number") {
      return refusal("shares_with", `shares_with ${target} is itself refused`, `Correct line ${this.lineOf(target)}.`)
    }
    const line = this.bad.get(target)
    if (through === undefined && line !== undefined) {
      return refusal("shares_with", `shares_with ${target} is itself refused`, `Correct line ${line}.`)
    }
    const pool = through ?? this.state.routes.get(target)?.pool
    if (pool === undefined) {
      return refusal(
        "shares_with",
        `shares_with ${target} is neither in the file nor routed here`,
        "Add a row for it, or name a domain that exists."
      )
    }
    const existing = this.state.routes.get(row.name)
    if (existing !== undefined && !existing.implicit) {
      const owner = this.state.owners.get(existing.pool)
      if (existing.pool === pool && owner !== row.name) return this.same(row, pool)
      return refusal(
        "shares_with",
        `${row.name} is routed to ${poolName(existing.pool)} already${owner === row.name ? ", which it owns" : ""}`,
        "Remove the domain first, or write what is there."
      )
    }
    if (through === undefined) this.reads.add(`route:${target}`)
    this.reads.add(`pool:${pool}`)
    return this.come(row, pool, existing ?? null)
  }

  private placeOwner(row: Row): Placed {
    const existing = this.state.routes.get(row.name)
    if (existing === undefined) return this.takePool(row, null)
    if (existing.implicit) {
      if (row.servers.length > 0 || row.pool !== null) return this.takePool(row, existing)
      this.reads.add(`pool:${existing.pool}`)
      return this.come(row, existing.pool, existing)
    }
    const owner = this.state.owners.get(existing.pool)
    if (owner !== row.name && !this.followsParent(row, existing)) {
      return refusal(
        "domain",
        `${row.name} shares ${poolName(existing.pool)} with ${owner}`,
        `Write ${owner} in shares_with.`
      )
    }
    if (row.pool !== null && row.pool !== existing.pool) {
      return refusal(
        "pool",
        `${row.name} is in ${poolName(existing.pool)} already`,
        "Leave pool empty, or write that one."
      )
    }
    return row.servers.length === 0 || this.sameServers(row.servers, this.state.servers.get(existing.pool) ?? [])
      ? this.same(row, existing.pool)
      : refusal(
        "servers",
        `${row.name} exists and has other servers`,
        "Change its servers one by one, or leave servers empty."
      )
  }

  /** An explicit wildcard in its domain's pool, as a bare row leaves it. */
  private followsParent(row: Row, existing: Route): boolean {
    return isWildcard(row.name) && row.servers.length === 0 && row.pool === null
      && this.state.routes.get(parentOf(row.name))?.pool === existing.pool
  }

  private sameServers(wanted: ReadonlyArray<RowServer>, there: ReadonlyArray<Server>): boolean {
    return wanted.length === there.length &&
      wanted.every((one) =>
        there.some((other) =>
          one.ip === other.ip && one.port === other.port && one.weight === other.weight && one.state === other.state
          && (one.slot === null || one.slot === other.slot)
        )
      )
  }

  private same(row: Row, pool: PoolNumber): PoolNumber {
    this.unchanged++
    this.reads.add(`route:${row.name}`)
    return pool
  }

  private come(row: Row, pool: PoolNumber, before: Route | null): Placed {
    if (before === null && this.foreign.has(row.name)) {
      return refusal(
        "domain",
        `${row.name} is routed by an entry that is not managed here`,
        "Remove that entry from the map file and from HAProxy first."
      )
    }
    this.routes.push({ name: row.name, pool, implicit: false, before })
    return pool
  }

  private takePool(row: Row, before: Route | null): Placed {
    for (const [index, { ip, port }] of row.servers.entries()) {
      const listener = this.view.ownListener(ip, port)
      if (listener !== null) {
        return refusal(
          `servers[${index}].ip`,
          `${formatEndpoint(ip, port)} is ${listener}, so traffic would run in a circle`,
          "Name the address and port of the server behind HAProxy."
        )
      }
    }
    const pool = row.pool === null ? this.anyPool() : this.namedPool(row, row.pool)
    if (typeof pool !== "number") return pool
    const servers = this.slotted(row.servers, pool)
    if ("hint" in servers) return servers
    const came = this.come(row, pool, before)
    if (typeof came !== "number") return came
    this.edits.push({ kind: "owner", pool, before: null, after: row.name })
    for (const after of servers) this.edits.push({ kind: "server", pool, slot: after.slot, before: null, after })
    this.pools++
    this.servers += servers.length
    return pool
  }

  private anyPool(): Placed {
    for (; this.nextFree < this.state.free.length; this.nextFree++) {
      const pool = this.state.free[this.nextFree]!
      if (this.wanted.has(pool) || !this.view.usable(pool) || this.view.reserved(pool)) continue
      this.nextFree++
      return pool
    }
    return refusal(
      "domain",
      "Every pool that HAProxy has is in use, so none is left for this one",
      "Let domains share pools (shares_with), or declare more pools (HAPROXY_POOL_COUNT) and reload HAProxy."
    )
  }

  private namedPool(row: Row, pool: PoolNumber): Placed {
    const first = this.wanted.get(pool)
    if (first !== undefined && first !== row) {
      return refusal(
        "pool",
        `${poolName(pool)} is asked for on line ${first.line} already`,
        "Leave pool empty for any free one."
      )
    }
    if (!this.freePools.has(pool)) {
      const owner = this.state.owners.get(pool)
      return refusal(
        "pool",
        `${poolName(pool)} is in use${owner === undefined ? "" : ` by ${owner}`}`,
        "Leave pool empty for any free one, or share with its owner."
      )
    }
    if (this.view.reserved(pool)) {
      return refusal(
        "pool",
        `An entry that is not managed here leads to ${poolName(pool)}`,
        "Leave pool empty for any free one."
      )
    }
    return this.view.usable(pool)
      ? pool
      : refusal("pool", `HAProxy has no ${poolName(pool)}`, "Leave pool empty, or declare it and reload HAProxy.")
  }

  /** The servers in their slots: those named, then the first free ones. */
  private slotted(servers: ReadonlyArray<RowServer>, pool: PoolNumber): ReadonlyArray<Server> | Refusal {
    const taken = new Set(servers.map((server) => server.slot))
    const placed: Array<Server> = []
    let next = 1
    for (const server of servers) {
      let slot = server.slot
      if (slot === null) {
        while (
          next <= this.limits.pools.slots &&
          (taken.has(next as SlotNumber) || !this.view.usable(pool, next as SlotNumber))
        ) {
          next++
        }
        slot = next++ as SlotNumber
      }
      if (slot > this.limits.pools.slots || !this.view.usable(pool, slot)) {
        return refusal(
          "servers",
          `HAProxy's configuration has no server ${slotName(pool, slot)}`,
          "Declare it and reload HAProxy."
        )
      }
      placed.push({ ...server, pool, slot })
    }
    return placed
  }

  private lineOf(name: RouteName): number {
    return this.rows.get(name)?.line ?? this.bad.get(name) ?? 0
  }
}
