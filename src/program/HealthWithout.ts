/** The answer of haproxy_health while no control plane can be built: nothing is known but why. */
import { version } from "../Version.ts"
import type { HealthAnswer } from "./HealthShapes.ts"

/** What is known all the same. */
export interface KnownWithout {
  /** Why there is no control plane, in one sentence. */
  readonly reason: string
  readonly mapFile: string
  readonly wildcardsFile: string
  readonly dbFile: string
  readonly poolsDeclared: number
  readonly remote: HealthAnswer["components"]["remote"]
}

/** Everything is unknown, and says so. */
export const healthWithout = (
  { dbFile, mapFile, poolsDeclared, reason, remote, wildcardsFile }: KnownWithout
): HealthAnswer => {
  const unknown = (path: string) => ({ status: "unknown" as const, path, reason: "not looked at yet" })
  return {
    summary: `unhealthy: ${reason}`,
    status: "unhealthy",
    components: {
      mcp: { status: "ok", version, uptime_sec: Math.floor(process.uptime()) },
      haproxy: { status: "unknown", version: null, uptime_sec: null, reason: "not asked yet" },
      config_files: {
        status: "unknown",
        files: {
          map_file: unknown(mapFile),
          wildcards_file: unknown(wildcardsFile),
          db_file: { status: "error", path: dbFile, reason }
        }
      },
      container: { status: "unknown", state: "unknown" },
      desired_state: {
        status: "error",
        revision: 0,
        domains: 0,
        wildcards: 0,
        servers: 0,
        pools_used: 0,
        pools_declared: poolsDeclared
      },
      reconciler: {
        status: "error",
        in_sync: false,
        last_run_at: null,
        last_drift: 0,
        foreign_entries: 0,
        queued_writes: 0,
        reason
      },
      remote,
      certificates: {
        status: "unknown",
        loaded: null,
        total: 0,
        expiring: 0,
        failing: 0,
        next_expiry: null,
        next_attempt: null
      }
    }
  }
}
