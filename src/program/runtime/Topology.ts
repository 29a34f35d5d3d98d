/** The verb that shows the way of requests: frontend, backend, server, address, and the domains that lead there. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import { configuredFrontends } from "../../haproxy/ConfigSections.ts"
import { HostControl } from "../../haproxy/HostControl.ts"
import * as Stats from "../../haproxy/StatCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import { matches, namePosition } from "../Backends.ts"
import * as Input from "../Input.ts"
import { ourMaps } from "../OurMaps.ts"
import { cursorOf, fitting, positionOf, rowsFor } from "../Page.ts"
import { ask, inTime, inventory, serverRows } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { domainsOf } from "./DomainsOf.ts"
import type { RowsInput } from "./Rows.ts"

export interface TopologyInput extends RowsInput {
  readonly frontend?: string
  readonly search?: string
}

export interface TopologyAnswer extends Answer {
  readonly frontends: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly mode: string
    /** It routes by our maps, so to every pool that a domain leads to. */
    readonly by_our_maps: boolean
    /** What its lines name beside that. */
    readonly backends: ReadonlyArray<string>
  }>
  readonly frontends_known: boolean
  readonly backends: ReadonlyArray<{
    readonly name: string
    readonly ours: boolean
    readonly frontends: ReadonlyArray<string>
    readonly domains: ReadonlyArray<string>
    readonly domains_total: number
    readonly servers: ReadonlyArray<string>
  }>
  readonly total: number
  readonly next_cursor: string | null
}

/** Domains and servers that are named of each backend, and backends of each frontend. */
const [mostDomains, mostServers, mostBackends, mostFrontends] = [5, 10, 20, 20]

const frontendsNow = Effect.gen(function*() {
  const configured = configuredFrontends(yield* (yield* HostControl).configFiles)
  const { maps } = yield* ourMaps
  const ours = [maps.domains, maps.wildcards].filter((map) => map !== null)
  const rows = yield* ask(Stats.show({ kinds: ["frontend"] }))
  return {
    known: configured !== null,
    frontends: rows.map(({ mode, proxy, status }) => {
      const lines = configured?.find(({ name }) => name === proxy)
      return {
        name: proxy,
        status,
        mode,
        by_our_maps: lines?.maps.some((map) => ours.includes(map)) ?? false,
        backends: (lines?.backends ?? []).slice(0, mostBackends)
      }
    })
  }
})

/** One page of backends in use: our pools by number, then others by name. */
export const showTopology = Tracing.fn("showTopology")(function*(
  input: TopologyInput
): Effect.fn.Return<TopologyAnswer, ControlError, ProgramServices> {
  const limit = yield* rowsFor(input.limit)
  const after = input.cursor === undefined ? undefined : (yield* positionOf(input.cursor, namePosition))[1]!
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const frontend = input.frontend === undefined ? undefined : yield* Input.proxyName("frontend", input.frontend)
  return yield* inTime(Effect.gen(function*() {
    const { frontends, known } = yield* frontendsNow
    const reached = (name: string, ours: boolean) =>
      frontends.filter((one) => one.backends.includes(name) || (ours && one.by_our_maps)).map((one) => one.name)
    const all = (yield* inventory).backends
      .filter((one) => matches(one, search))
      .filter((one) => frontend === undefined || reached(one.name, one.pool !== null).includes(frontend))
    const from = after === undefined ? 0 : all.findIndex(({ name }) => name === after) + 1
    const some = all.slice(from, from + limit)
    const rows = yield* serverRows(some.map(({ name }) => name))
    const backends = fitting(
      yield* Effect.forEach(
        some,
        ({ name, pool }) =>
          Effect.map(domainsOf(name, mostDomains), ({ domains, total }) => ({
            name,
            ours: pool !== null,
            frontends: reached(name, pool !== null).slice(0, mostFrontends),
            domains,
            domains_total: total,
            servers: (rows.get(name) ?? []).slice(0, mostServers).map(({ address, server, status }) =>
              `${server} ${address} ${status}`
            )
          }))
      )
    )
    const more = from + backends.length < all.length
    return {
      summary: `${frontends.length} frontends; ${backends.length} of ${all.length} backends in use`
        + (known ? "" : "; haproxy.cfg cannot be read here, so which frontend leads where is not known"),
      frontends: frontends.filter(({ name }) => frontend === undefined || name === frontend).slice(0, mostFrontends),
      frontends_known: known,
      backends,
      total: all.length,
      next_cursor: more ? cursorOf(backends.at(-1)!.name) : null
    }
  }))
})
