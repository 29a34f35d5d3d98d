/** The verbs that write domains: add, remove, clean up wildcards. Lists are in DomainList.ts. */
import * as Effect from "effect/Effect"
import type { Edit, Route } from "../domain/Change.ts"
import { Conflict, type ControlError, Forbidden, InvalidInput, PoolExhausted } from "../domain/Errors.ts"
import { defaultWeight, poolName, type PoolNumber, type Server, type SlotNumber } from "../domain/Pool.ts"
import { type DomainName, isWildcard, parentOf, type RouteName, wildcardOf } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import type {
  AddDomainAnswer,
  AddDomainInput,
  CleanupWildcardsAnswer,
  CleanupWildcardsInput,
  RemoveDomainAnswer,
  RemoveDomainInput
} from "./DomainShapes.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { poolView, requireRoute, serverItem } from "./Lookup.ts"
import { type Decide, type Plan, type View, write } from "./PoolAllocator.ts"
import { removeFromPool } from "./Removal.ts"
import type { ProgramServices } from "./Services.ts"

/** What a decision answers before it is known under which change and revision. */
type Draft<A> = Omit<A, "changed" | "change_id" | "revision">

/** The implicit wildcard of a name: only registrable domains have one. */
const impliedWildcard = (limits: Limits["Service"], name: RouteName) =>
  !isWildcard(name) && limits.suffixes.registrable(name) === name ? wildcardOf(name) : null

/** The lowest pool that is free in the database and usable in HAProxy. */
const freePool = Effect.fnUntraced(function*(store: Store["Service"], view: View) {
  for (let after = 0;;) {
    const free = yield* store.freePools(after, 64)
    const usable = free.find((pool) => view.usable(pool))
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

/**
 * Routes a domain (or `*.domain`) to a pool of its own, or to the pool of `share_with`. A registrable domain
 * brings its wildcard. Repeating it changes nothing; asking for something else than what is there is CONFLICT.
 */
export const addDomain = Effect.fn("addDomain")(function*(
  input: AddDomainInput
): Effect.fn.Return<AddDomainAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const name = yield* Input.routeName(limits, "domain", input.domain)
  const target = input.share_with === undefined ? null : yield* Input.existingName("share_with", input.share_with)
  if (target !== null && input.ip !== undefined) {
    return yield* new InvalidInput({
      message: "A domain that shares a pool cannot name an ip",
      hint: "Leave out ip, or leave out share_with.",
      field: "ip"
    })
  }
  if (target === name) {
    return yield* new InvalidInput({
      message: `${name} cannot share with itself`,
      hint: "Name another domain in share_with, or leave it out.",
      field: "share_with"
    })
  }
  const server = input.ip === undefined
    ? null
    : yield* Input.endpoint(limits, {
      ip: input.ip,
      ...(input.http_port === undefined ? {} : { http_port: input.http_port })
    })
  // Clients fill in the default, so a port alone is no mistake; one that was meant would be lost without a word.
  if (input.ip === undefined && input.http_port !== undefined) yield* Input.port("http_port", input.http_port)
  const unusedPort = input.ip === undefined && input.http_port !== undefined && input.http_port !== 80
  const notes = unusedPort
    ? [`http_port ${input.http_port} was not used: it belongs to ip; add the server with haproxy_add_server`]
    : []
  const wanted: Wanted = { name, target, server, wildcard: impliedWildcard(limits, name) }
  const decide: Decide<Draft<AddDomainAnswer>> = Effect.fnUntraced(function*(view) {
    if (server !== null) yield* Input.notOwn(view, server)
    const existing = yield* store.route(name)
    if (existing === null) return yield* addNew(store, view, wanted)
    return existing.implicit ? yield* promote(store, view, existing, wanted) : yield* confirm(store, existing, wanted)
  })
  const answer = yield* write(decide)
  return notes.length === 0 ? answer : { ...answer, warnings: [...answer.warnings, ...notes] }
})

interface Wanted {
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

const addNew = Effect.fnUntraced(function*(store: Store["Service"], view: View, wanted: Wanted) {
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
const promote = Effect.fnUntraced(function*(store: Store["Service"], view: View, existing: Route, wanted: Wanted) {
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
})

/** Is it a wildcard in its domain's pool? Adding it without ip and share_with means just that, see {@link promote}. */
const followsParent = Effect.fnUntraced(function*(store: Store["Service"], route: Route) {
  if (!isWildcard(route.name)) return false
  const parent = yield* store.route(parentOf(route.name))
  return parent !== null && parent.pool === route.pool
})

/** The domain is there: fine when it is what was asked for. */
const confirm = Effect.fnUntraced(function*(store: Store["Service"], existing: Route, wanted: Wanted) {
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

/**
 * Removes a domain and its implicit wildcard. Shares of its pool keep the servers; the oldest becomes the owner.
 * The last domain of a pool clears its slots and frees it. A domain that is not there: nothing to do, said so.
 */
export const removeDomain = Effect.fn("removeDomain")(function*(
  input: RemoveDomainInput
): Effect.fn.Return<RemoveDomainAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const name = yield* Input.existingName("domain", input.domain)
  const decide: Decide<Draft<RemoveDomainAnswer>> = Effect.fnUntraced(function*(view) {
    const route = yield* store.route(name)
    if (route === null) return yield* nothingToRemove(store, view, name)
    const wildcard = isWildcard(name) ? null : yield* store.route(wildcardOf(name))
    const implied = wildcard !== null && wildcard.implicit ? wildcard : null
    const leaving = implied !== null && implied.pool === route.pool ? [route, implied] : [route]
    const { edits, freed, newOwner } = yield* removeFromPool(store, route.pool, leaving)
    const summary = `${name} is no longer routed${
      freed
        ? `; ${poolName(route.pool)} is free`
        : newOwner === null
        ? ""
        : `; ${newOwner} owns ${poolName(route.pool)} now`
    }`
    return {
      edits,
      reads: [`pool:${route.pool}`],
      summary,
      answer: {
        summary,
        domain: name,
        wildcard: implied?.name ?? null,
        backend: poolName(route.pool),
        pool_freed: freed,
        new_owner: newOwner,
        warnings: []
      }
    }
  })
  return yield* write(decide)
})

const nothingToRemove = Effect.fnUntraced(function*(store: Store["Service"], view: View, name: RouteName) {
  if ((yield* view.foreign(name)) !== null) {
    return yield* new Forbidden({
      message: `${name} is routed by an entry that is not managed here`,
      hint: "Remove it where it was made: in the map file and in HAProxy.",
      field: "domain"
    })
  }
  const nearest = yield* store.nearestRoutes(name, 5)
  const plan: Plan<Draft<RemoveDomainAnswer>> = {
    edits: [],
    reads: [`route:${name}`],
    summary: `${name} is not routed here; nothing to remove`,
    answer: {
      summary: `${name} is not routed here; nothing to remove`,
      domain: name,
      wildcard: null,
      backend: null,
      pool_freed: false,
      new_owner: null,
      warnings: nearest.length === 0 ? [] : [`Names that exist and look alike: ${nearest.join(", ")}`]
    }
  }
  return plan
})

/** Removes implicit wildcards that belong to subdomains (`*.www.example.com`); explicit ones stay and are listed. */
export const cleanupWildcards = Effect.fn("cleanupWildcards")(function*(
  input: CleanupWildcardsInput
): Effect.fn.Return<CleanupWildcardsAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const dryRun = input.dry_run ?? false
  const ofSubdomain = (name: RouteName): boolean => {
    if (!isWildcard(name)) return false
    const parent: DomainName = parentOf(name)
    return limits.suffixes.registrable(parent) !== parent
  }
  const decide: Decide<Draft<CleanupWildcardsAnswer>> = Effect.fnUntraced(function*() {
    const found = (yield* store.allRoutes).filter((route) => ofSubdomain(route.name))
    const leaving = found.filter((route) => route.implicit)
    const byPool = Map.groupBy(leaving, (route) => route.pool)
    const edits: Array<Edit> = []
    if (!dryRun) {
      for (const [pool, routes] of byPool) edits.push(...(yield* removeFromPool(store, pool, routes)).edits)
    }
    const count = leaving.length
    const kept = found.length - count
    const were = dryRun ? "would be" : count === 1 ? "was" : "were"
    const summary = (count === 0
      ? "No wildcard of a subdomain is to be removed"
      : `${count} wildcard${count === 1 ? "" : "s"} of subdomains ${were} removed`)
      + (kept === 0 ? "" : `; ${kept} that someone added ${kept === 1 ? "stays" : "stay"}`)
    return {
      edits,
      reads: [...byPool.keys()].map((pool) => `pool:${pool}`),
      summary,
      answer: {
        summary,
        dry_run: dryRun,
        removed: leaving.slice(0, 100).map((route) => route.name),
        removed_count: count,
        kept_explicit: found.filter((route) => !route.implicit).slice(0, 100).map((route) => route.name),
        warnings: []
      }
    }
  })
  return yield* write(decide)
})
