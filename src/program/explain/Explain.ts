/**
 * The verb that says what becomes of a request, from what HAProxy has in memory now: which frontends take it, which
 * entry its host meets, which servers may answer, which certificate is shown, and what stands in the way.
 *
 * It only looks. Rules of haproxy.cfg beside the two look-ups (denials, redirects) are not evaluated. While HAProxy is
 * away it says what the desired state would do, and that HAProxy is away.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ControlError, Forbidden, HaproxyRefused, HaproxyUnreachable } from "../../domain/Errors.ts"
import { poolName } from "../../domain/Pool.ts"
import { isWithin } from "../../domain/Principal.ts"
import { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import { Caller } from "../Caller.ts"
import { serverItem } from "../Lookup.ts"
import { ourMaps } from "../OurMaps.ts"
import { inTime } from "../Proxies.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import type { ProgramServices } from "../Services.ts"
import { explainCertificate } from "./Certificate.ts"
import { explainFrontends } from "./Frontends.ts"
import { askedHost } from "./Host.ts"
import { metLists } from "./Met.ts"
import { desiredRoute, liveRoute } from "./Route.ts"
import { explainServers } from "./Servers.ts"
import type { ExplainAnswer, ExplainInput, Problem } from "./Shapes.ts"

const isAway = (error: ControlError): error is HaproxyUnreachable | HaproxyRefused =>
  error instanceof HaproxyUnreachable || error instanceof HaproxyRefused

type Asked = { readonly host: string; readonly path: string; readonly source: string | undefined }

const repaired = "It is repaired by itself within a minute; haproxy_health says when HAProxy was compared."

/** What HAProxy's memory says. */
const live = Effect.fnUntraced(function*({ host, path, source }: Asked): Effect.fn.Return<
  Pick<ExplainAnswer, "outcome" | "frontends" | "frontends_known" | "route" | "servers" | "meets" | "problems">,
  ControlError,
  ProgramServices
> {
  const store = yield* Store
  const { maps, maybe } = yield* ourMaps
  const problems: Array<Problem> = []
  const front = yield* explainFrontends([maps.domains, maps.wildcards].filter((map) => map !== null))
  problems.push(...front.problems)
  const seen = { frontends: front.frontends, frontends_known: front.known }
  const meets = yield* metLists(maybe, {
    path,
    host,
    ...(source === undefined ? {} : { source_ip: source })
  })
  if (maps.domains === null || maps.wildcards === null) {
    problems.push({
      what: "HAProxy does not use our maps",
      hint: "haproxy_check_config says what is missing in haproxy.cfg."
    })
    return { ...seen, outcome: "unknown", route: null, servers: [], meets, problems }
  }
  const route = yield* liveRoute({ domains: maps.domains, wildcards: maps.wildcards }, host)
  const desired = yield* desiredRoute(host)
  const wanted = desired === null ? null : poolName(desired.pool)
  if (route === null) {
    problems.push(
      wanted === null
        ? {
          what: `No entry of the maps leads anywhere for ${host}`,
          hint: front.fallback === null
            ? "Add the domain with haproxy_add_domain."
            : `Add the domain with haproxy_add_domain; until then default_backend ${front.fallback} may answer.`
        }
        : { what: `The desired state routes ${host} to ${wanted}, and HAProxy has no entry for it`, hint: repaired }
    )
    return { ...seen, outcome: "no_route", route, servers: [], meets, problems }
  }
  if (route.ours && wanted !== route.backend) {
    problems.push({
      what: `HAProxy routes ${host} to ${route.backend}, the desired state ${
        wanted === null ? "nowhere" : `to ${wanted}`
      }`,
      hint: repaired
    })
  } else if (!route.ours && wanted !== null) {
    problems.push({
      what: `An entry that is not ours (${route.key} ${route.backend}) comes before our route to ${wanted}`,
      hint: "`haproxy-mcp foreign list` says more; remove the entry, or leave it."
    })
  }
  const own = route.ours && wanted === route.backend ? yield* store.servers(desired!.pool) : null
  const looked = yield* explainServers(route.backend, own)
  if (looked === null) {
    problems.push({
      what: `HAProxy has no backend ${route.backend}, so it answers 503`,
      hint: "Declare it in haproxy.cfg, or change the entry."
    })
    return { ...seen, outcome: "no_backend", route, servers: [], meets, problems }
  }
  problems.push(...looked.problems)
  const outcome = looked.servers.some(({ takes }) => takes) ? "served" : "no_server"
  return { ...seen, outcome, route, servers: looked.servers, meets, problems }
})

/** What the desired state would do, while HAProxy cannot be asked. */
const fromDatabase = Effect.fnUntraced(function*({ host }: Asked, why: string) {
  const desired = yield* desiredRoute(host)
  const servers = desired === null ? [] : yield* (yield* Store).servers(desired.pool)
  const answer: Effect.Success<ReturnType<typeof live>> = {
    outcome: "unknown",
    frontends: [],
    frontends_known: false,
    route: null,
    servers: servers.map((server) => {
      const { addr, name, weight } = serverItem(server)
      return { name, addr, status: "unknown", check_status: "", weight, sessions: 0, takes: false }
    }),
    meets: [],
    problems: [{ what: why, hint: "Check that HAProxy runs; haproxy_health says more." }]
  }
  return answer
})

const summaryOf = (
  host: string,
  { outcome, problems, route, servers }: Effect.Success<ReturnType<typeof live>>
): string => {
  const by = route === null
    ? ""
    : `${host} meets ${route.match === "exact" ? "its own entry" : `*${route.key}`} and goes to ${route.backend}`
  switch (outcome) {
    case "served": {
      const able = servers.filter(({ takes }) => takes)
      return `${by}: ${able.length} of ${servers.length} servers may answer (${
        able.slice(0, 3).map(({ addr, name }) => `${name} ${addr}`).join(", ")
      }${able.length > 3 ? ", …" : ""})`
    }
    case "no_server":
      return `${by}, where no server takes requests: 503`
    case "no_backend":
      return `${by}, which HAProxy does not have: 503`
    case "no_route":
      return `HAProxy has no route for ${host}`
    case "unknown":
      return `What HAProxy does with ${host} cannot be said: ${problems.at(-1)?.what ?? ""}`
  }
}

/** See the module's head. */
export const explain = Tracing.fn("explain")(function*(
  input: ExplainInput
): Effect.fn.Return<ExplainAnswer, ControlError, ProgramServices> {
  const { host, problems: odd } = yield* askedHost(input.host)
  const { principal } = yield* Caller
  if (!isWithin(principal, host)) {
    return yield* new Forbidden({
      message: `host ${host} is beyond what this caller is limited to`,
      hint: `It may only have to do with ${principal.domains?.join(", ") || "no domain"}.`,
      field: "host"
    })
  }
  const path = yield* RuntimeInput.path("path", input.path ?? "/")
  const source = input.source_ip === undefined ? undefined : yield* RuntimeInput.address("source_ip", input.source_ip)
  const asked: Asked = { host, path, source }
  const seen = yield* Effect.result(inTime(live(asked)))
  if (Result.isFailure(seen) && !isAway(seen.failure)) return yield* seen.failure
  const found = Result.isSuccess(seen) ? seen.success : yield* fromDatabase(asked, seen.failure.message)
  const { certificate, problems } = Result.isSuccess(seen)
    ? yield* explainCertificate(host)
    : { certificate: null, problems: [] }
  const answer = { ...found, problems: [...odd, ...found.problems, ...problems] }
  return {
    summary: summaryOf(host, found) + (answer.problems.length === 0 ? "" : `; ${answer.problems.length} in the way`),
    host,
    path,
    outcome: answer.outcome,
    frontends: answer.frontends,
    frontends_known: answer.frontends_known,
    route: answer.route,
    domain: (yield* desiredRoute(host))?.name ?? null,
    servers: answer.servers,
    certificate,
    meets: answer.meets,
    problems: answer.problems
  }
})
