/** Tools that say how things are: the control plane with its HAProxy, and one domain. */
import * as Schema from "effect/Schema"
import { health } from "../../program/Health.ts"
import { domainHealth } from "../../program/ServerList.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

const componentStatus = Schema.Literals(["ok", "degraded", "error", "unknown", "not_configured"]).annotate({
  description: "ok, degraded, error, unknown or not_configured."
})

const reason = Schema.optionalKey(Field.text("Why it is not ok."))

const component = <const F extends Schema.Struct.Fields>(description: string, fields: F) =>
  Schema.Struct({ status: componentStatus, ...fields }).annotate({ description })

const file = (description: string) => component(description, { path: Field.text("Where it lies."), reason })

export const healthTool = tool({
  name: "haproxy_health",
  title: "Health",
  scope: "read",
  reach: "filtered",
  description:
    "Says whether the control plane, HAProxy, the files and the database are well, and whether HAProxy runs the "
    + "desired state (reconciler.in_sync). Call it first, and when HAProxy or the storage fails. For one site: "
    + "haproxy_domain_health.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    status: Schema.Literals(["healthy", "degraded", "unhealthy"]).annotate({ description: "All in all." }),
    components: Schema.Struct({
      mcp: component("This control plane.", {
        version: Field.text("Its version."),
        uptime_sec: Field.count("Seconds since its start.")
      }),
      haproxy: component("HAProxy.", {
        version: Field.textOrNull("Its version; null while it is unreachable."),
        uptime_sec: Field.countOrNull("Seconds since its worker started."),
        reason
      }),
      config_files: component("Files that HAProxy starts from, and the database.", {
        files: Schema.Struct({
          map_file: file("domains.map."),
          wildcards_file: file("wildcards.map."),
          db_file: file("The database."),
          pools_file: Schema.optionalKey(file("pools.cfg."))
        }).annotate({ description: "Each file." })
      }),
      container: component("HAProxy's container.", { state: Field.text("State of the container.") }),
      desired_state: component("What shall be.", {
        revision: Field.count("Number of the last commit."),
        domains: Field.count("Exact domains."),
        wildcards: Field.count("Wildcards."),
        servers: Field.count("Servers."),
        pools_used: Field.count("Pools that serve a domain."),
        pools_declared: Field.count("Pools that are declared.")
      }),
      reconciler: component("Keeps HAProxy at the desired state.", {
        in_sync: Field.flag("HAProxy is known to run the desired state."),
        last_run_at: Field.textOrNull("Last full comparison, ISO 8601 in UTC."),
        last_drift: Field.count("Differences that it found before it repaired them."),
        foreign_entries: Field.count("Map entries that are not ours and stay untouched."),
        queued_writes: Field.count("Writes that wait for their turn."),
        reason
      }),
      remote: component("The copy of the database on the remote host.", {
        mode: Schema.Literals(["off", "strict", "async"]).annotate({
          description: "strict: acknowledged means durable there; async: it follows."
        }),
        role: Schema.Literals(["writer", "reader"]).annotate({ description: "A reader writes nothing; see reason." }),
        generation: Field.countOrNull("Newest generation known here."),
        lag: Field.count("Commits that are not durable there yet."),
        last_published_at: Field.textOrNull("When the last one became durable, ISO 8601 in UTC."),
        reason
      }),
      certificates: component("Certificates; not_configured: HAProxy loads none of ours.", {
        loaded: Field.countOrNull("In HAProxy's memory; null: not known."),
        total: Field.count("All of them."),
        expiring: Field.count("A sixth of their lifetime is left, or less."),
        failing: Field.count("Their last renewal failed."),
        next_expiry: Field.textOrNull("When the first one ends, ISO 8601 in UTC."),
        next_attempt: Field.textOrNull("When the next one is renewed or tried again."),
        reason
      })
    }).annotate({ description: "Each part." })
  },
  program: () => health
})

export const domainHealthTool = tool({
  name: "haproxy_domain_health",
  title: "Health of a domain",
  scope: "read",
  reach: ["domain"],
  description:
    "Says whether one domain is served: its pool, each server as HAProxy observes it, and how many are healthy. "
    + "Use it after a change, and when a site fails. Where a request goes: haproxy_explain. Slots: "
    + "haproxy_list_servers.",
  annotations: reads,
  input: { domain: Field.domain },
  output: {
    summary: Field.summary,
    domain: Field.text("The domain that was asked for."),
    backend: Field.backend,
    status: Schema.Literals(["healthy", "degraded", "down", "no_servers"]).annotate({
      description: "healthy, degraded (some down), down (none up) or no_servers."
    }),
    servers: Schema.Array(
      Schema.Struct({
        name: Field.text("HAProxy's name of the server."),
        addr: Field.text("Address and port."),
        status: Field.text("UP, DOWN, MAINT, DRAIN or no check, as HAProxy says."),
        check_status: Field.text("Last health check, such as L4OK; empty without checks.")
      })
    ).annotate({ description: "Servers of the pool." }),
    healthy_count: Field.count("Servers that take traffic."),
    total_count: Field.count("Servers of the pool.")
  },
  program: domainHealth
})
