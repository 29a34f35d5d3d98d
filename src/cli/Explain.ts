/** `haproxy-mcp explain`: the answer of haproxy_explain as text or JSON. */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { ExplainAnswer, ExplainInput } from "../program/explain/Shapes.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { clean } from "./TextTable.ts"
import { answer } from "./Verb.ts"

/** Milliseconds that it may take. */
const patience = 15_000

/** A line with its name in a column of its own. */
const line = (name: string, text: string): string => `${name.padEnd(12)} ${clean(text)}\n`

const certificateText = (certificate: ExplainAnswer["certificate"]): string =>
  certificate === null
    ? "no TLS is answered where this machine can see it"
    : !certificate.shown
    ? "none for this host"
    : `${certificate.name ?? "not one of ours"}, for ${certificate.names.join(", ")}, until ${
      certificate.not_after ?? "?"
    }${certificate.covers_host ? "" : " (not for this host)"}`

/** The explanation for people. */
export const explanationText = (found: ExplainAnswer): string => {
  const { certificate, frontends, frontends_known: known, meets, problems, route, servers } = found
  return [
    line("request", `${found.host}${found.path}`),
    line(
      "frontends",
      (frontends.map(({ binds, name, status }) => `${name} (${status}; ${binds.join(", ")})`).join(", ") ||
        "none known")
        + (known ? "" : " - all of HTTP, for haproxy.cfg cannot be read here")
    ),
    line(
      "route",
      route === null
        ? "none"
        : `${route.match === "exact" ? route.key : `*${route.key}`} -> ${route.backend} (${
          route.ours ? "ours" : "not ours"
        }; ${route.map})`
    ),
    ...servers.map((server) =>
      line(
        server.takes ? "server +" : "server -",
        `${server.name} ${server.addr} ${server.status}${
          server.check_status === "" ? "" : ` ${server.check_status}`
        }, weight ${server.weight}, ${server.sessions} sessions`
      )
    ),
    line("certificate", certificateText(certificate)),
    ...meets.map(({ by, kind, list, pattern, value }) =>
      line("meets", `${kind} ${list} by ${by}: ${pattern}${value === null ? "" : ` ${value}`}`)
    ),
    ...problems.flatMap(({ hint, what }) => [line("problem", what), line("", hint)]),
    line("outcome", `${found.outcome.replace("_", " ")}: ${found.summary}`)
  ].join("")
}

/** Prints it; a request that would not be served ends with the code of "degraded". */
export const printExplanation = <R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  input: ExplainInput,
  { json }: { readonly json: boolean }
): Effect.Effect<void, unknown, R> =>
  Effect.flatMap(
    answer(handlers, sources, { name: "haproxy_explain", kind: "call", args: input, timeout: patience }),
    (data) => {
      const found = data as unknown as ExplainAnswer
      process.stdout.write(json ? `${JSON.stringify(data, null, 2)}\n` : explanationText(found))
      return found.outcome === "served" ? Effect.void : Effect.fail(new Ended({ code: exitCodes.degraded }))
    }
  )
