/** The tool that says what becomes of a request. */
import * as Schema from "effect/Schema"
import { explain } from "../../program/explain/Explain.ts"
import { outcomes } from "../../program/explain/Shapes.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

const int = (description: string) => Schema.Int.annotate({ description })

export const explainTool = tool({
  name: "haproxy_explain",
  title: "Explain a request",
  description:
    "Says what HAProxy does now with a request for a host: frontend, map entry (exact or wildcard, ours or not), backend, "
    + "servers that may answer, the certificate shown, and what stands in the way. Use it when a site answers 404 or 503, "
    + "goes to the wrong place or shows a wrong certificate.",
  annotations: reads,
  scope: "read",
  // The program keeps to the caller's domains: a host may be written in ways that no domain is.
  reach: "filtered",
  input: {
    host: Field.text("Host of the request, such as shop.example.com."),
    path: Schema.optionalKey(Schema.String.annotate({ description: "Path of the request.", default: "/" })),
    source_ip: Schema.optionalKey(Field.text("Client's address, to see which lists it is in."))
  },
  output: {
    summary: Field.summary,
    host: Field.text("The host as it is looked up."),
    path: Field.text("The path."),
    outcome: Schema.Literals(outcomes).annotate({
      description: "no_server and no_backend: 503. no_route: 404 or a default backend."
    }),
    frontends: Schema.Array(
      Schema.Struct({
        name: Field.text("Its name."),
        status: Field.text("OPEN, FULL, PAUSED or STOP."),
        binds: Field.texts("Sockets.")
      })
    ).annotate({ description: "Frontends that look the host up." }),
    frontends_known: Field.flag("False: haproxy.cfg cannot be read here, these are all HTTP frontends."),
    route: Schema.NullOr(
      Schema.Struct({
        map: Field.text("Path of the map."),
        key: Field.text("Key of the entry."),
        backend: Field.text("Its value: the backend."),
        match: Schema.Literals(["exact", "wildcard"]).annotate({ description: "How the host meets it." }),
        level: int("Labels that the wildcard stands for; 0: exact."),
        ours: Field.flag("It leads to one of our pools.")
      })
    ).annotate({ description: "The entry that the host meets." }),
    domain: Field.textOrNull("Domain or wildcard of the desired state."),
    servers: Schema.Array(
      Schema.Struct({
        name: Field.text("Its name."),
        addr: Field.text("Address and port."),
        status: Field.text("UP, DOWN, MAINT, DRAIN or no check, as HAProxy says."),
        check_status: Field.text("Last health check."),
        weight: int("Share of the traffic."),
        sessions: int("Open now."),
        takes: Field.flag("It may answer this request.")
      })
    ).annotate({ description: "Servers of the backend, at most 50." }),
    certificate: Schema.NullOr(
      Schema.Struct({
        shown: Field.flag("One was shown."),
        name: Field.textOrNull("Its name here; null: not one of ours."),
        names: Field.texts("Names it stands for."),
        not_after: Field.textOrNull("When it ends, ISO 8601 in UTC."),
        covers_host: Field.flag("It stands for the host."),
        fingerprint_sha256: Field.text("SHA-256 of it.")
      })
    ).annotate({ description: "What a TLS handshake for the host shows; null: no TLS is answered here." }),
    meets: Schema.Array(
      Schema.Struct({
        kind: Schema.Literals(["acl", "map"]).annotate({ description: "What the list is." }),
        list: Field.text("Its file."),
        by: Schema.Literals(["path", "source_ip", "host"]).annotate({ description: "What meets it." }),
        pattern: Field.text("The entry."),
        value: Field.textOrNull("Its value, in a map.")
      })
    ).annotate({ description: "Other lists that the request meets." }),
    problems: Schema.Array(
      Schema.Struct({ what: Field.text("What stands in the way."), hint: Field.text("What to do.") })
    ).annotate({ description: "Empty when all is well." })
  },
  program: explain
})
