/** Tools that say what HAProxy does now: servers, backends, frontends, connections, and all at a glance. */
import * as Schema from "effect/Schema"
import { connections, listBackends } from "../../program/Backends.ts"
import { backendStatuses, serverStatuses } from "../../program/MonitoringShapes.ts"
import { serverHealth } from "../../program/ServerHealth.ts"
import { listFrontends, statistics } from "../../program/Statistics.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

/** Numbers of answers; what they count is never below 0, and a schema that says so of each is longer. */
const count = (description: string) => Schema.Int.annotate({ description })
const countOrNull = (description: string) => Schema.NullOr(Schema.Int).annotate({ description })

const { cursor, limit } = Field.paging(50)
const page = {
  total: count("Rows on all pages."),
  next_cursor: Field.textOrNull("Cursor of the next page; null on the last.")
}

const name = Field.text("Its name.")
const domain = Field.textOrNull("Domain that owns it; null: not one of our pools in use.")
const backendName = Schema.optionalKey(
  Field.text("Only this backend, by HAProxy's name such as pool_3.")
)
const sessions = count("Open now.")
const sessionsMax = count("Most at once.")
const queue = count("Requests that wait for a server.")
const sessionRate = count("New sessions per second.")
const requests = count("Requests since HAProxy's start.")
const bytesIn = count("Bytes from clients.")
const bytesOut = count("Bytes to clients.")
const up = count("Servers that take requests.")
const lastChange = count("Seconds since the status changed.")

/** Numbers by names. */
const numbers = (description: string) => Schema.Record(Schema.String, Schema.Int).annotate({ description })
const responses = numbers("Responses by class: 1xx to 5xx, other. 0 is left out.")
const errors = numbers("With servers: connection, response, retries; denied by rules. 0 is left out.")

const backendStatus = Schema.Literals(backendStatuses).annotate({
  description: "By its servers that take requests: all, some, none; or it has none."
})

export const serverHealthTool = tool({
  name: "haproxy_get_server_health",
  title: "Health of servers",
  scope: "read",
  description:
    "Lists every server in use as HAProxy sees it now: status, last health check, since when, weight, sessions. "
    + "Use it to find what is down (status=down), of one backend or all. One domain: haproxy_domain_health; to act: "
    + "haproxy_set_server_state.",
  annotations: reads,
  input: {
    backend: backendName,
    search: Schema.optionalKey(Field.text("Text in name, backend, domain or address.")),
    status: Schema.optionalKey(
      Schema.Literals(serverStatuses).annotate({ description: "Only those." })
    ),
    limit,
    cursor
  },
  output: {
    summary: Field.summary,
    servers: Schema.Array(
      Schema.Struct({
        name,
        backend: Field.text("Its backend."),
        domain,
        addr: Field.text("Address and port."),
        status: Field.text("UP, DOWN, MAINT, DRAIN, no check or UP 1/3, as HAProxy says."),
        check_status: Field.text("Last health check, such as L4OK; empty without checks."),
        check_code: countOrNull("HTTP status or the like that it was answered with."),
        check_ms: countOrNull("Milliseconds that it took."),
        last_check: Field.text("What the server said; not to be trusted."),
        last_change_sec: lastChange,
        weight: count("Share of the traffic."),
        sessions
      })
    ).annotate({ description: "One page, by backend and name." }),
    ...page,
    counts: Schema.Record(Schema.String, Schema.Int).annotate({
      description: "up, down, drain, maint: how many servers, whatever the filters."
    }),
    empty_slots: count("Slots without a server.")
  },
  program: serverHealth
})

export const statsTool = tool({
  name: "haproxy_stats",
  title: "Statistics",
  scope: "read",
  description:
    "HAProxy at a glance: process (connections, rates, TLS, idle, memory), busiest frontends and backends, sums, "
    + "and what is down or degraded. Call it first when traffic or load is the question. Next: haproxy_backends, "
    + "haproxy_get_connections.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    version: Field.text("HAProxy's version."),
    process: numbers(
      "uptime_sec, threads, idle_percent, connections, connections_limit, limit_reached, tls_connections, requests, "
        + "bytes_out, memory_pools_bytes, tasks, run_queue, dropped_logs; a second: connection_rate, session_rate, "
        + "tls_rate, bytes_out_rate."
    ),
    frontends: Schema.Array(
      Schema.Struct({
        name,
        status: Field.text("OPEN, FULL, PAUSED or STOP."),
        sessions,
        sessions_max: sessionsMax,
        request_rate: count("Requests per second."),
        requests,
        bytes_in: bytesIn,
        bytes_out: bytesOut,
        responses,
        denied: count("Refused by rules.")
      })
    ).annotate({ description: "The ten busiest." }),
    frontends_total: count("How many there are."),
    backends: numbers(
      "pools, others, unused_pools; healthy, degraded, down, no_servers; sessions, queue, bytes_in, bytes_out."
    ),
    responses,
    errors,
    busiest: Schema.Array(Schema.Struct({ name, domain, sessions, queue, session_rate: sessionRate })).annotate({
      description: "Backends with most sessions."
    }),
    unhealthy: Schema.Array(
      Schema.Struct({ name, domain, status: backendStatus, servers_up: up, servers_total: count("Of so many.") })
    ).annotate({ description: "Down ones first, at most 20." })
  },
  program: () => statistics
})

export const backendsTool = tool({
  name: "haproxy_backends",
  title: "List backends",
  scope: "read",
  description:
    "Lists the backends in use, our pools and others, with status, sessions, queue, rates, bytes, responses, "
    + "errors and average times. Use it to see which site is busy, slow or failing. Next: haproxy_get_server_health "
    + "for the servers of one.",
  annotations: reads,
  input: {
    search: Schema.optionalKey(Field.text("Text in name or domain.")),
    status: Schema.optionalKey(Schema.Literals(backendStatuses).annotate({ description: "Only those." })),
    limit,
    cursor
  },
  output: {
    summary: Field.summary,
    backends: Schema.Array(
      Schema.Struct({
        name,
        domain,
        status: backendStatus,
        servers_up: up,
        servers_total: count("Of so many."),
        sessions,
        sessions_max: sessionsMax,
        session_rate: sessionRate,
        queue,
        requests,
        bytes_in: bytesIn,
        bytes_out: bytesOut,
        responses,
        errors,
        times_ms: numbers("Averages: queue, connect, response, total. 0 is left out."),
        last_change_sec: lastChange
      })
    ).annotate({ description: "One page: our pools by number, then others by name." }),
    ...page,
    unused_pools: count("Our free pools.")
  },
  program: listBackends
})

export const listFrontendsTool = tool({
  name: "haproxy_list_frontends",
  title: "List frontends",
  scope: "read",
  description:
    "Lists HAProxy's frontends with the sockets they listen on, status, sessions and their limit, rates, bytes, "
    + "what was denied and responses by class. Use it to see what arrives and whether a limit is near. Servers' "
    + "side: haproxy_backends.",
  annotations: reads,
  input: { search: Schema.optionalKey(Field.text("Text in the name.")), limit, cursor },
  output: {
    summary: Field.summary,
    frontends: Schema.Array(
      Schema.Struct({
        name,
        mode: Field.text("http or tcp."),
        status: Field.text("OPEN, FULL, PAUSED or STOP."),
        binds: Field.texts("Sockets; * where the address is not known. At most 20."),
        sessions,
        sessions_max: sessionsMax,
        sessions_limit: countOrNull("Its maxconn."),
        connection_rate: count("New connections per second."),
        session_rate: sessionRate,
        request_rate: count("Requests per second."),
        requests,
        bytes_in: bytesIn,
        bytes_out: bytesOut,
        responses,
        denied: numbers("requests, connections, sessions refused by rules. 0 is left out."),
        request_errors: count("Requests that were malformed or cut.")
      })
    ).annotate({ description: "One page, by name." }),
    ...page
  },
  program: listFrontends
})

const load = {
  name,
  sessions,
  sessions_max: sessionsMax,
  sessions_limit: countOrNull("Server: maxconn. Backend: fullconn."),
  queue,
  queue_max: count("Most that waited at once.")
}

export const connectionsTool = tool({
  name: "haproxy_get_connections",
  title: "Connections",
  scope: "read",
  description:
    "Shows how many sessions each backend and its servers have now, with limits and queues, the busiest first. Use "
    + "it to find where the load is and before a drain. Next: haproxy_wait_drain, haproxy_set_server_weight.",
  annotations: reads,
  input: {
    backend: backendName,
    ...Field.paging(20)
  },
  output: {
    summary: Field.summary,
    connections: count("Connections of clients now."),
    connections_limit: count("HAProxy's maxconn."),
    backends: Schema.Array(
      Schema.Struct({
        ...load,
        domain,
        servers_total: count("Its servers."),
        servers: Schema.Array(Schema.Struct({ ...load, addr: Field.text("Address and port.") })).annotate({
          description: "The busiest."
        })
      })
    ).annotate({ description: "One page, the busiest first." }),
    ...page,
    idle_backends: count("Backends in use without sessions.")
  },
  program: connections
})
