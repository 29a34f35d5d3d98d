/** Answers of the verbs that say what HAProxy does now. Field names are the tools' contract. */
import type { Answer } from "./Answer.ts"

/** What a page is made from. */
export interface PageInput {
  readonly search?: string
  readonly limit?: number
  readonly cursor?: string
}

/** Which page of what. */
interface Page {
  /** Rows on all pages together. */
  readonly total: number
  readonly next_cursor: string | null
}

/** Numbers by a name of their own; those that are 0 are left out. */
export type Numbers = Readonly<Record<string, number>>

/** By the servers that take requests: all of them, some, none, or there are none at all. */
export const backendStatuses = ["healthy", "degraded", "down", "no_servers"] as const
export type BackendStatus = typeof backendStatuses[number]

/** What a server does, in one word. */
export const serverStatuses = ["up", "down", "drain", "maint"] as const
export type ServerStatus = typeof serverStatuses[number]

export interface ServerHealthInput extends PageInput {
  readonly backend?: string
  readonly status?: string
}

export interface ServerHealthAnswer extends Answer, Page {
  readonly servers: ReadonlyArray<{
    readonly name: string
    readonly backend: string
    readonly domain: string | null
    readonly addr: string
    readonly status: string
    readonly check_status: string
    readonly check_code: number | null
    readonly check_ms: number | null
    readonly last_check: string
    readonly last_change_sec: number
    readonly weight: number
    readonly sessions: number
  }>
  /** Of all servers in use, whatever the filters. */
  readonly counts: Readonly<Record<ServerStatus, number>>
  readonly empty_slots: number
}

export interface BackendsInput extends PageInput {
  readonly status?: string
}

export interface BackendItem {
  readonly name: string
  readonly domain: string | null
  readonly status: BackendStatus
  readonly servers_up: number
  readonly servers_total: number
  readonly sessions: number
  readonly sessions_max: number
  readonly session_rate: number
  readonly queue: number
  readonly requests: number
  readonly bytes_in: number
  readonly bytes_out: number
  readonly responses: Numbers
  readonly errors: Numbers
  readonly times_ms: Numbers
  readonly last_change_sec: number
}

export interface BackendsAnswer extends Answer, Page {
  readonly backends: ReadonlyArray<BackendItem>
  readonly unused_pools: number
}

export interface FrontendsAnswer extends Answer, Page {
  readonly frontends: ReadonlyArray<{
    readonly name: string
    readonly mode: string
    readonly status: string
    readonly binds: ReadonlyArray<string>
    readonly sessions: number
    readonly sessions_max: number
    readonly sessions_limit: number | null
    readonly connection_rate: number
    readonly session_rate: number
    readonly request_rate: number
    readonly requests: number
    readonly bytes_in: number
    readonly bytes_out: number
    readonly responses: Numbers
    readonly denied: Numbers
    readonly request_errors: number
  }>
}

export interface ConnectionsInput {
  readonly backend?: string
  readonly limit?: number
  readonly cursor?: string
}

/** Sessions and queue of a server, or of a backend as a whole. */
export interface Load {
  readonly name: string
  readonly sessions: number
  readonly sessions_max: number
  readonly sessions_limit: number | null
  readonly queue: number
  readonly queue_max: number
}

export interface ConnectionsAnswer extends Answer, Page {
  readonly connections: number
  readonly connections_limit: number
  readonly backends: ReadonlyArray<
    & Load
    & {
      readonly domain: string | null
      readonly servers_total: number
      /** The busiest of them. */
      readonly servers: ReadonlyArray<Load & { readonly addr: string }>
    }
  >
  readonly idle_backends: number
}

export interface StatsAnswer extends Answer {
  readonly version: string
  readonly process: {
    readonly uptime_sec: number
    readonly threads: number
    readonly idle_percent: number
    readonly connections: number
    readonly connections_limit: number
    readonly limit_reached: number
    readonly connection_rate: number
    readonly session_rate: number
    readonly tls_connections: number
    readonly tls_rate: number
    readonly requests: number
    readonly bytes_out: number
    readonly bytes_out_rate: number
    readonly memory_pools_bytes: number
    readonly tasks: number
    readonly run_queue: number
    readonly dropped_logs: number
  }
  readonly frontends: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly sessions: number
    readonly sessions_max: number
    readonly request_rate: number
    readonly requests: number
    readonly bytes_in: number
    readonly bytes_out: number
    readonly responses: Numbers
    readonly denied: number
  }>
  readonly frontends_total: number
  readonly backends: {
    readonly pools: number
    readonly others: number
    readonly unused_pools: number
    readonly healthy: number
    readonly degraded: number
    readonly down: number
    readonly no_servers: number
    readonly sessions: number
    readonly queue: number
    readonly bytes_in: number
    readonly bytes_out: number
  }
  /** Of all backends in use. */
  readonly responses: Numbers
  readonly errors: Numbers
  readonly busiest: ReadonlyArray<{
    readonly name: string
    readonly domain: string | null
    readonly sessions: number
    readonly queue: number
    readonly session_rate: number
  }>
  readonly unhealthy: ReadonlyArray<{
    readonly name: string
    readonly domain: string | null
    readonly status: BackendStatus
    readonly servers_up: number
    readonly servers_total: number
  }>
}
