/** Numbers of the database, under the names that /metrics shows. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Series from "../Series.ts"
import type { Counts } from "./Store.ts"

const commitSeconds = Series.timer(
  "haproxy_mcp_store_commit_seconds",
  "Time of one COMMIT of the database, its flush to the disk included"
)

/** Counts a COMMIT that took so many milliseconds. */
export const commits: Effect.Effect<(ms: number) => void> = Effect.map(
  Effect.andThen(Series.exist([commitSeconds]), Effect.context<never>()),
  (context) => (ms) => commitSeconds.updateUnsafe(ms / 1000, context)
)

/** Shows how much there is, for as long as the store is open. */
export const sizes = (revision: () => number, counts: () => Counts): Effect.Effect<void, never, Scope.Scope> =>
  Effect.all([
    Series.watched("haproxy_mcp_revision", "Revision of the desired state", revision),
    Series.watched("haproxy_mcp_domains", "Domains, without wildcards", () => counts().domains),
    Series.watched("haproxy_mcp_wildcards", "Wildcards, implicit ones included", () => counts().wildcards),
    Series.watched("haproxy_mcp_servers", "Servers in slots", () => counts().servers),
    Series.watched("haproxy_mcp_pools_used", "Pools that have an owner", () => counts().poolsUsed),
    Series.watched("haproxy_mcp_pools_declared", "Pools that there are", () => counts().poolsDeclared)
  ], { discard: true })
