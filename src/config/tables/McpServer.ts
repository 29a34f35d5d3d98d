/** What the control plane's own server is told: where it listens and whom it answers. */
import { guardrailModes } from "../../domain/Guardrail.ts"
import { scopes } from "../../domain/Principal.ts"
import { toolsets } from "../../domain/Toolset.ts"
import {
  cidr,
  duration,
  host,
  hostHeader,
  integer,
  list,
  oneOf,
  onOff,
  optional,
  origin,
  path,
  secret,
  type Setting,
  socketPath,
  toolPattern,
  users,
  withDefault
} from "../Setting.ts"

/** Where the bearer token is looked for when MCP_TOKEN_FILE is not set; it need not be there. */
export const defaultTokenFile = "/opt/haproxy/conf/mcp-token.env"

export const mcpServer = {
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
    usedBy: users.http
  }),
  mcpPort: withDefault("MCP_PORT", integer(0, 65_535), "8000", {
    group: "MCP server",
    description: "TCP port to listen on. 0 takes any free port and logs which.",
    metavar: "PORT",
    example: "8000",
    usedBy: users.http
  }),
  mcpSocket: optional("MCP_SOCKET", socketPath(95), "not set", {
    group: "MCP server",
    description: "Unix socket (mode 0660) to listen on instead of MCP_HOST and MCP_PORT.",
    metavar: "FILE",
    example: "/run/haproxy-mcp/mcp.sock",
    usedBy: users.http
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
    usedBy: users.http
  }),
  mcpAllowedOrigins: withDefault("MCP_ALLOWED_ORIGINS", list(origin), "", {
    group: "MCP server",
    description: "Browser origins that may call. Empty: none.",
    metavar: "ORIGIN,…",
    example: "https://console.example.com",
    usedBy: ["serve"]
  }),
  mcpToolsets: withDefault("MCP_TOOLSETS", list(oneOf(...toolsets)), "default", {
    group: "MCP server",
    description:
      "Groups of tools beside default, which is always offered. runtime: all that HAProxy's Runtime API can do.",
    metavar: "SET,…",
    example: "default,runtime",
    usedBy: users.serving
  }),
  mcpCallTimeout: withDefault("MCP_CALL_TIMEOUT", duration("100ms", "45s"), "10s", {
    group: "MCP server",
    description: "Longest time that one call may take.",
    metavar: "TIME",
    example: "10s",
    usedBy: users.serving
  }),
  mcpReadOnly: withDefault("MCP_READ_ONLY", onOff, "off", {
    group: "MCP server",
    description: "on leaves MCP clients only the tools that change nothing.",
    metavar: "on|off",
    example: "on",
    usedBy: users.serving
  }),
  mcpGuardrails: withDefault("MCP_GUARDRAILS", oneOf(...guardrailModes), "inform", {
    group: "MCP server",
    description: "strict: taking the last healthy server of a domain, or over 20 domains a minute, needs force.",
    metavar: "inform|strict",
    example: "strict",
    usedBy: users.serving
  }),
  mcpToolsAllow: optional("MCP_TOOLS_ALLOW", list(toolPattern), "every tool", {
    group: "MCP server",
    description: "The only tools that MCP clients may call; * stands for any text. Set and empty: none.",
    metavar: "TOOL,…",
    example: "haproxy_list_*,haproxy_*health",
    emptyCounts: true,
    usedBy: users.serving
  }),
  mcpToolsDeny: withDefault("MCP_TOOLS_DENY", list(toolPattern), "", {
    group: "MCP server",
    description: "Tools that MCP clients may not call; * stands for any text.",
    metavar: "TOOL,…",
    example: "haproxy_delete_cert,haproxy_reload",
    usedBy: users.serving
  }),
  mcpStdioScopes: withDefault("MCP_STDIO_SCOPES", list(oneOf(...scopes)), "admin", {
    group: "MCP server",
    description: "Rights of a client on standard input and output. Set and empty: none.",
    metavar: "SCOPE,…",
    example: "read,traffic",
    emptyCounts: true,
    usedBy: ["serve", "stdio"]
  }),
  mcpAdminSocket: optional("MCP_ADMIN_SOCKET", socketPath(95), "beside HAPROXY_DB_FILE, its name with .sock", {
    group: "MCP server",
    description: "Unix socket (mode 0600) by which the CLI and stdio processes reach a running `serve`.",
    metavar: "FILE",
    example: "/run/haproxy-mcp/admin.sock",
    usedBy: users.database
  })
} as const satisfies Record<string, Setting<unknown>>
