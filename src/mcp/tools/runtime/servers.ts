/** Tools on frontends, backends and servers beyond our pools. */
import * as Schema from "effect/Schema"
import { showBackend } from "../../../program/runtime/Backend.ts"
import { setFrontend } from "../../../program/runtime/Frontends.ts"
import { addRuntimeServer, deleteRuntimeServer, setRuntimeServer } from "../../../program/runtime/Servers.ts"
import { showTopology } from "../../../program/runtime/Topology.ts"
import { reads, removes, sets, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

const backend = Field.text("Backend that is not one of our pools.")
const server = Field.text("Name of the server.")

const onOff = Schema.Literals(["none", "on", "off"])

const serverDetail = Schema.Struct({
  name: Field.text("Its name."),
  addr: Field.text("Address and port."),
  state: Field.state,
  status: Field.text("UP, DOWN, MAINT, DRAIN or no check, as HAProxy says."),
  weight: Runtime.int("Share of the traffic."),
  maxconn: Runtime.intOrNull("Most connections; null: no limit."),
  checks: onOff.annotate({ description: "Health checks." }),
  check_status: Field.text("Last health check."),
  agent_checks: onOff.annotate({ description: "Agent checks." }),
  backup: Field.flag("Used only while no other server takes requests."),
  sessions: Runtime.int("Open now."),
  queue: Runtime.int("Requests that wait.")
})

const written = {
  summary: Field.summary,
  changed: Runtime.changed,
  backend: Field.text("Its backend."),
  server: Schema.NullOr(serverDetail).annotate({ description: "The server now; null: gone." }),
  ...Field.planned
}

export const topologyShowTool = tool({
  name: "haproxy_topology_show",
  title: "Topology",
  description:
    "Shows the way of requests: frontends with the backends they lead to, and backends in use with their frontends, "
    + "servers, addresses and the domains that lead there. Use it to see how all hangs together, or what a backend "
    + "serves. One request: haproxy_explain.",
  annotations: reads,
  scope: "read",
  input: {
    frontend: Runtime.maybe("Only what this one leads to."),
    search: Runtime.maybe("Text in the backend's name or domain."),
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    frontends: Schema.Array(
      Schema.Struct({
        name: Field.text("Its name."),
        status: Field.text("OPEN, FULL, PAUSED or STOP."),
        mode: Field.text("http or tcp."),
        by_our_maps: Field.flag("It looks hosts up in our maps: it leads to all our pools."),
        backends: Field.texts("Backends that its lines name.")
      })
    ).annotate({ description: "At most 20." }),
    frontends_known: Field.flag("haproxy.cfg could be read here."),
    backends: Schema.Array(
      Schema.Struct({
        name: Field.text("Its name."),
        ours: Field.flag("One of our pools."),
        frontends: Field.texts("That lead here."),
        domains: Field.texts("That lead here, at most 5."),
        domains_total: Runtime.int("How many do."),
        servers: Field.texts("Name, address and status, at most 10.")
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showTopology
})

export const backendShowTool = tool({
  name: "haproxy_backend_show",
  title: "Backend in detail",
  description:
    "Shows one backend, ours or not, with the domains that lead to it and each server in detail: address, state, status, "
    + "weight, maxconn, health checks, agent checks, backup, sessions, queue. Use it before haproxy_server_set. All "
    + "backends: haproxy_backends.",
  annotations: reads,
  scope: "read",
  input: { backend: Field.text("Its name."), ...Field.paging(50) },
  output: {
    summary: Field.summary,
    backend: Field.text("Its name."),
    ours: Field.flag("One of our pools."),
    status: Field.text("UP or DOWN."),
    domains: Field.texts("That lead here, at most 20."),
    domains_total: Runtime.int("How many do."),
    sessions: Runtime.int("Open now."),
    queue: Runtime.int("Requests that wait."),
    servers: Schema.Array(serverDetail).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showBackend
})

export const frontendSetTool = tool({
  name: "haproxy_frontend_set",
  title: "Enable, disable or limit a frontend",
  description:
    "Enables or disables a frontend (its sockets refuse new connections, open ones go on) or sets its maxconn, "
    + "until HAProxy's next start. Disabling one takes all its sites down: ask the user first. See haproxy_list_frontends.",
  annotations: removes,
  scope: "runtime",
  input: {
    frontend: Field.text("Its name."),
    state: Runtime.maybeOneOf(["enabled", "disabled"], "Takes connections or not."),
    maxconn: Runtime.maybeWhole(1, 1_000_000, "Most connections."),
    ...Field.dryRun
  },
  output: {
    summary: Field.summary,
    changed: Runtime.changed,
    frontend: Field.text("Its name."),
    status: Field.text("OPEN, FULL or PAUSED."),
    maxconn: Runtime.intOrNull("Most connections."),
    ...Field.planned
  },
  program: setFrontend
})

export const serverAddTool = tool({
  name: "haproxy_server_add",
  title: "Add a dynamic server",
  description:
    "Makes a dynamic server in a backend that is not one of our pools, until HAProxy's next start; it takes traffic at "
    + "once unless state says otherwise. The backend needs a dynamic balance algorithm. For a domain of ours: "
    + "haproxy_add_server. Delete it with haproxy_server_delete.",
  annotations: sets,
  scope: "runtime",
  input: {
    backend,
    server,
    ip: Field.ip,
    port: Field.whole(1, 65_535, "TCP port."),
    weight: Runtime.maybeWhole(0, 256, "Share of the traffic.", 1),
    maxconn: Runtime.maybeWhole(1, 1_000_000, "Most connections."),
    checks: Field.offUnlessSaid("Health checks."),
    backup: Field.offUnlessSaid("Only while no other takes requests."),
    state: Runtime.maybeOneOf(["ready", "drain", "maint"], "State to begin in.", "ready"),
    ...Field.dryRun
  },
  output: written,
  program: addRuntimeServer
})

export const serverDeleteTool = tool({
  name: "haproxy_server_delete",
  title: "Delete a dynamic server",
  description:
    "Deletes a server of a backend that is not one of our pools: lets its sessions end for up to drain seconds, then "
    + "waits until HAProxy can remove it. With sessions left it is refused and gets its state back. For a domain of ours: "
    + "haproxy_remove_server.",
  annotations: removes,
  scope: "runtime",
  input: { backend, server, drain: Runtime.maybeWhole(0, 35, "Seconds for its sessions to end.", 0), ...Field.dryRun },
  output: written,
  long: true,
  program: deleteRuntimeServer
})

export const serverSetTool = tool({
  name: "haproxy_server_set",
  title: "Change a server at run time",
  description:
    "Changes a server of a backend that is not one of our pools until HAProxy's next start: state (enable: ready, "
    + "disable: maint, drain), weight, maxconn, address, health checks and agent checks on or off, or forces what they "
    + "found (up, down). All or nothing. Ours: haproxy_set_server_state.",
  annotations: removes,
  scope: "runtime",
  input: {
    backend,
    server,
    state: Runtime.maybeOneOf(["ready", "drain", "maint"], "drain finishes what it has; maint takes none."),
    weight: Runtime.maybeWhole(0, 256, "Share of the traffic."),
    maxconn: Runtime.maybeWhole(1, 1_000_000, "Most connections."),
    ip: Runtime.maybe("New address, with port."),
    port: Runtime.maybeWhole(1, 65_535, "New port, with ip."),
    checks: Runtime.maybeOneOf(["on", "off"], "Health checks."),
    health: Runtime.maybeOneOf(["up", "stopping", "down"], "What they found, until the next one."),
    agent_checks: Runtime.maybeOneOf(["on", "off"], "Agent checks."),
    agent: Runtime.maybeOneOf(["up", "down"], "What the agent said."),
    ...Field.dryRun
  },
  output: written,
  program: setRuntimeServer
})
