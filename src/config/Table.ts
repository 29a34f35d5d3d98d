/**
 * Every setting of this version. Decoding, `--help`, docs/settings.md and the error messages all read this table,
 * so they cannot disagree.
 */
import {
  address,
  cidr,
  duration,
  folder,
  host,
  hostHeader,
  integer,
  list,
  oneOf,
  onOff,
  optional,
  origin,
  path,
  runtimeName,
  secret,
  type Setting,
  socketPath,
  suffix,
  withDefault,
  word
} from "./Setting.ts"

const database = ["serve", "stdio", "status"] as const
const haproxy = ["serve", "stdio", "config", "status"] as const
const http = ["serve", "config"] as const
const generated = ["config"] as const

/** Where the bearer token is looked for when MCP_TOKEN_FILE is not set; it need not be there. */
export const defaultTokenFile = "/opt/haproxy/conf/mcp-token.env"

/** The settings by the name of their field in `Settings`. */
export const table = {
  mcpTransport: withDefault("MCP_TRANSPORT", oneOf("http", "stdio"), "http", {
    group: "MCP server",
    description: "What `serve` speaks: http listens, stdio works on standard input and output like `stdio`.",
    metavar: "http|stdio",
    example: "http",
    usedBy: ["serve"]
  }),
  mcpHost: optional("MCP_HOST", host, "0.0.0.0 with authentication, else 127.0.0.1", {
    group: "MCP server",
    description: "Address to listen on. An explicit public one without authentication refuses to start.",
    metavar: "HOST",
    example: "127.0.0.1",
    usedBy: http
  }),
  mcpPort: withDefault("MCP_PORT", integer(0, 65_535), "8000", {
    group: "MCP server",
    description: "TCP port to listen on. 0 takes any free port and logs which.",
    metavar: "PORT",
    example: "8000",
    usedBy: http
  }),
  mcpSocket: optional("MCP_SOCKET", socketPath(95), "not set", {
    group: "MCP server",
    description: "Unix socket (mode 0660) to listen on instead of MCP_HOST and MCP_PORT.",
    metavar: "FILE",
    example: "/run/haproxy-mcp/mcp.sock",
    usedBy: http
  }),
  mcpToken: optional("MCP_TOKEN", secret, "not set", {
    group: "MCP server",
    description: "Bearer token that clients must send. A secret: it has no flag.",
    metavar: "TOKEN",
    example: "the output of `openssl rand -hex 32`",
    secret: true,
    usedBy: ["serve"]
  }),
  mcpTokenFile: optional("MCP_TOKEN_FILE", path, `${defaultTokenFile} if it is there`, {
    group: "MCP server",
    description: "File with the bearer token, bare or as MCP_TOKEN=…, re-read when it changes.",
    metavar: "FILE",
    example: "/etc/haproxy-mcp/token.env",
    usedBy: ["serve"]
  }),
  mcpAuth: withDefault("MCP_AUTH", onOff, "on", {
    group: "MCP server",
    description: "off asks for no token; accepted only where nobody but this machine can connect.",
    metavar: "on|off",
    example: "on",
    usedBy: ["serve"]
  }),
  mcpTrustedCidrs: withDefault("MCP_TRUSTED_CIDRS", list(cidr), "", {
    group: "MCP server",
    description: "TCP peers that need no token. Empty: nobody.",
    metavar: "CIDR,…",
    example: "100.64.0.0/10",
    usedBy: ["serve"]
  }),
  mcpTrustedProxies: withDefault("MCP_TRUSTED_PROXIES", list(cidr), "", {
    group: "MCP server",
    description: "Peers whose X-Forwarded-For is believed. Empty: nobody.",
    metavar: "CIDR,…",
    example: "127.0.0.1,10.0.0.0/8",
    usedBy: ["serve"]
  }),
  mcpAllowedHosts: withDefault("MCP_ALLOWED_HOSTS", list(hostHeader), "", {
    group: "MCP server",
    description: "Host headers to answer beside localhost and the address connected to.",
    metavar: "HOST,…",
    example: "mcp.example.com",
    usedBy: http
  }),
  mcpAllowedOrigins: withDefault("MCP_ALLOWED_ORIGINS", list(origin), "", {
    group: "MCP server",
    description: "Browser origins that may call. Empty: none.",
    metavar: "ORIGIN,…",
    example: "https://console.example.com",
    usedBy: ["serve"]
  }),
  mcpCallTimeout: withDefault("MCP_CALL_TIMEOUT", duration("100ms", "45s"), "10s", {
    group: "MCP server",
    description: "Longest time that one call may take.",
    metavar: "TIME",
    example: "10s",
    usedBy: ["serve", "stdio"]
  }),
  mcpAdminSocket: optional("MCP_ADMIN_SOCKET", socketPath(95), "beside HAPROXY_DB_FILE, its name with .sock", {
    group: "MCP server",
    description: "Unix socket (mode 0600) by which the CLI and stdio processes reach a running `serve`.",
    metavar: "FILE",
    example: "/run/haproxy-mcp/admin.sock",
    usedBy: database
  }),
  haproxyRuntimeMode: withDefault("HAPROXY_RUNTIME_MODE", oneOf("tcp4", "unix", "ssh"), "tcp4", {
    group: "HAProxy",
    description: "How to reach the Runtime API: tcp4 or unix. (ssh is not in this version.)",
    metavar: "tcp4|unix",
    example: "unix",
    usedBy: haproxy
  }),
  haproxyHost: withDefault("HAPROXY_HOST", host, "localhost", {
    group: "HAProxy",
    description: "Host of the Runtime API in mode tcp4.",
    metavar: "HOST",
    example: "10.0.0.2",
    usedBy: haproxy
  }),
  haproxyPort: withDefault("HAPROXY_PORT", integer(1, 65_535), "9999", {
    group: "HAProxy",
    description: "Port of the Runtime API in mode tcp4.",
    metavar: "PORT",
    example: "9999",
    usedBy: haproxy
  }),
  haproxyRuntimeSocket: optional("HAPROXY_RUNTIME_SOCKET", socketPath(107), "not set", {
    group: "HAProxy",
    description: "Socket of the Runtime API in mode unix; needed there.",
    metavar: "FILE",
    example: "/run/haproxy/admin.sock",
    usedBy: haproxy
  }),
  haproxyMapFile: withDefault("HAPROXY_MAP_FILE", path, "/opt/haproxy/conf/domains.map", {
    group: "Files",
    description: "domains.map as this process sees it; wildcards.map lies beside it.",
    metavar: "FILE",
    example: "/etc/haproxy/maps/domains.map",
    usedBy: haproxy
  }),
  haproxyRuntimeMapFile: optional("HAPROXY_RUNTIME_MAP_FILE", runtimeName, "found in `show map`", {
    group: "Files",
    description: "domains.map under the name that HAProxy knows, when the two differ (a container mount).",
    metavar: "NAME",
    example: "/usr/local/etc/haproxy/domains.map",
    usedBy: ["serve", "stdio"]
  }),
  haproxyPoolsFile: optional("HAPROXY_POOLS_FILE", path, "not written", {
    group: "Files",
    description: "pools.cfg: the pools with their current servers, which HAProxy loads as a second -f.",
    metavar: "FILE",
    example: "/opt/haproxy/conf/pools.cfg",
    usedBy: haproxy
  }),
  haproxyDbFile: withDefault("HAPROXY_DB_FILE", path, "/opt/haproxy/conf/haproxy_mcp.db", {
    group: "Files",
    description: "The database with the desired state. One process holds it.",
    metavar: "FILE",
    example: "/var/lib/haproxy-mcp/haproxy_mcp.db",
    usedBy: database
  }),
  haproxyPoolCount: withDefault("HAPROXY_POOL_COUNT", integer(1, 100_000), "100", {
    group: "Pools",
    description: "How many backends pool_1 … pool_N haproxy.cfg declares.",
    metavar: "N",
    example: "100",
    usedBy: haproxy
  }),
  haproxyMaxSlots: withDefault("HAPROXY_MAX_SLOTS", integer(1, 1_000), "10", {
    group: "Pools",
    description: "How many servers pool_N_1 … pool_N_K each of them declares.",
    metavar: "K",
    example: "10",
    usedBy: haproxy
  }),
  haproxyCustomTlds: withDefault("HAPROXY_CUSTOM_TLDS", list(suffix), "it.com", {
    group: "Names",
    description: "Suffixes that count as public beside the public suffix list.",
    metavar: "SUFFIX,…",
    example: "it.com,eu.org",
    usedBy: ["serve", "stdio"]
  }),
  logLevel: withDefault("LOG_LEVEL", oneOf("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", {
    group: "Logs",
    description: "Least level of the JSON log lines on standard error.",
    metavar: "LEVEL",
    example: "INFO",
    usedBy: ["serve", "stdio"]
  }),
  haproxyBind: withDefault("HAPROXY_BIND", list(address), "0.0.0.0", {
    group: "Generated haproxy.cfg",
    description: "Addresses of HAProxy's frontend. For IPv6 too: 0.0.0.0,::",
    metavar: "IP,…",
    example: "203.0.113.7,2001:db8::7",
    usedBy: generated
  }),
  haproxyHttpPort: withDefault("HAPROXY_HTTP_PORT", integer(1, 65_535), "80", {
    group: "Generated haproxy.cfg",
    description: "Port of the frontend for HTTP.",
    metavar: "PORT",
    example: "8080",
    usedBy: generated
  }),
  haproxyHttpsPort: withDefault("HAPROXY_HTTPS_PORT", integer(1, 65_535), "443", {
    group: "Generated haproxy.cfg",
    description: "Port of the frontend for HTTPS, when there is a folder of certificates.",
    metavar: "PORT",
    example: "8443",
    usedBy: generated
  }),
  haproxyRuntimeCertDir: optional("HAPROXY_RUNTIME_CERT_DIR", folder, "no HTTPS", {
    group: "Generated haproxy.cfg",
    description: "Folder of certificates as HAProxy sees it. It must exist and may be empty. Turns HTTPS on.",
    metavar: "FOLDER",
    example: "/etc/haproxy/certs",
    usedBy: generated
  }),
  haproxyHttp3: withDefault("HAPROXY_HTTP3", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "HTTP/3 beside HTTPS. off for a HAProxy that was built without QUIC.",
    metavar: "on|off",
    example: "off",
    usedBy: generated
  }),
  haproxyMasterSocket: withDefault("HAPROXY_MASTER_SOCKET", path, "/run/haproxy/master.sock", {
    group: "Generated haproxy.cfg",
    description: "The master's socket, named in the command that starts HAProxy.",
    metavar: "FILE",
    example: "/run/haproxy/master.sock",
    usedBy: generated
  }),
  haproxySocketGroup: optional("HAPROXY_SOCKET_GROUP", word, "HAProxy's user alone", {
    group: "Generated haproxy.cfg",
    description: "Group that may use the Runtime API's unix socket besides HAProxy's own user.",
    metavar: "GROUP",
    example: "haproxy-mcp",
    usedBy: generated
  }),
  haproxyHealthChecks: withDefault("HAPROXY_HEALTH_CHECKS", onOff, "on", {
    group: "Generated haproxy.cfg",
    description: "TCP health checks of every server.",
    metavar: "on|off",
    example: "off",
    usedBy: generated
  })
} as const satisfies Record<string, Setting<unknown>>

/** The settings' own type, field by field. */
export type Values = {
  readonly [K in keyof typeof table]: (typeof table)[K] extends Setting<infer A, infer D> ? A | D : never
}

/** All rows, in the order of the documentation. */
export const rows: ReadonlyArray<Setting<unknown>> = Object.values(table)

/** `HAPROXY_HOST` as a flag of the CLI: `haproxy-host`. */
export const flagName = (name: string): string => name.toLowerCase().replaceAll("_", "-")

/** Settings of other versions: known, without an effect here, answered with one log line. */
export const notUsedYet: ReadonlyArray<string> = [
  "HAPROXY_REMOTE_DB_FILE",
  "HAPROXY_SSH_HOST",
  "HAPROXY_SSH_PORT",
  "HAPROXY_SSH_USER",
  "HAPROXY_SSH_KEY_FILE",
  "HAPROXY_SSH_KNOWN_HOSTS",
  "HAPROXY_CERT_DIR",
  "ACME_HOME",
  "ACME_SERVER",
  "ACME_EMAIL",
  "ACME_DNS",
  "ACME_CREDENTIALS_FILE",
  "HAPROXY_STATE_FILE",
  "HAPROXY_SERVERS_FILE",
  "HAPROXY_CERTS_FILE",
  "HAPROXY_POOL_MAX",
  "HAPROXY_CONTAINER"
]
