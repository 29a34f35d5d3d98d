/** The verb that shows one backend in detail, and what others need of its servers. */
import * as Effect from "effect/Effect"
import { type ControlError, HaproxyRefused } from "../../domain/Errors.ts"
import { ownPool, type ServerState } from "../../domain/Pool.ts"
import * as Backends from "../../haproxy/BackendCommands.ts"
import * as Dynamic from "../../haproxy/DynamicServerCommands.ts"
import * as Servers from "../../haproxy/ServerCommands.ts"
import type { StatRow } from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { Limits } from "../Limits.ts"
import { ask, backendRows, inTime, serverRows } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { domainsOf } from "./DomainsOf.ts"
import { page, type RowsInput } from "./Rows.ts"
import { absent } from "./Telling.ts"

/** A server as HAProxy has it. */
export interface ServerDetail {
  readonly name: string
  readonly addr: string
  readonly state: ServerState
  readonly status: string
  readonly weight: number
  readonly maxconn: number | null
  readonly checks: Dynamic.ServerChecks["checks"]
  readonly check_status: string
  readonly agent_checks: Dynamic.ServerChecks["agent"]
  readonly backup: boolean
  readonly sessions: number
  readonly queue: number
}

/** Domains that an answer names. */
const mostDomains = 20

const detailOf = (
  row: StatRow,
  state: Servers.ServerStateRow | undefined,
  checks: Dynamic.ServerChecks | undefined
): ServerDetail => ({
  name: row.server,
  addr: row.address,
  state: state?.state ?? "maint",
  status: row.status,
  weight: state?.userWeight ?? row.weight ?? 0,
  maxconn: row.sessionLimit,
  checks: checks?.checks ?? "none",
  check_status: row.checkStatus,
  agent_checks: checks?.agent ?? "none",
  backup: (row.backupServers ?? 0) > 0,
  sessions: row.currentSessions,
  queue: row.currentQueue ?? 0
})

/** All servers of a backend; NOT_FOUND with the nearest backends where there is none. */
export const serversIn = Effect.fnUntraced(function*(backend: string) {
  const checks = yield* ask(Dynamic.showChecks(backend))
  if (checks === null) {
    return yield* absent("backend", "backend", backend, yield* ask(Backends.show), "haproxy_backends")
  }
  const states = yield* ask(Servers.showState(backend))
  const rows = (yield* serverRows([backend])).get(backend) ?? []
  return rows.map((row) =>
    detailOf(
      row,
      states.find(({ server }) => server === row.server),
      checks.find(({ server }) => server === row.server)
    )
  )
})

/** One server of a backend, or NOT_FOUND with the nearest. */
export const serverIn = Effect.fnUntraced(function*(backend: string, server: string) {
  const servers = yield* serversIn(backend)
  return servers.find(({ name }) => name === server)
    ?? (yield* absent(
      `server in ${backend}`,
      "server",
      server,
      servers.map(({ name }) => name),
      "haproxy_backend_show"
    ))
})

export interface BackendInput extends RowsInput {
  readonly backend: string
}

export interface BackendAnswer extends Answer {
  readonly backend: string
  readonly ours: boolean
  readonly status: string
  readonly domains: ReadonlyArray<string>
  readonly domains_total: number
  readonly sessions: number
  readonly queue: number
  readonly servers: ReadonlyArray<ServerDetail>
  readonly total: number
  readonly next_cursor: string | null
}

/** A backend with the domains that lead there and every detail of its servers. */
export const showBackend = Tracing.fn("showBackend")(function*(
  input: BackendInput
): Effect.fn.Return<BackendAnswer, ControlError, ProgramServices> {
  const backend = yield* Input.proxyName("backend", input.backend)
  const { pools } = yield* Limits
  const servers = yield* inTime(serversIn(backend))
  const row = (yield* inTime(backendRows([backend], 1_000))).get(backend)
  if (row === undefined) {
    return yield* new HaproxyRefused({
      message: `HAProxy has no numbers of ${backend}`,
      hint: "It may have been deleted meanwhile: haproxy_backends lists what there is."
    })
  }
  const { domains, total: domainsTotal } = yield* domainsOf(backend, mostDomains)
  const { next_cursor, rows, total } = yield* page(servers, input)
  return {
    summary: `${backend} is ${row.status} with ${total} servers; ${domainsTotal} domains lead to it`,
    backend,
    ours: ownPool(backend, pools) !== null,
    status: row.status,
    domains,
    domains_total: domainsTotal,
    sessions: row.currentSessions,
    queue: row.currentQueue ?? 0,
    servers: rows,
    total,
    next_cursor
  }
})
