/** Tools on servers: list, add, remove, state, weight, drain. */
import * as Schema from "effect/Schema"
import { waitDrain } from "../../program/Drain.ts"
import { listServers } from "../../program/ServerList.ts"
import {
  addServer,
  addServers,
  removeServer,
  setDomainState,
  setServerState,
  setServerWeight
} from "../../program/Servers.ts"
import { reads, removes, sets, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

const poolAnswer = {
  summary: Field.summary,
  domain: Field.text("The domain whose pool it is."),
  backend: Field.backend,
  servers: Schema.Array(Field.serverItem).annotate({ description: "All servers of the pool after the write." }),
  ...Field.written,
  ...Field.planned
}

export const listServersTool = tool({
  name: "haproxy_list_servers",
  title: "List servers",
  scope: "read",
  reach: ["domain"],
  description:
    "Lists the servers of a domain's pool: slot, address, weight, set state, and what HAProxy observes (status, "
    + "health check, open sessions). Use it to find slots before haproxy_set_server_state, haproxy_set_server_weight "
    + "or haproxy_remove_server.",
  annotations: reads,
  input: { domain: Field.domain },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain that was asked for."),
    backend: Field.backend,
    shares_with: Field.sharesWith,
    servers: Schema.Array(Field.serverStatus).annotate({ description: "Servers of the pool, by slot." }),
    free_slots: Field.count("Slots that hold no server yet.")
  },
  program: listServers
})

export const addServerTool = tool({
  name: "haproxy_add_server",
  title: "Add server",
  scope: "config",
  reach: ["domain"],
  description:
    "Puts one server into the pool of a domain; it takes traffic at once. Slot 0 takes the first free slot; an "
    + "address that is there already is not added twice. Domains that share the pool get it too. Several at once: "
    + "haproxy_add_servers. Then haproxy_domain_health.",
  annotations: sets,
  input: { domain: Field.domain, slot: Field.anySlot, ip: Field.ip, http_port: Field.httpPort, ...Field.dryRun },
  output: { ...poolAnswer, slot: Field.count("Slot that holds the server.") },
  program: addServer
})

export const addServersTool = tool({
  name: "haproxy_add_servers",
  title: "Add servers",
  scope: "config",
  reach: ["domain"],
  description:
    "Adds several servers at once, up to 10, to the pool of a domain, all or none. servers is a list such as "
    + "[{\"ip\":\"10.0.0.5\",\"http_port\":8080}]; the same as JSON text is taken too, up to 10 KB. An error names "
    + "the wrong one (servers[1].ip).",
  annotations: sets,
  input: {
    domain: Field.domain,
    // Published as a list only: a union here makes some model providers refuse every tool. JSON text is taken too.
    servers: Schema.Array(
      Schema.Struct({ ip: Field.ip, http_port: Field.httpPort, slot: Field.anySlot })
    ).check(Schema.isBetweenLength(1, 10)).annotate({
      description: "1 to 10 servers."
    }),
    ...Field.dryRun
  },
  jsonText: ["servers"],
  output: poolAnswer,
  program: addServers
})

export const removeServerTool = tool({
  name: "haproxy_remove_server",
  title: "Remove server",
  scope: "config",
  reach: ["domain"],
  description:
    "Takes the server in a slot out of a domain's pool; no new request goes to it and its address is forgotten. To "
    + "let open sessions end first: haproxy_set_server_state drain, haproxy_wait_drain, then this.",
  annotations: removes,
  input: { domain: Field.domain, slot: Field.usedSlot, ...Field.force, ...Field.dryRun },
  output: poolAnswer,
  guarded: true,
  program: removeServer
})

export const setServerStateTool = tool({
  name: "haproxy_set_server_state",
  title: "Set server state",
  scope: "traffic",
  reach: ["domain"],
  description:
    "Sets one server to ready, drain (finishes its sessions, takes no new ones) or maint (maintenance: takes none), and keeps "
    + "it over restarts. Name it by domain and slot, or by backend and server. After drain use haproxy_wait_drain. "
    + "Only in our pools.",
  annotations: removes,
  input: { ...Field.target, state: Field.state, ...Field.force, ...Field.dryRun },
  output: poolAnswer,
  guarded: true,
  program: setServerState
})

export const setServerWeightTool = tool({
  name: "haproxy_set_server_weight",
  title: "Set server weight",
  scope: "traffic",
  reach: ["domain"],
  description:
    "Sets one server's share of the traffic, 0 to 256, relative to the other servers of its pool, and keeps it "
    + "over restarts; 0 takes no new requests. Name it by domain and slot, or by backend and server. Only in our "
    + "pools.",
  annotations: sets,
  input: {
    ...Field.target,
    weight: Field.whole(0, 256, "New weight; servers start with 1."),
    ...Field.force,
    ...Field.dryRun
  },
  output: poolAnswer,
  guarded: true,
  program: setServerWeight
})

export const setDomainStateTool = tool({
  name: "haproxy_set_domain_state",
  title: "Set state of all servers",
  scope: "traffic",
  reach: ["domain"],
  description: "Sets every server of a domain's pool to ready, drain or maint in one step, and keeps it over restarts. "
    + "Domains that share the pool are hit too. drain or maint on all of them means that the site answers 503. Next: "
    + "haproxy_wait_drain.",
  annotations: removes,
  input: {
    domain: Schema.optionalKey(Field.text("Domain whose servers are all set.")),
    slot: Schema.optionalKey(Field.whole(1, 1000, "Only this slot.")),
    backend: Schema.optionalKey(Field.text("HAProxy's name, such as pool_3, in place of domain.")),
    server: Schema.optionalKey(Field.text("Only this server, such as pool_3_1.")),
    state: Field.state,
    ...Field.force,
    ...Field.dryRun
  },
  output: poolAnswer,
  guarded: true,
  program: setDomainState
})

export const waitDrainTool = tool({
  name: "haproxy_wait_drain",
  title: "Wait until drained",
  scope: "read",
  reach: ["domain"],
  description:
    "Waits until servers in drain or maint have no open session, up to timeout seconds, with progress. Use it "
    + "between haproxy_set_server_state drain and haproxy_remove_server. A long wait answers an operation_id for "
    + "haproxy_operation. Changes nothing.",
  annotations: reads,
  input: {
    domain: Field.domain,
    slot: Schema.optionalKey(
      Field.whole(1, 1000, "Only this slot; else all in drain or maint.")
    ),
    timeout: Schema.optionalKey(Field.whole(1, 3600, "Seconds to wait at most.", 30))
  },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain whose pool it is."),
    drained: Field.flag("No session is left."),
    remaining: Schema.Array(
      Schema.Struct({
        slot: Field.count("Slot number."),
        current_sessions: Field.count("Sessions that are still open.")
      })
    ).annotate({ description: "Servers that still have sessions." }),
    waited_ms: Field.count("Milliseconds waited."),
    operation_id: Schema.optionalKey(Field.text("The wait goes on: follow it with haproxy_operation."))
  },
  long: true,
  program: waitDrain
})
