/** Which frontends look hosts up in our maps, and how they are. */
import * as Effect from "effect/Effect"
import { configuredFrontends } from "../../haproxy/ConfigSections.ts"
import { HostControl } from "../../haproxy/HostControl.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import { ask } from "../Proxies.ts"
import { bindsByFrontend } from "../Statistics.ts"
import type { ExplainAnswer, Problem } from "./Shapes.ts"

/** Frontends that are named. */
const mostFrontends = 10

/** Sees them; `known` is false when haproxy.cfg cannot be read here, so that any HTTP frontend may be one. */
export const explainFrontends = Effect.fnUntraced(function*(maps: ReadonlyArray<string>) {
  const configured = configuredFrontends(yield* (yield* HostControl).configFiles)
  const rows = yield* ask(Stats.show({ kinds: ["frontend"] }))
  const binds = yield* bindsByFrontend
  const byMaps = configured?.filter((one) => one.maps.some((map) => maps.includes(map))).map(({ name }) => name)
  const meant = byMaps === undefined || byMaps.length === 0
    ? rows.filter(({ mode }) => mode === "http")
    : rows.filter(({ proxy }) => byMaps.includes(proxy))
  const frontends: ExplainAnswer["frontends"] = meant.slice(0, mostFrontends).map(({ proxy, status }) => ({
    name: proxy,
    status,
    binds: [...binds.get(proxy) ?? []].slice(0, 10)
  }))
  const problems: Array<Problem> = []
  if (configured !== null && byMaps?.length === 0) {
    problems.push({
      what: "No frontend of haproxy.cfg looks hosts up in our maps",
      hint: "haproxy_check_config says what is missing; `haproxy-mcp config` prints how."
    })
  }
  for (const { name, status } of frontends) {
    if (status !== "OPEN") {
      problems.push({
        what: `Frontend ${name} is ${status}`,
        hint: status === "FULL"
          ? "It has as many connections as it may; see haproxy_list_frontends."
          : "It takes no new connections: someone disabled it; haproxy_frontend_set enables it (toolset runtime)."
      })
    }
  }
  const fallback = configured?.find(({ name }) => name === frontends[0]?.name)?.fallback ?? null
  return { frontends, known: byMaps !== undefined && byMaps.length > 0, fallback, problems }
})
