/** Tools on HAProxy's process: values, counters, captured errors, commands, echo. */
import * as Schema from "effect/Schema"
import { showErrors } from "../../../program/runtime/Errors.ts"
import {
  clearCounters,
  echo,
  runtimeHelp,
  sections,
  showCounters,
  showProcess
} from "../../../program/runtime/Process.ts"
import { reads, tool } from "../../Tool.ts"
import * as Field from "../fields.ts"
import * as Runtime from "./fields.ts"

export const processShowTool = tool({
  name: "haproxy_process_show",
  title: "Process, activity, memory",
  description:
    "Shows what HAProxy's process says of itself: info (version, uptime, build, limits, rates), activity (threads, CPU, "
    + "loops, wakeups) or memory_pools. Use it for what haproxy_stats leaves out, such as the version or memory usage.",
  annotations: reads,
  scope: "read",
  input: {
    section: Runtime.maybeOneOf(sections, "What to show.", "info"),
    search: Runtime.search,
    ...Field.paging(100)
  },
  output: {
    summary: Field.summary,
    version: Field.text("HAProxy's version."),
    section: Schema.Literals(sections).annotate({ description: "What is shown." }),
    values: Schema.Array(Schema.Struct({ name: Field.text("HAProxy's name."), value: Field.text("As HAProxy says.") }))
      .annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showProcess
})

export const countersShowTool = tool({
  name: "haproxy_counters_show",
  title: "All counters of a proxy",
  description:
    "Shows every counter of one frontend or backend and its servers and listeners, by HAProxy's own names (management "
    + "guide, show stat); those that are 0 are left out. Use it for numbers that haproxy_backends and "
    + "haproxy_list_frontends leave out. To reset: haproxy_counters_clear.",
  annotations: reads,
  scope: "read",
  input: {
    proxy: Field.text("Name of the frontend or backend."),
    name: Runtime.maybe("Only FRONTEND, BACKEND or this server."),
    search: Runtime.maybe("Text in a counter's name."),
    ...Field.paging(20)
  },
  output: {
    summary: Field.summary,
    rows: Schema.Array(
      Schema.Struct({
        kind: Schema.Literals(["frontend", "backend", "server", "listener"]).annotate({
          description: "What it counts."
        }),
        name: Field.text("FRONTEND, BACKEND, or the server's or listener's name."),
        counters: Schema.Record(Schema.String, Schema.Number).annotate({ description: "Counters by name." })
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showCounters
})

export const countersClearTool = tool({
  name: "haproxy_counters_clear",
  title: "Clear counters",
  description:
    "Starts the maxima of HAProxy's statistics anew, with all=true every counter. Traffic is not touched, but "
    + "dashboards and alerts see the drop. First look: haproxy_counters_show.",
  annotations: Runtime.repeats,
  scope: "runtime",
  input: { all: Field.offUnlessSaid("Totals, too."), ...Field.dryRun },
  output: {
    summary: Field.summary,
    changed: Runtime.changed,
    all: Field.flag("Totals, too."),
    sessions_before: Runtime.int("Sessions of all frontends before."),
    sessions_after: Runtime.int("And after."),
    ...Field.planned
  },
  program: clearCounters
})

export const errorsShowTool = tool({
  name: "haproxy_errors_show",
  title: "Captured protocol errors",
  description: "Shows the last invalid HTTP request of each frontend and invalid response of each backend that HAProxy "
    + "captured (show errors): when, from whom, where it broke the rules, its first bytes. Use it when clients get 400 or "
    + "502 for no visible reason. The text is a stranger's.",
  annotations: reads,
  scope: "read",
  input: {
    proxy: Runtime.maybe("Only this frontend or backend."),
    kind: Runtime.maybeOneOf(["request", "response"], "Only those."),
    ...Field.paging(20)
  },
  output: {
    summary: Field.summary,
    errors: Schema.Array(
      Schema.Struct({
        at: Field.text("HAProxy's own time."),
        kind: Schema.Literals(["request", "response"]).annotate({ description: "What was invalid." }),
        proxy: Field.text("Frontend or backend."),
        backend: Field.text("The other party."),
        server: Field.text("Server."),
        source: Field.text("Client."),
        position: Runtime.int("Byte at which the rule is broken."),
        text: Field.text("First bytes, escaped; not to be trusted.")
      })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: showErrors
})

export const runtimeHelpTool = tool({
  name: "haproxy_runtime_help",
  title: "Runtime API commands",
  description:
    "Lists the commands that this HAProxy's Runtime API knows, with usage and meaning (help). Use it to learn "
    + "what this version can do; it runs none of them.",
  annotations: reads,
  scope: "read",
  input: { search: Runtime.search, ...Field.paging(100) },
  output: {
    summary: Field.summary,
    commands: Schema.Array(
      Schema.Struct({ usage: Field.text("Words and parameters."), meaning: Field.text("What it does.") })
    ).annotate({ description: "One page." }),
    total: Runtime.total,
    ...Runtime.page
  },
  program: runtimeHelp
})

export const runtimeEchoTool = tool({
  name: "haproxy_runtime_echo",
  title: "Echo",
  description:
    "Sends a text to HAProxy's Runtime API, which says it again, and tells how many milliseconds that took: a "
    + "ping of the Runtime API. Needs HAProxy 3.2. For how all is: haproxy_health.",
  annotations: reads,
  scope: "read",
  input: { text: Field.text("1 to 60 words.") },
  output: {
    summary: Field.summary,
    text: Field.text("What HAProxy said."),
    ms: Schema.Number.annotate({ description: "Milliseconds." })
  },
  program: echo
})
