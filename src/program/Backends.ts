/** The verbs that show backends: their numbers, and who is connected to what. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ControlError, NotFound } from "../domain/Errors.ts"
import { nearest } from "../domain/Nearest.ts"
import { ownPool, poolName } from "../domain/Pool.ts"
import { parseRouteName } from "../domain/RouteName.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import type { StatRow } from "../haproxy/StatCommands.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { itemOf, overview, viewsOf } from "./BackendView.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import {
  type BackendsAnswer,
  type BackendsInput,
  backendStatuses,
  type ConnectionsAnswer,
  type ConnectionsInput,
  type Load
} from "./MonitoringShapes.ts"
import { cursorOf, fitting, positionOf, rowsFor } from "./Page.ts"
import { ask, inTime, type Inventory, inventory, type KnownBackend, order, serverRows } from "./Proxies.ts"
import type { ProgramServices } from "./Services.ts"

/** The backend that the cursor of a page speaks of. */
export const namePosition = /^([A-Za-z0-9_.:-]+)$/

/** Does a backend's name or its domain contain the text? */
export const matches = ({ domain, name }: KnownBackend, search: string | undefined): boolean =>
  search === undefined || name.toLowerCase().includes(search) || (domain?.includes(search) ?? false)

/** A backend by its name, unused pools too; or NOT_FOUND with the nearest that there are. */
export const requireBackend = Effect.fnUntraced(function*(
  found: Inventory,
  value: string
): Effect.fn.Return<KnownBackend, ControlError, ProgramServices> {
  const name = yield* Input.proxyName("backend", value)
  const { pools } = yield* Limits
  const known = found.backends.find((backend) => backend.name === name)
  if (known !== undefined) return known
  if (found.names.includes(name)) return { name, pool: ownPool(name, pools), domain: null }
  // Domains are the names that people know.
  const route = Result.getOrNull(parseRouteName(value))
  const meant = route === null ? null : yield* (yield* Store).route(route)
  const used = found.backends.map((backend) => backend.name)
  const validValues = meant !== null ? [poolName(meant.pool)] : nearest(name, used, 5)
  return yield* new NotFound({
    message: `HAProxy has no backend ${Input.shown(name)}`,
    hint: meant !== null
      ? "This is a domain; its backend is the valid value."
      : validValues.length > 0
      ? "Use one of the valid values."
      : "haproxy_backends lists what there is.",
    field: "backend",
    validValues
  })
})

/** The backends in use with their numbers: our pools by number, then the others by name. */
export const listBackends = Tracing.fn("listBackends")(function*(
  input: BackendsInput
): Effect.fn.Return<BackendsAnswer, ControlError, ProgramServices> {
  const limit = yield* rowsFor(input.limit)
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const status = input.status === undefined
    ? undefined
    : yield* Input.oneOf("status", input.status, backendStatuses)
  const { pools } = yield* Limits
  const after = input.cursor === undefined ? undefined : (yield* positionOf(input.cursor, namePosition))[1]!
  const isAfter = (known: KnownBackend) =>
    after === undefined || order(known, { name: after, pool: ownPool(after, pools) }) > 0
  const { found, total, views } = yield* inTime(Effect.gen(function*() {
    if (status !== undefined) {
      const all = yield* overview
      const wanted = all.views.filter((view) => view.status === status && matches(view.known, search))
      return { found: all.inventory, total: wanted.length, views: wanted.filter(({ known }) => isAfter(known)) }
    }
    const found = yield* inventory
    const wanted = found.backends.filter((known) => matches(known, search))
    // Names cost little and numbers much: only those of this page are read, and one more.
    const page = wanted.filter(isAfter).slice(0, limit + 1)
    return { found, total: wanted.length, views: yield* viewsOf(page, found.names.length) }
  }))
  const backends = fitting(views.slice(0, limit).map(itemOf))
  const more = backends.length < views.length
  const ours = found.backends.filter(({ pool }) => pool !== null).length
  return {
    summary: `${backends.length} of ${total} backends${more ? "; more with next_cursor" : ""} (in use: ${ours} ${
      ours === 1 ? "pool" : "pools"
    } of ours, ${found.backends.length - ours} others)`,
    backends,
    total,
    next_cursor: more ? cursorOf(backends.at(-1)!.name) : null,
    unused_pools: found.unused
  }
})

const loadOf = (name: string, row: StatRow): Load => ({
  name,
  sessions: row.currentSessions,
  sessions_max: row.maxSessions,
  sessions_limit: row.sessionLimit,
  queue: row.currentQueue ?? 0,
  queue_max: row.maxQueue ?? 0
})

/** Sessions and requests in the queue: what a backend has to carry now. */
export const loadNow = (row: StatRow): number => row.currentSessions + (row.currentQueue ?? 0)

/** Rows on one page of connections unless told otherwise: each has its servers with it. */
const connectionRows = 20
/** Servers that are shown of each, the busiest; and of one that was asked for by name. */
const serversOfMany = 30
const serversOfOne = 120

/** Who is connected to what, the busiest first; idle backends are counted only. */
export const connections = Tracing.fn("connections")(function*(
  input: ConnectionsInput
): Effect.fn.Return<ConnectionsAnswer, ControlError, ProgramServices> {
  const limit = yield* rowsFor(input.limit ?? connectionRows)
  const position = input.cursor === undefined
    ? undefined
    : yield* positionOf(input.cursor, /^(\d{1,15}) ([A-Za-z0-9_.:-]+)$/)
  const { pools } = yield* Limits
  const { idle, info, rows, servers, total } = yield* inTime(Effect.gen(function*() {
    const info = yield* ask(Info.show)
    const named = input.backend
    const found = named === undefined ? yield* overview : yield* Effect.gen(function*() {
      const found = yield* inventory
      const known = yield* requireBackend(found, named)
      return { inventory: found, views: yield* viewsOf([known], found.names.length) }
    })
    const busy = named === undefined ? found.views.filter(({ row }) => loadNow(row) > 0) : found.views
    const sorted = busy.toSorted((a, b) => loadNow(b.row) - loadNow(a.row) || order(a.known, b.known))
    const rest = position === undefined ? sorted : sorted.filter(({ known, row }) => {
      const less = Number(position[1]) - loadNow(row)
      return less > 0 || (less === 0 && order(known, { name: position[2]!, pool: ownPool(position[2]!, pools) }) > 0)
    })
    const rows = rest.slice(0, limit + 1)
    const servers = yield* serverRows(rows.map(({ known }) => known.name))
    return { info, rows, servers, total: sorted.length, idle: found.views.length - busy.length }
  }))
  const backends = fitting(
    rows.slice(0, limit).map(({ known, row }) => {
      const { name, ...load } = loadOf(known.name, row)
      const members = servers.get(known.name) ?? []
      return {
        name,
        domain: known.domain,
        ...load,
        servers_total: members.length,
        servers: fitting(
          members
            .toSorted((a, b) => loadNow(b) - loadNow(a))
            .slice(0, input.backend === undefined ? serversOfMany : serversOfOne)
            .map((server) => ({ addr: server.address, ...loadOf(server.server, server) }))
        )
      }
    })
  )
  const more = backends.length < rows.length
  const last = rows[backends.length - 1]
  const one = input.backend === undefined ? undefined : backends[0]
  return {
    summary: one !== undefined
      ? `${one.name} has ${one.sessions} sessions and ${one.queue} queued`
      : `${info.currentConnections} of ${info.maxConnections} connections; ${total} backends have sessions, ${idle} have none${
        more ? "; more with next_cursor" : ""
      }`,
    connections: info.currentConnections,
    connections_limit: info.maxConnections,
    backends,
    total,
    next_cursor: more ? cursorOf(`${loadNow(last!.row)} ${last!.known.name}`) : null,
    idle_backends: idle
  }
})
