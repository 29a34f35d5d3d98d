/** Tools on sessions of clients. */
import * as Schema from "effect/Schema"
import { killSessions, listSessions, showSession } from "../../../program/runtime/Sessions.ts"
import { reads, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

const id = "Id from haproxy_session_list."

export const sessionListTool = tool({
  name: "haproxy_session_list",
  title: "List sessions",
  description:
    "Lists the sessions (streams) of clients that are open now, with source, frontend, backend, server and age; filters by "
    + "each. Use it to see who is connected to a server or what hangs. Counts alone: haproxy_get_connections. Next: "
    + "haproxy_session_show, haproxy_session_kill.",
  annotations: reads,
  scope: "read",
  input: {
    frontend: Runtime.maybe("Only this one."),
    backend: Runtime.maybe("Only this one."),
    server: Runtime.maybe("Only this one of the backend."),
    source: Runtime.maybe("Text in the client's address."),
    older_than: Runtime.maybeWhole(0, 2_678_400, "Seconds."),
    ...Field.paging(50)
  },
  output: {
    summary: Field.summary,
    sessions: Schema.Array(
      Schema.Struct({
        id: Field.text("Its id while it lives."),
        source: Field.text("Client."),
        frontend: Field.text("Frontend."),
        backend: Field.text("Backend; empty: none yet."),
        server: Field.text("Server; empty: none yet."),
        age_sec: Runtime.int("Seconds."),
        protocol: Field.text("tcpv4, tcpv6, quic.")
      })
    ).annotate({ description: "One page." }),
    scanned: Runtime.scanned,
    ...Runtime.page
  },
  program: listSessions
})

export const sessionShowTool = tool({
  name: "haproxy_session_show",
  title: "One session in detail",
  description:
    "Shows all that HAProxy knows of one session: its addresses, flags, timeouts, buffers and connections, in "
    + "HAProxy's own lines, which differ between versions. Ids come from haproxy_session_list.",
  annotations: reads,
  scope: "read",
  input: { id: Field.text(id) },
  output: { summary: Field.summary, id: Field.text("Its id."), lines: Field.texts("HAProxy's words.") },
  program: showSession
})

export const sessionKillTool = tool({
  name: "haproxy_session_kill",
  title: "End sessions",
  description:
    "Ends (kills, shuts down) one session by its id, or all sessions of a server by backend and server, ours or not. "
    + "Clients see a broken connection: drain first where that is possible (haproxy_set_server_state), and ask the user.",
  annotations: Runtime.repeats,
  scope: "runtime",
  input: {
    id: Runtime.maybe(id),
    backend: Runtime.maybe("Backend of the server."),
    server: Runtime.maybe("Server whose sessions all end."),
    ...Field.dryRun
  },
  output: {
    summary: Field.summary,
    changed: Runtime.changed,
    remaining: Runtime.int("Sessions of the server now."),
    ...Field.planned
  },
  program: killSessions
})
