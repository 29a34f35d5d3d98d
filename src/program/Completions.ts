/**
 * What a client may offer while somebody types a name: domains, pools, revisions that begin so and that the caller may
 * see, in order. Ranges of keys, never all rows: as cheap with 100,000 domains as with ten.
 */
import * as Effect from "effect/Effect"
import type { StorageFailed } from "../domain/Errors.ts"
import { poolName, type PoolNumber } from "../domain/Pool.ts"
import { covers } from "../domain/Principal.ts"
import type { RouteName } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import { Limits } from "./Limits.ts"
import { callersDomains } from "./Reach.ts"
import type { ProgramServices } from "./Services.ts"

/** Values of one answer; the protocol allows no more (MCP, completion/complete). */
const most = 100
/** Pools, and names, that are looked at in one piece. */
const piece = 500
/** Names that are looked at for a caller that is limited to `*.example.com`: no key leads to these. */
const mostNames = 20_000

export interface CompletionAnswer {
  /** At most 100. */
  readonly values: ReadonlyArray<string>
  /** More begin so. */
  readonly more: boolean
}

export interface CompletionInput {
  /** What has been typed. */
  readonly prefix: string
}

const answer = (found: ReadonlyArray<string>): CompletionAnswer => ({
  values: found.slice(0, most),
  more: found.length > most
})

const nothing = answer([])

/**
 * Names of a caller that is limited to some. What it has by name is looked up; what lies below `*.example.com` is found by
 * a walk through the names that begin so, in pieces with turns for others, and not without end.
 */
const ownDomains = Effect.fnUntraced(function*(
  prefix: string,
  domains: ReadonlyArray<string>
): Effect.fn.Return<CompletionAnswer, StorageFailed, ProgramServices> {
  const store = yield* Store
  const found = new Set<string>()
  const includeWildcards = prefix.startsWith("*")
  for (const domain of domains) {
    if (domain.startsWith("*") !== includeWildcards) continue
    if (domain.startsWith(prefix) && (yield* store.route(domain as RouteName)) !== null) found.add(domain)
  }
  const below = domains.filter((domain) => domain.startsWith("*."))
  let after: RouteName | undefined
  let looked = 0
  let unseen = below.length > 0
  while (unseen && found.size <= most && looked < mostNames) {
    const routes = yield* store.routes({
      prefix,
      includeWildcards,
      limit: piece,
      ...(after === undefined ? {} : { after })
    })
    for (const { name } of routes) if (covers(below, name)) found.add(name)
    looked += routes.length
    after = routes.at(-1)?.name
    unseen = routes.length === piece
    yield* Effect.yieldNow
  }
  const { more, values } = answer([...found].sort())
  return { values, more: more || unseen }
})

/** Domains by name; wildcards once `*` has been typed. */
export const completeDomains = Effect.fnUntraced(function*(
  input: CompletionInput
): Effect.fn.Return<CompletionAnswer, StorageFailed, ProgramServices> {
  const prefix = input.prefix.trim().toLowerCase()
  if (!/^[a-z0-9*._-]{0,253}$/.test(prefix)) return nothing
  const domains = yield* callersDomains
  if (domains !== null) return yield* ownDomains(prefix, domains)
  const routes = yield* (yield* Store).routes({ prefix, includeWildcards: prefix.startsWith("*"), limit: most + 1 })
  return answer(routes.map(({ name }) => name))
})

/** Pools in use, by number. */
export const completePools = Effect.fnUntraced(function*(
  input: CompletionInput
): Effect.fn.Return<CompletionAnswer, StorageFailed, ProgramServices> {
  const store = yield* Store
  const { pools: { pools } } = yield* Limits
  const prefix = input.prefix.trim().toLowerCase()
  const wanted: Array<PoolNumber> = []
  for (let pool = 1 as PoolNumber; pool <= pools; pool++) if (poolName(pool).startsWith(prefix)) wanted.push(pool)
  const found: Array<string> = []
  for (let at = 0; at < wanted.length && found.length <= most; at += piece) {
    const owners = yield* store.owners(wanted.slice(at, at + piece))
    found.push(...[...owners.keys()].sort((a, b) => a - b).map(poolName))
  }
  return answer(found)
})

/** Revisions that the change log still tells of, newest first. */
export const completeRevisions = Effect.fnUntraced(function*(
  input: CompletionInput
): Effect.fn.Return<CompletionAnswer, StorageFailed, ProgramServices> {
  const store = yield* Store
  const prefix = input.prefix.trim()
  if (!/^\d{0,15}$/.test(prefix)) return nothing
  return answer((yield* store.revisions(prefix, most + 1)).map(String))
})
