/** Answers of the verbs that say how things are. Field names are the tools' contract. */
import type { Answer } from "./Answer.ts"

export type ComponentStatus = "ok" | "degraded" | "error" | "unknown" | "not_configured"

/** The shape that existing users know, and more components beside it. */
export interface HealthAnswer extends Answer {
  readonly status: "healthy" | "degraded" | "unhealthy"
  readonly components: {
    readonly mcp: { readonly status: ComponentStatus; readonly version: string; readonly uptime_sec: number }
    readonly haproxy: {
      readonly status: ComponentStatus
      readonly version: string | null
      readonly uptime_sec: number | null
      readonly reason?: string
    }
    readonly config_files: {
      readonly status: ComponentStatus
      readonly files: {
        readonly map_file: { readonly status: ComponentStatus; readonly path: string; readonly reason?: string }
        readonly wildcards_file: { readonly status: ComponentStatus; readonly path: string; readonly reason?: string }
        readonly db_file: { readonly status: ComponentStatus; readonly path: string; readonly reason?: string }
        readonly pools_file?: { readonly status: ComponentStatus; readonly path: string; readonly reason?: string }
      }
    }
    readonly container: { readonly status: ComponentStatus; readonly state: string }
    readonly desired_state: {
      readonly status: ComponentStatus
      readonly revision: number
      readonly domains: number
      readonly wildcards: number
      readonly servers: number
      readonly pools_used: number
      readonly pools_declared: number
    }
    readonly reconciler: {
      readonly status: ComponentStatus
      /** Is HAProxy known to run the desired state? */
      readonly in_sync: boolean
      readonly last_run_at: string | null
      /** Differences found by the last run, before it repaired them. */
      readonly last_drift: number
      readonly foreign_entries: number
      /** Writes that wait for their turn. */
      readonly queued_writes: number
      readonly reason?: string
    }
    /** The copy of the database on the remote host; `not_configured` without one. */
    readonly remote: {
      readonly status: ComponentStatus
      readonly mode: "off" | "strict" | "async"
      readonly role: "writer" | "reader"
      /** Number of the newest generation known here; null before the first. */
      readonly generation: number | null
      /** Commits that are not durable there yet. */
      readonly lag: number
      readonly last_published_at: string | null
      readonly reason?: string
    }
    /** `not_configured`: HAProxy loads no certificates of our folder, and none were asked for here. */
    readonly certificates: {
      readonly status: ComponentStatus
      /** In HAProxy's memory; null while that is not known. */
      readonly loaded: number | null
      readonly total: number
      /** A sixth of their lifetime is left, or less. */
      readonly expiring: number
      /** Their last renewal failed. */
      readonly failing: number
      /** When the first of them ends, ISO 8601 in UTC. */
      readonly next_expiry: string | null
      /** When the next one is renewed or tried again. */
      readonly next_attempt: string | null
      readonly reason?: string
    }
  }
}

export interface DomainHealthInput {
  readonly domain: string
}

export interface DomainHealthAnswer extends Answer {
  readonly domain: string
  readonly backend: string
  readonly status: "healthy" | "degraded" | "down" | "no_servers"
  readonly servers: ReadonlyArray<{
    readonly name: string
    readonly addr: string
    readonly status: string
    readonly check_status: string
  }>
  readonly healthy_count: number
  readonly total_count: number
}
