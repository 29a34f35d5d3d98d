/**
 * What adding a domain decides, by what is there already: a new route, an implicit wildcard that is now wanted
 * explicitly, or the very same route (then nothing is to be done) or another one (CONFLICT).
 */
import * as Effect from "effect/Effect"
import type { Edit, Route } from "../domain/Change.ts"
import { Conflict, PoolExhausted } from "../domain/Errors.ts"
import { defaultWeight, poolName, type PoolNumber, type Server, type SlotNumber } from "../domain/Pool.ts"
import { isWildcard, parentOf, type RouteName } from "../domain/RouteName.ts"
import type { Store } from "../store/Store.ts"
import type { Draft, Plan, View } from "./Decision.ts"
import type { AddDomainAnswer } from "./DomainShapes.ts"
import { poolView, requireRoute, serverItem } from "./Lookup.ts"

/** The lowest pool that is free in the database and usable in HAProxy. */
const freePool = Effect.fnUntraced(function*(store: Store["Service"], view: View) {
  for (let after = 0;;) {
    const free = yield* store.freePools(after, 64)
    const usable = free.find((pool) => view.usable(pool) && !view.reserved(pool))
    if (usable !== undefined) return usable
    if (free.length < 64) {
      return yield* new PoolExhausted({
        message: "Every pool that HAProxy has is in use",
        hint:
          "Let domains share pools (share_with), remove one, or declare more pools (HAPROXY_POOL_COUNT) and reload HAProxy."
      })
    }
    after = free[free.length - 1]!
  }
})

const refuseForeign = Effect.fnUntraced(function*(view: View, name: RouteName) {
  const value = yield* view.foreign(name)
  if (value !== null) {
    return yield* new Conflict({
      message: `${name} is routed by an entry that is not managed here`,
      hint: "Remove that entry from the map file and from HAProxy first, then add the domain.",
      field: "domain"
    })
  }
})

/** What a caller of addDomain asks for, checked. */
export interface Wanted {
  readonly name: RouteName
  readonly target: RouteName | null
  readonly server: { readonly ip: Server["ip"]; readonly port: Server["port"] } | null
  readonly wildcard: RouteName | null
}

const firstServer = (pool: PoolNumber, server: NonNullable<Wanted["server"]>): Server => ({
  pool,
  slot: 1 as SlotNumber,
  ...server,
  weight: defaultWeight,
  state: "ready"
})

/** A pool of its own, with the first server if one was named. */
const takePool = Effect.fnUntraced(function*(store: Store["Service"], view: View, wanted: Wanted) {
  const pool = yield* freePool(store, view)
  const servers = wanted.server === null ? [] : [firstServer(pool, wanted.server)]
  const edits: Array<Edit> = [{ kind: "owner", pool, before: null, after: wanted.name }]
  for (const after of servers) edits.push({ kind: "server", pool, slot: after.slot, before: null, after })
  return { pool, servers, edits, owner: wanted.name }
})

/** The pool of the domain to share with, through its owner. */
const sharePool = Effect.fnUntraced(function*(store: Store["Service"], target: RouteName) {
  const route = yield* requireRoute(store, "share_with", target)
  const { owner, servers } = yield* poolView(store, route)
  return { pool: route.pool, servers, edits: [] as Array<Edit>, owner }
})

const describe = (wanted: Wanted, pool: PoolNumber, owner: RouteName, servers: ReadonlyArray<Server>) =>
  owner !== wanted.name
    ? `${wanted.name} is routed to ${poolName(pool)}, shared with ${owner}`
    : servers.length === 0
    ? `${wanted.name} is routed to ${poolName(pool)}, which has no servers yet: add one with haproxy_add_server`
    : `${wanted.name} is routed to ${poolName(pool)} with ${servers.length} server${servers.length === 1 ? "" : "s"}`

export const addNew = Effect.fnUntraced(function*(store: Store["Service"], view: View, wanted: Wanted) {
  const { name, wildcard } = wanted
  yield* refuseForeign(view, name)
  const { edits, owner, pool, servers } = wanted.target === null
    ? yield* takePool(store, view, wanted)
    : yield* sharePool(store, wanted.target)
  const warnings: Array<string> = []
  const seq = yield* store.nextSeq
  edits.push({ kind: "route", name, before: null, after: { name, pool, implicit: false, seq } })
  let added: RouteName | null = null
  if (wildcard !== null) {
    const other = yield* store.route(wildcard)
    const foreign = yield* view.foreign(wildcard)
    if (other === null && foreign === null) {
      added = wildcard
      edits.push({
        kind: "route",
        name: wildcard,
        before: null,
        after: { name: wildcard, pool, implicit: true, seq: seq + 1 }
      })
    } else warnings.push(`${wildcard} was there already and keeps its own route`)
  }
  const plan: Plan<Draft<AddDomainAnswer>> = {
    edits,
    reads: [`pool:${pool}`, ...(wanted.target === null ? [] : [`route:${wanted.target}`])],
    summary: describe(wanted, pool, owner, servers),
    answer: {
      summary: describe(wanted, pool, owner, servers),
      domain: name,
      backend: poolName(pool),
      shares_with: owner === name ? null : owner,
      wildcard: added,
      servers: servers.map(serverItem),
      warnings
    }
  }
  return plan
})

/** An implicit wildcard that someone now adds explicitly: it stays, or moves to the pool that was asked for. */
export const promote = Effect.fnUntraced(
  function*(store: Store["Service"], view: View, existing: Route, wanted: Wanted) {
    const { edits, owner, pool, servers } = wanted.server !== null
      ? yield* takePool(store, view, wanted)
      : yield* sharePool(store, wanted.target ?? parentOf(existing.name as Parameters<typeof parentOf>[0]))
    edits.push({ kind: "route", name: existing.name, before: existing, after: { ...existing, pool, implicit: false } })
    const summary = `${describe(wanted, pool, owner, servers)}; it no longer follows its domain`
    const plan: Plan<Draft<AddDomainAnswer>> = {
      edits,
      reads: [`pool:${pool}`, `pool:${existing.pool}`, ...(wanted.target === null ? [] : [`route:${wanted.target}`])],
      summary,
      answer: {
        summary,
        domain: wanted.name,
        backend: poolName(pool),
        shares_with: owner === wanted.name ? null : owner,
        wildcard: null,
        servers: servers.map(serverItem),
        warnings: []
      }
    }
    return plan
  }
)

/** Is it a wildcard in its domain's pool? Adding it without ip and share_with means just that, see {@link promote}. */
const followsParent = Effect.fnUntraced(function*(store: Store["Service"], route: Route) {
  if (!isWildcard(route.name)) return false
  const parent = yield* store.route(parentOf(route.name))
  return parent !== null && parent.pool === route.pool
})

/** The domain is there: fine when it is what was asked for. */
export const confirm = Effect.fnUntraced(function*(store: Store["Service"], existing: Route, wanted: Wanted) {
  const { backend, owner, servers, sharesWith } = yield* poolView(store, existing)
  const conflict = (message: string, hint: string, field: string) => new Conflict({ message, hint, field })
  if (wanted.target !== null) {
    const target = yield* requireRoute(store, "share_with", wanted.target)
    if (target.pool !== existing.pool || sharesWith === null) {
      return yield* conflict(
        `${existing.name} is routed to ${backend} already`,
        "Remove the domain first, then add it with share_with.",
        "share_with"
      )
    }
  } else if (sharesWith !== null && !(wanted.server === null && (yield* followsParent(store, existing)))) {
    return yield* conflict(
      `${existing.name} shares ${backend} with ${sharesWith}`,
      `Name share_with: ${sharesWith} to keep it so, or remove the domain first to give it a pool of its own.`,
      "domain"
    )
  } else if (wanted.server !== null) {
    const { ip, port } = wanted.server
    if (!servers.some((server) => server.ip === ip && server.port === port)) {
      return yield* conflict(
        `${existing.name} exists and has other servers`,
        "Add the server with haproxy_add_server; list what is there with haproxy_list_servers.",
        "ip"
      )
    }
  }
  const wildcard = wanted.wildcard === null ? null : yield* store.route(wanted.wildcard)
  const summary = `${describe(wanted, existing.pool, owner, servers)} already`
  const plan: Plan<Draft<AddDomainAnswer>> = {
    edits: [],
    reads: [`route:${existing.name}`, `pool:${existing.pool}`],
    summary,
    answer: {
      summary,
      domain: existing.name,
      backend,
      shares_with: sharesWith,
      wildcard: wildcard?.implicit === true ? wildcard.name : null,
      servers: servers.map(serverItem),
      warnings: []
    }
  }
  return plan
})
