/**
 * A haproxy.cfg as a careful person would write it for us by hand: one frontend with the map look-ups, pools of
 * placeholder slots, the Runtime API on a unix socket and on TCP.
 */

export interface SlotConfigOptions {
  readonly pools: number
  readonly slots: number
  readonly httpPort: number
  readonly runtimeSocket: string
  readonly runtimePort: number
  /** Map paths as HAProxy shall know them. */
  readonly domainsMap: string
  readonly wildcardsMap: string
  /** Of the Runtime API; default 10s, which is HAProxy's own. */
  readonly statsTimeout?: string
  /** Options of every slot, such as `check inter 100ms`. */
  readonly serverOptions?: string
  /** Lines of the global section. */
  readonly global?: ReadonlyArray<string>
  /** Lines of the frontend, before the routing. */
  readonly frontend?: ReadonlyArray<string>
  /** Whole sections, at the end. */
  readonly sections?: ReadonlyArray<string>
  /** HTTPS beside HTTP. */
  readonly https?: TlsBind
  /** Leave the pools out, because they come from a second file. */
  readonly withoutPools?: boolean
}

/** How the frontend answers TLS. */
export interface TlsBind {
  readonly port: number
  /** `crt FOLDER` or `crt-list FILE`. */
  readonly load: string
  readonly strict: boolean
  readonly quic: boolean
}

const tlsBinds = ({ load, port, quic, strict }: TlsBind): ReadonlyArray<string> => {
  const ssl = `ssl ${load}${strict ? " strict-sni" : ""}`
  return [
    `  bind 127.0.0.1:${port} ${ssl} alpn h2,http/1.1`,
    ...(quic ? [`  bind quic4@127.0.0.1:${port} ${ssl} alpn h3`] : [])
  ]
}

/** The backends alone, for a second configuration file. */
export const slotPools = (
  options: { readonly pools: number; readonly slots: number; readonly serverOptions?: string }
): string => {
  const lines: Array<string> = []
  const suffix = options.serverOptions === undefined ? "" : ` ${options.serverOptions}`
  for (let pool = 1; pool <= options.pools; pool++) {
    lines.push(`backend pool_${pool}`, "  balance roundrobin")
    for (let slot = 1; slot <= options.slots; slot++) {
      lines.push(`  server pool_${pool}_${slot} 192.0.2.1:1 disabled${suffix}`)
    }
  }
  return lines.join("\n") + "\n"
}

/** The whole configuration. Unknown hosts get 404, pools without a server 503. */
export const slotConfig = (options: SlotConfigOptions): string => {
  const { domainsMap, wildcardsMap } = options
  const unless = "if !{ var(txn.pool) -m found }"
  const suffix = (from: string, pattern: string) => [
    `  http-request set-var(txn.suffix) ${from},regsub(${pattern},) ${unless}`,
    `  http-request set-var(txn.pool) var(txn.suffix),map_str(${wildcardsMap}) ${unless}`
  ]
  const deeper = String.raw`^\.[^.]*`
  return [
    "global",
    `  stats socket ${options.runtimeSocket} mode 600 level admin`,
    `  stats socket ipv4@127.0.0.1:${options.runtimePort} level admin`,
    `  stats timeout ${options.statsTimeout ?? "10s"}`,
    // A drained worker with open connections must not outlive a test.
    "  hard-stop-after 30s",
    // For QUIC with an OpenSSL before 3.5.
    ...(options.https?.quic === true ? ["  limited-quic"] : []),
    ...(options.global ?? []).map((line) => `  ${line}`),
    "",
    "defaults base",
    "  mode http",
    "  timeout connect 1s",
    "  timeout client 10s",
    "  timeout server 10s",
    "",
    "frontend web from base",
    `  bind 127.0.0.1:${options.httpPort}`,
    ...(options.https === undefined ? [] : tlsBinds(options.https)),
    ...(options.frontend ?? []).map((line) => `  ${line}`),
    "  http-request set-var(txn.host) req.hdr(host),field(1,:),lower",
    `  http-request set-var(txn.pool) var(txn.host),map_str(${domainsMap})`,
    ...suffix("var(txn.host)", "^[^.]*"),
    ...suffix("var(txn.suffix)", deeper),
    ...suffix("var(txn.suffix)", deeper),
    ...suffix("var(txn.suffix)", deeper),
    `  http-request return status 404 content-type text/plain string "no route" ${unless}`,
    "  use_backend %[var(txn.pool)]",
    "",
    ...(options.withoutPools === true ? [] : [slotPools(options)]),
    ...(options.sections ?? []),
    ""
  ].join("\n")
}
