/** The verb that lists domains: pages by name, kept small enough for a model to read whole. */
import * as Effect from "effect/Effect"
import type { ControlError, InvalidInput } from "../domain/Errors.ts"
import { poolName, type Server } from "../domain/Pool.ts"
import { isWildcard, parseRouteName, type RouteName } from "../domain/RouteName.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { Caller } from "./Caller.ts"
import type { DomainItem, ListDomainsAnswer, ListDomainsInput } from "./DomainShapes.ts"
import * as Input from "./Input.ts"
import { serverItem } from "./Lookup.ts"
import * as Page from "./Page.ts"
import { shownTo } from "./Reach.ts"
import type { ProgramServices } from "./Services.ts"

/** Characters of JSON on one page: under 8,000 tokens with room for the rest of the answer. */
const pageChars = 22_000

/** Most characters of JSON of an item without its servers (two names of 253 characters), and of a server. */
const largestItem = 700
const largestServer = 200

/** The name after which a page goes on. */
const decodeCursor = (cursor: string): Effect.Effect<RouteName, InvalidInput> =>
  Effect.flatMap(
    Page.positionOf(cursor, /^.+$/),
    ([text]) => Effect.mapError(Effect.fromResult(parseRouteName(text)), () => Page.notACursor())
  )

/** Domains by name, with their servers; for a caller with few domains only these. */
export const listDomains = Tracing.fn("listDomains")(function*(
  input: ListDomainsInput
): Effect.fn.Return<ListDomainsAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limit = yield* Input.whole("limit", input.limit ?? 100, 1, 1000)
  const after = input.cursor === undefined ? undefined : yield* decodeCursor(input.cursor)
  const includeWildcards = input.include_wildcards ?? false
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const { principal } = yield* Caller
  const within = principal.domains === null ? {} : { within: principal.domains }
  const page = yield* store.page({
    ...within,
    includeWildcards,
    limit: limit + 1,
    ...(search === undefined ? {} : { search }),
    ...(after === undefined ? {} : { after })
  })
  const servers: Map<number, Array<Server>> = Map.groupBy(page.servers, (server) => server.pool)
  const domains: Array<DomainItem> = []
  // Items are measured only where they might not fit.
  const most = servers.size === 0 ? 0 : Math.max(...[...servers.values()].map((all) => all.length))
  const roomy = page.routes.length * (largestItem + most * largestServer) <= pageChars
  let size = 0
  for (const { owner: named, route } of page.routes.slice(0, limit)) {
    const owner = shownTo(principal, named ?? route.name)
    const item: DomainItem = {
      domain: route.name,
      backend: poolName(route.pool),
      shares_with: owner === route.name ? null : owner,
      ...(isWildcard(route.name) ? { implicit: route.implicit } : {}),
      servers: (servers.get(route.pool) ?? []).map(serverItem)
    }
    if (!roomy) size += JSON.stringify(item).length
    if (size > pageChars && domains.length > 0) break
    domains.push(item)
  }
  const last = domains.at(-1)
  const more = last !== undefined && domains.length < page.routes.length
  const { domains: exact, wildcards } = principal.domains === null
    ? yield* store.counts
    : yield* store.countsWithin(principal.domains)
  const total = includeWildcards ? exact + wildcards : exact
  const foreign = yield* (yield* MapFiles).foreignCount
  return {
    summary: domains.length === 0
      ? (search === undefined ? "No domains are routed yet" : `No domain matches ${Input.shown(search)}`)
      : `${domains.length} of ${total} ${includeWildcards ? "domains and wildcards" : "domains"}${
        more ? "; more with next_cursor" : ""
      }`,
    domains,
    total,
    next_cursor: more ? Page.cursorOf(last.domain) : null,
    foreign_entries: foreign
  }
})
