/** The verbs that show HAProxy as a whole: its process with the most important of the rest, and its frontends. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../domain/Errors.ts"
import * as BoundAddresses from "../haproxy/BoundAddresses.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import * as Listeners from "../haproxy/ListenerCommands.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Stats from "../haproxy/StatCommands.ts"
import * as Tracing from "../Tracing.ts"
import { loadNow, namePosition } from "./Backends.ts"
import { type BackendView, errorsOf, numbers, overview, responsesOf, sum } from "./BackendView.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { type FrontendsAnswer, type PageInput, type StatsAnswer } from "./MonitoringShapes.ts"
import { cursorOf, fitting, positionOf, rowsFor } from "./Page.ts"
import { ask, inTime } from "./Proxies.ts"
import type { ProgramServices } from "./Services.ts"

/** How many are named of each kind; the rest is in the sums, and in the tools that list. */
const namedFrontends = 10
const namedBusiest = 10
const namedUnhealthy = 20

const processOf = (info: Info.Info): StatsAnswer["process"] => ({
  uptime_sec: info.uptime,
  threads: info.threads,
  idle_percent: info.idle,
  connections: info.currentConnections,
  connections_limit: info.maxConnections,
  limit_reached: info.connectionLimitReached,
  connection_rate: info.connectionRate,
  session_rate: info.sessionRate,
  tls_connections: info.tlsConnections,
  tls_rate: info.tlsRate,
  requests: info.totalRequests,
  bytes_out: info.bytesOut,
  bytes_out_rate: info.bytesOutRate,
  memory_pools_bytes: info.poolAllocated,
  tasks: info.tasks,
  run_queue: info.runQueue,
  dropped_logs: info.droppedLogs
})

const frontendOf = (row: Stats.StatRow): StatsAnswer["frontends"][number] => ({
  name: row.proxy,
  status: row.status,
  sessions: row.currentSessions,
  sessions_max: row.maxSessions,
  request_rate: row.requestRate ?? 0,
  requests: row.totalRequests ?? 0,
  bytes_in: row.bytesIn,
  bytes_out: row.bytesOut,
  responses: responsesOf(row),
  denied: (row.deniedRequests ?? 0) + (row.deniedConnections ?? 0) + (row.deniedSessions ?? 0)
})

const total = (views: ReadonlyArray<BackendView>, of: (row: Stats.StatRow) => number): number =>
  views.reduce((all, { row }) => all + of(row), 0)

const backendsOf = (views: ReadonlyArray<BackendView>, unused: number): StatsAnswer["backends"] => {
  const count = (status: BackendView["status"]) => views.filter((view) => view.status === status).length
  const pools = views.filter(({ known }) => known.pool !== null).length
  return {
    pools,
    others: views.length - pools,
    unused_pools: unused,
    healthy: count("healthy"),
    degraded: count("degraded"),
    down: count("down"),
    no_servers: count("no_servers"),
    sessions: total(views, (row) => row.currentSessions),
    queue: total(views, (row) => row.currentQueue ?? 0),
    bytes_in: total(views, (row) => row.bytesIn),
    bytes_out: total(views, (row) => row.bytesOut)
  }
}

/** The whole at a glance. */
export const statistics: Effect.Effect<StatsAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const { all, info, rows } = yield* inTime(Effect.gen(function*() {
    const info = yield* ask(Info.show)
    const rows = yield* ask(Stats.show({ kinds: ["frontend"] }))
    return { info, rows, all: yield* overview }
  }))
  const process = processOf(info)
  const backends = backendsOf(all.views, all.inventory.unused)
  const busy = all.views
    .filter(({ row }) => loadNow(row) + row.sessionRate > 0)
    .sort((a, b) => loadNow(b.row) - loadNow(a.row) || b.row.sessionRate - a.row.sessionRate)
  const ill = [
    ...all.views.filter(({ status }) => status === "down"),
    ...all.views.filter(({ status }) => status === "degraded")
  ]
  return {
    summary:
      `HAProxy ${info.version}: ${process.connections} of ${process.connections_limit} connections, ${process.session_rate} sessions/s, ${process.idle_percent}% idle; ${backends.down} backends down, ${backends.degraded} degraded`,
    version: info.version,
    process,
    frontends: rows.toSorted((a, b) => b.currentSessions - a.currentSessions || b.totalSessions - a.totalSessions)
      .slice(0, namedFrontends).map(frontendOf),
    frontends_total: rows.length,
    backends,
    responses: sum(all.views.map(({ row }) => responsesOf(row))),
    errors: sum(all.views.map(({ row }) => errorsOf(row))),
    busiest: busy.slice(0, namedBusiest).map(({ known, row }) => ({
      name: known.name,
      domain: known.domain,
      sessions: row.currentSessions,
      queue: row.currentQueue ?? 0,
      session_rate: row.sessionRate
    })),
    unhealthy: ill.slice(0, namedUnhealthy).map(({ known, status, total, up }) => ({
      name: known.name,
      domain: known.domain,
      status,
      servers_up: up,
      servers_total: total
    }))
  }
}).pipe(Tracing.span("statistics"))

/** Where each frontend listens, as text; with addresses where this machine knows them. */
export const bindsByFrontend = Effect.gen(function*() {
  const { haproxyIsHere } = yield* Limits
  const link = yield* (yield* RuntimeApi).link
  const sockets = yield* ask(Listeners.showAll)
  const bound = haproxyIsHere && link._tag === "Up"
    ? yield* BoundAddresses.read(link.epoch.pid, sockets.map(({ fd }) => fd))
    : null
  const binds = new Map<string, Set<string>>()
  for (const { family, fd, frontend, port, quic } of sockets) {
    const inode = bound?.inodes.get(fd)
    const ip = inode === undefined ? undefined : bound?.sockets.find((socket) => socket.inode === inode)?.ip
    const text = port === null
      ? family
      : `${quic ? "quic " : ""}${ip === undefined ? `${family} *` : ip.includes(":") ? `[${ip}]` : ip}:${port}`
    let known = binds.get(frontend)
    if (known === undefined) binds.set(frontend, known = new Set())
    known.add(text)
  }
  return binds
})

/** Sockets that are named of one frontend. */
const namedBinds = 20

/** The frontends by name. */
export const listFrontends = Tracing.fn("listFrontends")(function*(
  input: PageInput
): Effect.fn.Return<FrontendsAnswer, ControlError, ProgramServices> {
  const limit = yield* rowsFor(input.limit)
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const after = input.cursor === undefined ? undefined : (yield* positionOf(input.cursor, namePosition))[1]!
  const keep = (name: string) => search === undefined || name.toLowerCase().includes(search)
  const { binds, rows } = yield* inTime(Effect.gen(function*() {
    const rows = yield* ask(Stats.show({ kinds: ["frontend"], keep }))
    return { rows, binds: yield* bindsByFrontend }
  }))
  const sorted = rows.toSorted((a, b) => a.proxy < b.proxy ? -1 : 1)
  const rest = after === undefined ? sorted : sorted.filter(({ proxy }) => proxy > after)
  const frontends = fitting(
    rest.slice(0, limit).map((row) => {
      const { denied: _, ...shared } = frontendOf(row)
      return {
        ...shared,
        mode: row.mode,
        binds: [...binds.get(row.proxy) ?? []].slice(0, namedBinds),
        sessions_limit: row.sessionLimit,
        connection_rate: row.connectionRate ?? 0,
        session_rate: row.sessionRate,
        denied: numbers({
          requests: row.deniedRequests,
          connections: row.deniedConnections,
          sessions: row.deniedSessions
        }),
        request_errors: row.requestErrors ?? 0
      }
    })
  )
  const more = frontends.length < rest.length
  return {
    summary: `${frontends.length} of ${rows.length} frontends${more ? "; more with next_cursor" : ""}`,
    frontends,
    total: rows.length,
    next_cursor: more ? cursorOf(frontends.at(-1)!.name) : null
  }
})
