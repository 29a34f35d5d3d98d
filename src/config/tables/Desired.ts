/** The desired state's shape and files: maps, pools, database, names; and the log. */
import {
  integer,
  list,
  oneOf,
  optional,
  path,
  runtimeName,
  type Setting,
  suffix,
  users,
  withDefault
} from "../Setting.ts"

export const desired = {
  haproxyMapFile: withDefault("HAPROXY_MAP_FILE", path, "/opt/haproxy/conf/domains.map", {
    group: "Files",
    description: "domains.map as this process sees it; wildcards.map lies beside it.",
    metavar: "FILE",
    example: "/etc/haproxy/maps/domains.map",
    usedBy: users.haproxy
  }),
  haproxyRuntimeMapFile: optional("HAPROXY_RUNTIME_MAP_FILE", runtimeName, "found in `show map`", {
    group: "Files",
    description: "domains.map under the name that HAProxy knows, when the two differ (a container mount).",
    metavar: "NAME",
    example: "/usr/local/etc/haproxy/domains.map",
    usedBy: users.serving
  }),
  haproxyPoolsFile: optional("HAPROXY_POOLS_FILE", path, "not written", {
    group: "Files",
    description: "pools.cfg: the pools with their current servers, which HAProxy loads as a second -f.",
    metavar: "FILE",
    example: "/opt/haproxy/conf/pools.cfg",
    usedBy: users.haproxy
  }),
  haproxyDbFile: withDefault("HAPROXY_DB_FILE", path, "/opt/haproxy/conf/haproxy_mcp.db", {
    group: "Files",
    description: "The database with the desired state. One process holds it.",
    metavar: "FILE",
    example: "/var/lib/haproxy-mcp/haproxy_mcp.db",
    usedBy: users.database
  }),
  haproxyServersFile: optional("HAPROXY_SERVERS_FILE", path, "servers.json beside HAPROXY_MAP_FILE", {
    group: "Files",
    description: "servers.json of the Python version; read once, at the first start with an empty database.",
    metavar: "FILE",
    example: "/opt/haproxy/conf/servers.json",
    usedBy: users.serving
  }),
  haproxyPoolCount: withDefault("HAPROXY_POOL_COUNT", integer(1, 100_000), "100", {
    group: "Pools",
    description: "How many backends pool_1 … pool_N haproxy.cfg declares.",
    metavar: "N",
    example: "100",
    usedBy: users.haproxy
  }),
  haproxyMaxSlots: withDefault("HAPROXY_MAX_SLOTS", integer(1, 1_000), "10", {
    group: "Pools",
    description: "How many servers pool_N_1 … pool_N_K each of them declares.",
    metavar: "K",
    example: "10",
    usedBy: users.haproxy
  }),
  haproxyCustomTlds: withDefault("HAPROXY_CUSTOM_TLDS", list(suffix), "it.com", {
    group: "Names",
    description: "Suffixes that count as public beside the public suffix list.",
    metavar: "SUFFIX,…",
    example: "it.com,eu.org",
    usedBy: users.serving
  }),
  logLevel: withDefault("LOG_LEVEL", oneOf("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", {
    group: "Logs",
    description: "Least level of the JSON log lines on standard error.",
    metavar: "LEVEL",
    example: "INFO",
    usedBy: users.serving
  })
} as const satisfies Record<string, Setting<unknown>>
