/**
 * The haproxy.cfg that `haproxy-mcp config` prints: complete, commented, the same for HAProxy 3.0, 3.2 and 3.4.
 *
 * It holds what belongs to the operator: sockets, frontends, time limits, what the pools have in common. With a
 * pools file the pools themselves are in pools.cfg, which is ours (domain/PoolsConfig.ts) and loaded as a second
 * `-f`; without one they are here as placeholders, and after a restart of HAProxy alone its sites answer 503 until
 * the control plane has put the servers back. It is printed, never written over a file of the operator's.
 *
 * Routing is look-ups in trees (`map_str`): the whole host in domains.map, else its suffixes in wildcards.map, at
 * most {@link wildcardLevels} of them, the nearest first.
 */
import { formatEndpoint } from "../domain/Address.ts"
import type { PoolLimits } from "../domain/Pool.ts"
import * as PoolsConfig from "../domain/PoolsConfig.ts"
import { commandPath, comment, isPlain, type Lines, section, word } from "./ConfigText.ts"
import * as Https from "./HttpsConfig.ts"

/** `*.example.com` matches hosts with up to this many labels in place of the star. */
export const wildcardLevels = 4

/** The named defaults section of the frontend; the one of the pools ({@link PoolsConfig.poolsDefaults}) builds on it. */
export const baseDefaults = "haproxy_mcp_base"
const webFrontend = "haproxy_mcp_web"
const controlBackend = "haproxy_mcp_control"

/** What to print a configuration for. Paths are those that HAProxy sees. */
export interface HaproxyConfigOptions {
  readonly limits: PoolLimits
  readonly maps: { readonly domains: string; readonly wildcards: string }
  /** pools.cfg; null puts placeholder pools into this file. */
  readonly poolsFile: string | null
  /** Addresses of the frontend, IPv4 or IPv6. */
  readonly addresses: ReadonlyArray<string>
  readonly httpPort: number
  readonly httpsPort: number
  /** HTTPS; null: HTTP alone. */
  readonly tls: Https.HttpsOptions | null
  readonly runtime: {
    /** Unix socket of the Runtime API, and the group that may use it besides HAProxy's own user. */
    readonly socket: { readonly path: string; readonly group: string | null } | null
    readonly tcp: { readonly ip: string; readonly port: number } | null
  }
  /** The master's socket, for reloads. */
  readonly masterSocket: string
  /** A host name under which the control plane itself is reached, and where it listens (on this machine if 0.0.0.0). */
  readonly mcp: { readonly host: string; readonly ip: string; readonly port: number } | null
  /** HAProxy's `log` arguments; null logs nothing. */
  readonly log: string | null
  /** TCP checks of every server. */
  readonly healthChecks: boolean
}

/** What most setups want; the rest comes from the settings. */
export const defaultOptions: Omit<HaproxyConfigOptions, "limits" | "maps" | "poolsFile"> = {
  addresses: ["0.0.0.0"],
  httpPort: 80,
  httpsPort: 443,
  tls: null,
  runtime: { socket: { path: "/run/haproxy/admin.sock", group: null }, tcp: null },
  masterSocket: "/run/haproxy/master.sock",
  mcp: null,
  log: "stdout format raw daemon",
  healthChecks: true
}

const mapHint =
  "Choose another HAPROXY_MAP_FILE, or set HAPROXY_RUNTIME_MAP_FILE to a path of the same file without them, such as one relative to the folder that HAProxy runs in."
const mapPath = (path: string): string => commandPath(path, "the map", mapHint)
const mapLookup = (value: string, path: string): string =>
  isPlain(mapPath(path)) ? `${value},map_str(${path})` : `'${value},map_str("${path}")'`

const head = (options: HaproxyConfigOptions): Lines => {
  const files = ["haproxy.cfg", ...(options.poolsFile === null ? [] : [options.poolsFile])]
  return [
    ...comment(
      "HAProxy configuration for haproxy-mcp, for HAProxy 3.0, 3.2 and 3.4. This file is yours: change what you like.",
      "haproxy-mcp needs from it: the Runtime API socket, the maps, the pools, and the section",
      `\`defaults ${PoolsConfig.poolsDefaults}\`.`,
      "",
      "Start (master-worker mode, so that a reload keeps connections):",
      `  haproxy -W -S ${word(options.masterSocket)} ${files.map((file) => `-f ${word(file)}`).join(" ")}`,
      "The map files must exist: start haproxy-mcp once before HAProxy, or create them empty.",
      ...(options.tls === null ? [] : Https.needed(options.tls)),
      "HAProxy runs one thread per CPU by itself; `nbthread` is only for using fewer."
    ).map((line) => line.trimEnd()),
    ""
  ]
}

const global = ({ runtime: { socket, tcp }, tls, log }: HaproxyConfigOptions): Lines =>
  section(
    "global",
    log === null ? [] : [`log ${log}`],
    socket === null ? [] : [
      ...comment("Whoever can open this socket commands HAProxy: keep it to the user of haproxy-mcp."),
      socket.group === null
        ? `stats socket ${word(socket.path)} mode 600 level admin`
        : `stats socket ${word(socket.path)} mode 660 group ${socket.group} level admin`
    ],
    tcp === null ? [] : [
      ...comment(
        "This port has no password at all: every process that reaches it commands HAProxy.",
        "Never bind it to an address that others can reach; a unix socket is safer."
      ),
      `stats socket ${tcp.ip.includes(":") ? "ipv6" : "ipv4"}@${formatEndpoint(tcp.ip, tcp.port)} level admin`
    ],
    comment("haproxy-mcp keeps a connection: do not cut it when it is quiet, and leave room for others."),
    ["stats timeout 1h", "stats maxconn 20"],
    comment("After a reload, connections of the old worker (WebSockets too) may stay this long."),
    ["hard-stop-after 1h"],
    tls === null ? [] : Https.globalLines(tls)
  )

const base = ({ log }: HaproxyConfigOptions): Lines =>
  section(
    `defaults ${baseDefaults}`,
    ["mode http"],
    log === null ? [] : ["log global", "option httplog", "option dontlognull"],
    [
      "timeout connect 5s",
      "timeout client 60s",
      "timeout server 60s",
      "timeout http-request 10s",
      "timeout http-keep-alive 60s",
      "timeout queue 10s"
    ],
    comment("A reload ends a kept connection with its next answer, not at a moment when a request may be on its way."),
    ["option idle-close-on-response"],
    comment("WebSockets and other upgraded connections may be quiet this long."),
    ["timeout tunnel 1h", "timeout client-fin 30s", "timeout server-fin 30s"]
  )

const pools = ({ healthChecks }: HaproxyConfigOptions): Lines => [
  ...comment(
    "What all pools have in common. The name is fixed: pools.cfg and pools made at run time refer to it.",
    "Servers change at run time, so the balance algorithm must be a dynamic one (roundrobin, leastconn, random)."
  ),
  ...section(
    `defaults ${PoolsConfig.poolsDefaults} from ${baseDefaults}`,
    ["balance roundrobin", "option redispatch"],
    healthChecks ? ["default-server check inter 5s fastinter 1s fall 3 rise 2"] : [],
    [
      "http-error status 503 content-type text/plain string \"No server of this site is ready. Try again soon.\\n\""
    ]
  )
]

const binds = ({ addresses, httpPort, httpsPort, tls }: HaproxyConfigOptions): Lines => [
  ...addresses.map((ip) => `bind ${formatEndpoint(ip, httpPort)}${ip === "::" ? " v6only" : ""}`),
  ...(tls === null ? [] : Https.bindLines(tls, { addresses, httpsPort }))
]

const routing = ({ httpsPort, maps, tls }: HaproxyConfigOptions): Lines => {
  const unless = "if !{ var(txn.pool) -m found }"
  const level = (n: number): Lines => [
    n === 1
      ? `http-request set-var(txn.suffix) var(txn.host),regsub(^[^.]*,) ${unless}`
      : String.raw`http-request set-var(txn.suffix) var(txn.suffix),regsub(^\.[^.]*,) ${unless}`,
    `http-request set-var(txn.pool) ${mapLookup("var(txn.suffix)", maps.wildcards)} ${unless}`
  ]
  return [
    ...comment("The exact host."),
    `http-request set-var(txn.pool) ${mapLookup("var(txn.host)", maps.domains)} ${unless}`,
    ...comment(
      `Else its suffixes, nearest first: for a.b.example.com .b.example.com, then .example.com; ${wildcardLevels} levels at most.`,
      "These are look-ups in a tree; map_end and map_dom would scan the whole list at every request."
    ),
    ...Array.from({ length: wildcardLevels }, (_, index) => level(index + 1)).flat(),
    `http-request return status 404 content-type text/plain string "No site has this name here.\\n" ${unless}`,
    ...(tls === null ? [] : Https.redirectLines(tls, httpsPort)),
    "use_backend %[var(txn.pool)]"
  ]
}

const frontend = (options: HaproxyConfigOptions): Lines => {
  const { tls, mcp, httpsPort } = options
  return section(
    `frontend ${webFrontend} from ${baseDefaults}`,
    binds(options),
    ["", ...comment("The host name: lower case, without port and final dot.")],
    ["http-request set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)"],
    ["", ...comment("Who asks, said by us alone: what the client sent under these names is dropped.")],
    [
      "http-request set-header X-Forwarded-For %[src]",
      "http-request del-header Forwarded",
      ...(tls === null
        ? ["http-request set-header X-Forwarded-Proto http"]
        : [
          "http-request set-header X-Forwarded-Proto http unless { ssl_fc }",
          "http-request set-header X-Forwarded-Proto https if { ssl_fc }"
        ])
    ],
    tls === null ? [] : Https.altSvcLines(tls, httpsPort),
    mcp === null ? [] : [
      "",
      ...comment(
        "haproxy-mcp itself. It checks tokens; here nothing is decided"
          + (tls === null ? "." : ", but that no token goes unencrypted: it needs a certificate.")
      ),
      ...(tls === null ? [] : [
        `${Https.redirectTo(httpsPort)} if { var(txn.host) -m str ${mcp.host} } !{ ssl_fc }`
      ]),
      `http-request set-var(txn.pool) str(${controlBackend}) if { var(txn.host) -m str ${mcp.host} }`
    ],
    ["", ...routing(options)]
  )
}

/** Where to connect to reach what is bound to every address of this machine. */
const reachable = (ip: string): string => ip === "0.0.0.0" ? "127.0.0.1" : ip === "::" ? "::1" : ip

const control = ({ mcp }: HaproxyConfigOptions): Lines =>
  mcp === null ? [] : section(
    `backend ${controlBackend} from ${baseDefaults}`,
    comment("Event streams may be quiet for long."),
    ["timeout server 1h", `server control ${formatEndpoint(reachable(mcp.ip), mcp.port)}`]
  )

const inlinePools = ({ limits, poolsFile }: HaproxyConfigOptions): Lines =>
  poolsFile !== null ? [] : [
    ...comment(
      "The pools. A slot is empty while it points at 192.0.2.1:1 (an address that nobody has) and is disabled;",
      "haproxy-mcp fills slots at run time. After a restart they are empty until haproxy-mcp has filled them again:",
      "with HAPROXY_POOLS_FILE set it keeps them in a file of its own instead, and HAProxy serves at once."
    ),
    Buffer.concat(PoolsConfig.bytes(PoolsConfig.make(limits, [])).slice(1)).toString().trim(),
    ""
  ]

/** The text of haproxy.cfg. Throws `UnusablePath` (ConfigText.ts). */
export const render = (options: HaproxyConfigOptions): string =>
  [
    ...head(options),
    ...global(options),
    ...base(options),
    ...pools(options),
    ...frontend(options),
    ...control(options),
    ...inlinePools(options)
  ].join("\n")
