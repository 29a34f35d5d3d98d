/** The settings of a control plane that is a process, for a HAProxy of a test. */
import { join } from "node:path"
import type { Site } from "./RealHaproxy.ts"

export type Env = Readonly<Record<string, string>>

/** Settings for a HAProxy of a test; the database lies beside its files. */
export const settingsOf = (
  site: Site,
  options: { readonly pools: number; readonly slots: number; readonly poolsFile?: boolean; readonly env?: Env }
): Env => ({
  MCP_PORT: "0",
  HAPROXY_RUNTIME_MODE: "unix",
  HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
  HAPROXY_MAP_FILE: site.domainsMap,
  HAPROXY_MASTER_SOCKET: site.masterSocket,
  HAPROXY_STATE_FILE: join(site.dir, "servers.state"),
  ...(options.poolsFile === true ? { HAPROXY_POOLS_FILE: site.poolsFile } : {}),
  HAPROXY_DB_FILE: databaseOf(site),
  HAPROXY_CERT_DIR: site.certDir,
  HAPROXY_POOL_COUNT: String(options.pools),
  HAPROXY_MAX_SLOTS: String(options.slots),
  ...options.env
})

/** Where {@link settingsOf} puts the database. */
export const databaseOf = (site: Site): string => join(site.dir, "haproxy_mcp.db")
