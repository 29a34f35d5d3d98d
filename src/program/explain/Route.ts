/** Which entry of the maps a host meets, in HAProxy's memory and in the desired state. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Route } from "../../domain/Change.ts"
import type { ControlError } from "../../domain/Errors.ts"
import { ownPool } from "../../domain/Pool.ts"
import { parseRouteName } from "../../domain/RouteName.ts"
import { wildcardLevels } from "../../haproxy/HaproxyConfig.ts"
import * as Lookups from "../../haproxy/LookupCommands.ts"
import * as Maps from "../../haproxy/MapCommands.ts"
import { Store } from "../../store/Store.ts"
import { Limits } from "../Limits.ts"
import { ask, askEach } from "../Proxies.ts"
import { suffixesOf } from "./Host.ts"
import type { RouteFound } from "./Shapes.ts"

/** The route that HAProxy takes now: exact host, else its suffixes, the nearest first. */
export const liveRoute = Effect.fnUntraced(function*(
  paths: { readonly domains: string; readonly wildcards: string },
  host: string
) {
  const { pools } = yield* Limits
  const suffixes = suffixesOf(host, wildcardLevels)
  const found = (map: string, entry: Maps.MapEntry, match: RouteFound["match"], level: number): RouteFound => ({
    map,
    key: entry.key,
    backend: entry.value,
    match,
    level,
    ours: ownPool(entry.value, pools) !== null
  })
  const [exact, ...wild] = yield* askEach([
    Maps.get(paths.domains, host),
    ...suffixes.map((suffix) => Maps.get(paths.wildcards, suffix))
  ])
  if (exact !== null && exact !== undefined) return found(paths.domains, { key: host, value: exact }, "exact", 0)
  const level = wild.findIndex((value) => value !== null)
  if (level >= 0) return found(paths.wildcards, { key: suffixes[level]!, value: wild[level]! }, "wildcard", level + 1)
  // An older configuration looks suffixes up by map_end, at any depth.
  const types = yield* ask(Lookups.lookupTypes(paths.wildcards))
  const scanned = types.some(Lookups.scans) ? yield* ask(Maps.lookup(paths.wildcards, host)) : null
  return scanned === null || !host.endsWith(scanned.key)
    ? null
    : found(paths.wildcards, scanned, "wildcard", host.slice(0, -scanned.key.length).split(".").length)
})

/** The route that the desired state has for a host; null: none. */
export const desiredRoute = Effect.fnUntraced(
  function*(host: string): Effect.fn.Return<Route | null, ControlError, Store> {
    const store = yield* Store
    for (const name of [host, ...suffixesOf(host, wildcardLevels).map((suffix) => `*${suffix}`)]) {
      const parsed = parseRouteName(name)
      const route = Result.isSuccess(parsed) ? yield* store.route(parsed.success) : null
      if (route !== null) return route
    }
    return null
  }
)
