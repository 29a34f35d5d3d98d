/** The verbs that write domains: add, remove, clean up wildcards. Lists are in DomainList.ts. */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import { type ControlError, Forbidden, InvalidInput } from "../domain/Errors.ts"
import { poolName } from "../domain/Pool.ts"
import { type DomainName, isWildcard, parentOf, type RouteName, wildcardOf } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { Caller } from "./Caller.ts"
import type { Decide, Draft, Plan, View } from "./Decision.ts"
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
import { nearestTo } from "./Lookup.ts"
import { addNew, confirm, promote, type Wanted } from "./NewDomain.ts"
import { write } from "./PoolAllocator.ts"
import { removeFromPool } from "./Removal.ts"
import type { ProgramServices } from "./Services.ts"

/** The implicit wildcard of a name: only registrable domains have one. */
const impliedWildcard = (limits: Limits["Service"], name: RouteName) =>
  !isWildcard(name) && limits.suffixes.registrable(name) === name ? wildcardOf(name) : null

/**
 * Routes a domain (or `*.domain`) to a pool of its own, or to the pool of `share_with`. A registrable domain
 * brings its wildcard. Repeating it changes nothing; asking for something else than what is there is CONFLICT.
 */
export const addDomain = Tracing.fn("addDomain")(function*(
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
  return yield* write((view) =>
    Effect.map(decide(view), (plan) => ({
      ...plan,
      answer: { ...plan.answer, warnings: [...plan.answer.warnings, ...notes] }
    }))
  )
})

/**
 * Removes a domain and its implicit wildcard. Shares of its pool keep the servers; the oldest becomes the owner.
 * The last domain of a pool clears its slots and frees it. A domain that is not there: nothing to do, said so.
 */
export const removeDomain = Tracing.fn("removeDomain")(function*(
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
  const nearest = yield* nearestTo(store, name)
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
export const cleanupWildcards = Tracing.fn("cleanupWildcards")(function*(
  input: CleanupWildcardsInput
): Effect.fn.Return<CleanupWildcardsAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const caller = yield* Caller
  const dryRun = input.dry_run ?? caller.dryRun === true
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
    // A dry run of the caller's ends after this, with what these would do.
    if (!dryRun || caller.dryRun === true) {
      for (const [pool, routes] of byPool) edits.push(...(yield* removeFromPool(store, pool, routes)).edits)
    }
    const count = leaving.length
    const kept = found.length - count
    const were = dryRun && caller.dryRun !== true ? "would be" : count === 1 ? "was" : "were"
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
