/**
 * `show stat` as CSV: every column of HAProxy in its order, with its three filters. Addresses, states and weights are
 * those of the servers; counters of traffic that a fake does not have are zero.
 */
import { type Answer, dump, message } from "./Answer.ts"
import type { Line } from "./Line.ts"
import type { Backend, Server } from "./Server.ts"
import type { Servers } from "./Servers.ts"

/** The columns of 3.0.11; see {@link added} for what came later. */
const columns30 = [
  "pxname svname qcur qmax scur smax slim stot bin bout dreq dresp ereq econ eresp wretr wredis status weight act",
  "bck chkfail chkdown lastchg downtime qlimit pid iid sid throttle lbtot tracked type rate rate_lim rate_max",
  "check_status check_code check_duration hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other hanafail",
  "req_rate req_rate_max req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp lastsess last_chk last_agt",
  "qtime ctime rtime ttime agent_status agent_code agent_duration check_desc agent_desc check_rise check_fall",
  "check_health agent_rise agent_fall agent_health addr cookie mode algo conn_rate conn_rate_max conn_tot",
  "intercepted dcon dses wrew connect reuse cache_lookups cache_hits srv_icur src_ilim qtime_max ctime_max",
  "rtime_max ttime_max eint idle_conn_cur safe_conn_cur used_conn_cur need_conn_est uweight agg_server_status",
  "agg_server_check_status agg_check_status srid sess_other h1sess h2sess h3sess req_other h1req h2req h3req",
  "proto - ssl_sess ssl_reused_sess ssl_failed_handshake h3_data h3_headers h3_cancel_push h3_push_promise",
  "h3_max_push_id h3_goaway h3_settings h3_no_error h3_general_protocol_error h3_internal_error",
  "h3_stream_creation_error h3_closed_critical_stream h3_frame_unexpected h3_frame_error h3_excessive_load",
  "h3_id_error h3_settings_error h3_missing_settings h3_request_rejected h3_request_cancelled",
  "h3_request_incomplete h3_message_error h3_connect_error h3_version_fallback pack_decompression_failed",
  "qpack_encoder_stream_error qpack_decoder_stream_error quic_rxbuf_full quic_dropped_pkt",
  "quic_dropped_pkt_bufoverrun quic_dropped_parsing_pkt quic_socket_full quic_sendto_err quic_sendto_err_unknwn",
  "quic_sent_pkt quic_lost_pkt quic_too_short_dgram quic_retry_sent quic_retry_validated quic_retry_error",
  "quic_half_open_conn quic_hdshk_fail quic_stless_rst_sent quic_conn_migration_done quic_transp_err_no_error",
  "quic_transp_err_internal_error quic_transp_err_connection_refused quic_transp_err_flow_control_error",
  "quic_transp_err_stream_limit_error quic_transp_err_stream_state_error quic_transp_err_final_size_error",
  "quic_transp_err_frame_encoding_error quic_transp_err_transport_parameter_error",
  "quic_transp_err_connection_id_limit quic_transp_err_protocol_violation_error quic_transp_err_invalid_token",
  "quic_transp_err_application_error quic_transp_err_crypto_buffer_exceeded quic_transp_err_key_update_error",
  "quic_transp_err_aead_limit_reached quic_transp_err_no_viable_path quic_transp_err_crypto_error",
  "quic_transp_err_unknown_error quic_data_blocked quic_stream_data_blocked quic_streams_blocked_bidi",
  "quic_streams_blocked_uni h2_headers_rcvd h2_data_rcvd h2_settings_rcvd h2_rst_stream_rcvd h2_goaway_rcvd",
  "h2_detected_conn_protocol_errors h2_detected_strm_protocol_errors h2_rst_stream_resp h2_goaway_resp",
  "h2_open_connections h2_backend_open_streams h2_total_connections h2_backend_total_streams h1_open_connections",
  "h1_open_streams h1_total_connections h1_total_streams h1_bytes_in h1_bytes_out h1_spliced_bytes_in",
  "h1_spliced_bytes_out"
].join(" ").split(" ")

/** Columns that came after 3.0: `[the column they follow, their names, since]`. */
const added: ReadonlyArray<readonly [string, ReadonlyArray<string>, Line]> = [
  ["ssl_failed_handshake", ["ssl_ocsp_staple", "ssl_failed_ocsp_staple"], "3.2"],
  ["proto", ["priv_idle_cur", "reqbin", "reqbout", "resbin", "resbout"], "3.4"],
  ["quic_streams_blocked_uni", ["quic_ncbuf_gap_limit"], "3.4"]
]

const columnsOf = (line: Line): ReadonlyArray<string> => {
  const names = [...columns30]
  for (const [after, more, since] of added) if (line >= since) names.splice(names.indexOf(after) + 1, 0, ...more)
  return names
}

const words = (text: string): ReadonlyArray<string> => text.split(" ")

const traffic = words(
  "scur smax stot bin bout rate rate_max req_tot wrew eint hrsp_1xx hrsp_2xx hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other reqbin reqbout resbin resbout"
)
const backendTraffic = words(
  "qcur qmax dresp econ eresp wretr wredis bck lbtot cli_abrt srv_abrt connect reuse qtime ctime rtime ttime qtime_max ctime_max rtime_max ttime_max"
)
const compression = words("dreq comp_in comp_out comp_byp comp_rsp cache_lookups cache_hits")

/** The columns that are zero, not empty, in a row of this kind. */
const zeroColumns = {
  frontend: new Set([
    ...traffic,
    ...compression,
    ...words(
      "dresp ereq sid type rate_lim req_rate req_rate_max conn_rate conn_rate_max conn_tot intercepted dcon dses"
    ),
    ...words("sess_other h1sess h2sess h3sess req_other h1req h2req h3req")
  ]),
  backend: new Set([
    ...traffic,
    ...compression,
    ...backendTraffic,
    ...words("sid act chkdown agg_server_status agg_server_check_status agg_check_status")
  ]),
  server: new Set([
    ...traffic,
    ...backendTraffic,
    ...words("srv_icur idle_conn_cur safe_conn_cur used_conn_cur need_conn_est srid priv_idle_cur")
  ])
}

type Kind = keyof typeof zeroColumns

/** The modules' columns, after `-`: all have TLS's, servers have no others, and QUIC is a frontend's before 3.4. */
const moduleZero = (line: Line, kind: Kind, column: string): boolean => {
  if (column.startsWith("ssl_")) return true
  if (kind === "server") return false
  return kind === "frontend" || line === "3.4" || column.startsWith("h1_") || column.startsWith("h2_")
}

const row = (
  line: Line,
  columns: ReadonlyArray<string>,
  kind: Kind,
  values: Readonly<Record<string, string | number>>
) => {
  const own = columns.indexOf("-")
  return columns.map((column, index) => {
    if (index === own) return "-"
    const zero = index < own ? zeroColumns[kind].has(column) : moduleZero(line, kind, column)
    return values[column] ?? (zero ? "0" : "")
  }).join(",") + ",\n"
}

const statusOf = (server: Server): string => {
  if (server.state === "maint") return "MAINT"
  if (!server.up) return "DOWN"
  if (server.state === "drain") return "DRAIN"
  return server.check ? "UP" : "no check"
}

const serverValues = (backend: Backend, server: Server, now: number) => {
  const seconds = Math.floor((now - server.changed) / 1000)
  const checked = server.check && server.state !== "maint"
  return {
    pxname: backend.name,
    svname: server.name,
    status: statusOf(server),
    weight: server.weight,
    act: 1,
    lastchg: seconds,
    ...(server.check ? { chkfail: 0, chkdown: 0, downtime: server.up ? 0 : seconds } : {}),
    pid: 1,
    iid: backend.id,
    sid: server.id,
    type: 2,
    ...(checked
      ? {
        check_status: server.up ? "L4OK" : "L4CON",
        check_duration: 0,
        check_desc: server.up ? "Layer4 check passed" : "Layer4 connection problem",
        check_rise: 2,
        check_fall: 3,
        check_health: server.up ? 4 : 0
      }
      : {}),
    lastsess: -1,
    addr: server.address.includes(":") ? `[${server.address}]:${server.port}` : `${server.address}:${server.port}`,
    mode: "http",
    uweight: server.weight
  }
}

const backendValues = (line: Line, backend: Backend, now: number) => {
  const servers = [...backend.servers.values()]
  const usable = servers.filter((server) => server.up && server.state === "ready" && server.weight > 0)
  const weight = usable.reduce((sum, server) => sum + server.weight, 0)
  const seconds = Math.floor((now - Math.max(backend.changed, ...servers.map(({ changed }) => changed))) / 1000)
  return {
    pxname: backend.name,
    svname: "BACKEND",
    slim: 1,
    status: weight > 0 ? "UP" : "DOWN",
    weight,
    act: usable.length,
    lastchg: seconds,
    downtime: weight > 0 ? 0 : seconds,
    pid: 1,
    iid: backend.id,
    type: 1,
    lastsess: -1,
    mode: "http",
    algo: line === "3.4" ? "unknown" : "roundrobin",
    uweight: weight
  }
}

/** `show stat [<proxy> <types> <server>]`; with fewer than three filters HAProxy ignores them all. */
export const showStat = (
  argv: ReadonlyArray<string>,
  line: Line,
  frontends: ReadonlyArray<string>,
  { backends }: Servers,
  now: number
): Answer | undefined => {
  const filtered = argv[4] !== undefined
  const proxy = filtered ? argv[2]! : "-1"
  const types = filtered ? Number.parseInt(argv[3]!, 10) || 0 : -1
  const sid = filtered ? Number.parseInt(argv[4]!, 10) || 0 : -1
  if (!filtered && /^(typed|json)$/.test(argv[2] ?? "")) return undefined
  const named = (name: string, id: number) => proxy === "-1" || name === proxy || String(id) === proxy
  const columns = columnsOf(line)
  const rows: Array<string> = []
  let found = proxy === "-1"
  frontends.forEach((name, index) => {
    if (!named(name, 2 + index)) return
    found = true
    if ((types & 1) === 0) return
    rows.push(row(line, columns, "frontend", {
      pxname: name,
      svname: "FRONTEND",
      slim: 9983,
      status: "OPEN",
      pid: 1,
      iid: 2 + index,
      mode: "http"
    }))
  })
  for (const backend of backends.values()) {
    if (!named(backend.name, backend.id)) continue
    found = true
    if ((types & 4) !== 0) {
      for (const server of backend.servers.values()) {
        if (sid === -1 || sid === server.id) rows.push(row(line, columns, "server", serverValues(backend, server, now)))
      }
    }
    if ((types & 2) !== 0) rows.push(row(line, columns, "backend", backendValues(line, backend, now)))
  }
  return found ? dump(`# ${columns.join(",")},\n${rows.join("")}`) : message(3, "No such proxy.")
}
