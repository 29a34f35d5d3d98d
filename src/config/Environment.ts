/**
 * The variables of the environment that are named like ours: which are settings, which belong to others (and are
 * left alone), and which are mistakes. Only names are ever shown, since a misspelt name may hold a secret.
 */
import { distance } from "../domain/EditDistance.ts"
import { notUsedYet, rows } from "./Table.ts"

/** What the variables named MCP_*, HAPROXY_* and ACME_* turned out to be. */
export interface Sorted {
  /** Neither ours nor known to be someone else's, with the nearest settings. */
  readonly unknown: ReadonlyArray<{ readonly name: string; readonly nearest: ReadonlyArray<string> }>
  /** Settings that this version does not use. */
  readonly unused: ReadonlyArray<string>
  /** Injected by Kubernetes for a Service whose name begins like our variables. */
  readonly kubernetes: ReadonlyArray<string>
}

/** Service links: variables that Kubernetes makes for every Service (`{NAME}_SERVICE_HOST`, `{NAME}_PORT_80_TCP`…). */
const serviceLink = /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$/
const serviceAddress = /^(?:tcp|udp|sctp):\/\//i

/** Is it the address that Kubernetes puts into `{NAME}_PORT`? It replaces a setting of ours for a Service "haproxy". */
export const isServiceAddress = (name: string, value: string): boolean =>
  name.endsWith("_PORT") && serviceAddress.test(value)

/**
 * Variables of others that begin like ours: HAProxy's own (configuration.txt, "Environment variables") and those of
 * its container images, those of MCP clients that hand their whole environment to a stdio server, and acme.sh's own
 * (3.0.6 to 3.1.5), which it does not get from here.
 */
const others = new Set(
  `HAPROXY_VERSION HAPROXY_URL HAPROXY_SHA256 HAPROXY_SRC_URL HAPROXY_BRANCH HAPROXY_MINOR HAPROXY_MD5 HAPROXY_UID
  HAPROXY_GID HAPROXY_CFGFILES HAPROXY_CLI HAPROXY_MASTER_CLI HAPROXY_MWORKER HAPROXY_LOCALPEER
  HAPROXY_STARTUP_VERSION HAPROXY_HTTP_LOG_FMT HAPROXY_HTTPS_LOG_FMT HAPROXY_TCP_LOG_FMT HAPROXY_HTTP_CLF_LOG_FMT
  HAPROXY_TCP_CLF_LOG_FMT HAPROXY_KEYLOG_FC_LOG_FMT HAPROXY_KEYLOG_BC_LOG_FMT
  MCP_TIMEOUT MCP_TOOL_TIMEOUT MCP_CONNECTION_NONBLOCKING MCP_SERVER_CONNECTION_BATCH_SIZE MCP_CLIENT_SECRET
  MCP_REMOTE_SERVER_CONNECTION_BATCH_SIZE MCP_OAUTH_CALLBACK_PORT MCP_XAA_IDP_CLIENT_SECRET MCP_REMOTE_CONFIG_DIR
  MCP_PROXY_AUTH_TOKEN MCP_PROXY_FULL_ADDRESS MCP_SERVER_REQUEST_TIMEOUT MCP_REQUEST_MAX_TOTAL_TIMEOUT
  MCP_REQUEST_TIMEOUT_RESET_ON_PROGRESS MCP_AUTO_OPEN_ENABLED
  ACME_DIRECTORY ACME_DIR ACME_OPENSSL_BIN ACME_USE_WGET ACME_USE_IPV4_REQUESTS ACME_USE_IPV6_REQUESTS
  ACME_HTTP_NO_REDIRECTS ACME_NO_COLOR ACME_FORCE_COLOR ACME_PACKAGED ACME_AGREEMENT ACME_KEY_CHANGE ACME_NEW_ACCOUNT
  ACME_NEW_AUTHZ ACME_NEW_NONCE ACME_NEW_ORDER ACME_REVOKE_CERT ACME_RENEWAL_INFO`.split(/\s+/)
)

/** The settings that a wrong name was probably meant for: at most three, best first. */
const nearest = (name: string): ReadonlyArray<string> => {
  const candidates = rows.map((row) => ({ name: row.name, distance: distance(name, row.name) }))
    .filter((candidate) => candidate.distance <= Math.max(3, name.length / 3))
    .sort((a, b) => a.distance - b.distance)
  const best = candidates[0]?.distance ?? 0
  return candidates.filter((candidate) => candidate.distance <= best + 1).slice(0, 3).map((candidate) => candidate.name)
}

/** Sorts the variables that begin like ours. Empty ones count as not set. */
export const sortVariables = (env: Readonly<Record<string, string | undefined>>): Sorted => {
  const known = new Set(rows.map((row) => row.name))
  const unused = new Set(notUsedYet)
  const sorted = {
    unknown: [] as Array<Sorted["unknown"][number]>,
    unused: [] as Array<string>,
    kubernetes: [] as Array<string>
  }
  for (const name of Object.keys(env).sort()) {
    const value = env[name]
    if (value === undefined || value === "" || known.has(name) || !/^(?:MCP|HAPROXY|ACME)_/.test(name)) continue
    if (serviceLink.test(name) || isServiceAddress(name, value)) sorted.kubernetes.push(name)
    else if (unused.has(name)) sorted.unused.push(name)
    else if (!others.has(name)) sorted.unknown.push({ name, nearest: nearest(name) })
  }
  return sorted
}
