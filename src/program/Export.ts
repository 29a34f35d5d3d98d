/**
 * The verb that exports all domains: one consistent snapshot of the desired state, as rows that an import takes. An
 * import into an empty database gives the same state: names, owners, shares, pools, slots, weights, states, wildcards.
 */
import * as Effect from "effect/Effect"
import type { Route } from "../domain/Change.ts"
import type { StorageFailed } from "../domain/Errors.ts"
import { poolName, type PoolNumber, type Server } from "../domain/Pool.ts"
import { isWildcard, parentOf, type RouteName, wildcardOf } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { ExportAnswer, ExportedRow, ServerEntry } from "./import/Shapes.ts"
import { Limits } from "./Limits.ts"
import type { ProgramServices } from "./Services.ts"

/** Rows made between two pauses for others. */
const stride = 5_000

const serverEntry = ({ ip, port, slot, state, weight }: Server): ServerEntry => ({ slot, ip, port, weight, state })

/** All domains with their pools and servers. */
export const exportDomains = Tracing.fn("exportDomains")(function*(
  _input: Readonly<Record<string, never>>
): Effect.fn.Return<ExportAnswer, StorageFailed, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const { owners, revision, routes: unsorted, servers } = yield* store.snapshot
  yield* Effect.yieldNow
  const routes = unsorted.toSorted((a, b) => a.seq - b.seq)
  const byName = new Map<RouteName, Route>(routes.map((route) => [route.name, route]))
  const byPool: ReadonlyMap<PoolNumber, ReadonlyArray<Server>> = Map.groupBy(servers, (server) => server.pool)
  /** An implicit wildcard goes without a row: its domain's row says it. */
  const isImplied = (route: Route): boolean => {
    if (!route.implicit || !isWildcard(route.name) || owners.get(route.pool) === route.name) return false
    return byName.get(parentOf(route.name))?.pool === route.pool
  }
  const rows: Array<ExportedRow> = []
  for (let index = 0; index < routes.length; index++) {
    if (index % stride === 0) yield* Effect.yieldNow
    const route = routes[index]!
    if (isImplied(route)) continue
    const owner = owners.get(route.pool) ?? route.name
    const owns = owner === route.name
    let wildcard: boolean | undefined
    if (!isWildcard(route.name)) {
      const its = byName.get(wildcardOf(route.name))
      const registrable = limits.suffixes.registrable(route.name) === route.name
      if (its === undefined ? registrable : isImplied(its) && !registrable) wildcard = its !== undefined
    }
    rows.push({
      domain: route.name,
      pool: owns ? poolName(route.pool) : null,
      shares_with: owns ? null : owner,
      ...(wildcard === undefined ? {} : { wildcard }),
      servers: owns ? (byPool.get(route.pool) ?? []).map(serverEntry) : []
    })
  }
  return { summary: `${rows.length} domains and wildcards of revision ${revision}`, revision, rows }
})
