/**
 * A backend as answers show it: HAProxy's row beside what is known of it here. And the overview of all, which is read
 * once for everybody who waits for it.
 */
import * as Effect from "effect/Effect"
import type { ControlError } from "../domain/Errors.ts"
import type { PoolNumber } from "../domain/Pool.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import type { StatRow } from "../haproxy/StatCommands.ts"
import { Store } from "../store/Store.ts"
import type { BackendItem, BackendStatus, Numbers } from "./MonitoringShapes.ts"
import { backendRows, type Inventory, inventory, type KnownBackend, serverStates } from "./Proxies.ts"
import type { ProgramServices } from "./Services.ts"
import { shared } from "./SharedRead.ts"

/** A backend in use, with its numbers. */
export interface BackendView {
  readonly known: KnownBackend
  readonly row: StatRow
  /** Servers that take requests, and all that it has: of a pool those of the desired state. */
  readonly up: number
  readonly total: number
  readonly status: BackendStatus
}

const viewOf = (known: KnownBackend, row: StatRow, total: number): BackendView => {
  // HAProxy counts the usable ones: up, not draining, with a weight.
  const up = (row.activeServers ?? 0) + (row.backupServers ?? 0)
  const status = total === 0 ? "no_servers" : up === 0 ? "down" : up < total ? "degraded" : "healthy"
  return { known, row, up, total, status }
}

const poolsOf = (backends: ReadonlyArray<KnownBackend>): ReadonlyArray<PoolNumber> =>
  backends.flatMap(({ pool }) => pool === null ? [] : [pool])

/** Views of these backends; those that HAProxy does not have any more are left out. */
export const viewsOf = Effect.fnUntraced(function*(
  backends: ReadonlyArray<KnownBackend>,
  among: number
): Effect.fn.Return<ReadonlyArray<BackendView>, ControlError, ProgramServices> {
  const store = yield* Store
  const rows = yield* backendRows(backends.map(({ name }) => name), among)
  const desired = Map.groupBy(yield* store.serversOf(poolsOf(backends)), (server) => server.pool)
  const others = yield* serverStates(backends.flatMap(({ name, pool }) => pool === null ? [name] : []))
  return backends.flatMap((known) => {
    const row = rows.get(known.name)
    if (row === undefined) return []
    const total = known.pool === null
      ? others.get(known.name)?.servers.length ?? 0
      : desired.get(known.pool)?.length ?? 0
    return [viewOf(known, row, total)]
  })
})

/** All backends in use. */
export interface Overview {
  readonly inventory: Inventory
  readonly views: ReadonlyArray<BackendView>
}

/** Reads all; callers that wait together share one reading. */
export const overview: Effect.Effect<Overview, ControlError, ProgramServices> = Effect.flatMap(
  RuntimeApi,
  (runtime) =>
    shared(
      runtime,
      "backends",
      Effect.gen(function*() {
        const found = yield* inventory
        return { inventory: found, views: yield* viewsOf(found.backends, found.names.length) }
      })
    )
)

/** Those that are not 0. */
export const numbers = (all: Readonly<Record<string, number | null>>): Numbers =>
  Object.fromEntries(Object.entries(all).filter((entry): entry is [string, number] => (entry[1] ?? 0) !== 0))

/** Sums by name. */
export const sum = (all: ReadonlyArray<Numbers>): Numbers => {
  const sums: Record<string, number> = {}
  for (const one of all) for (const [name, value] of Object.entries(one)) sums[name] = (sums[name] ?? 0) + value
  return sums
}

/** Responses by the class of their status. */
export const responsesOf = (row: StatRow): Numbers =>
  numbers({
    "1xx": row.responses1xx,
    "2xx": row.responses2xx,
    "3xx": row.responses3xx,
    "4xx": row.responses4xx,
    "5xx": row.responses5xx,
    other: row.responsesOther
  })

/** What went wrong between HAProxy and the servers, and what HAProxy refused. */
export const errorsOf = (row: StatRow): Numbers =>
  numbers({
    connection: row.connectionErrors,
    response: row.responseErrors,
    retries: row.retries,
    denied: row.deniedRequests
  })

/** A backend with all of its numbers. */
export const itemOf = ({ known, row, status, total, up }: BackendView): BackendItem => ({
  name: known.name,
  domain: known.domain,
  status,
  servers_up: up,
  servers_total: total,
  sessions: row.currentSessions,
  sessions_max: row.maxSessions,
  session_rate: row.sessionRate,
  queue: row.currentQueue ?? 0,
  requests: row.totalRequests ?? row.totalSessions,
  bytes_in: row.bytesIn,
  bytes_out: row.bytesOut,
  responses: responsesOf(row),
  errors: errorsOf(row),
  times_ms: numbers({
    queue: row.queueTime,
    connect: row.connectTime,
    response: row.responseTime,
    total: row.totalTime
  }),
  last_change_sec: row.lastChange ?? 0
})
