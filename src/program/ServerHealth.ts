/** The verb that shows every server in use as HAProxy sees it: its checks, since when it is so, and how many are down. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../domain/Errors.ts"
import { ownPool } from "../domain/Pool.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import type { ServerStateRow } from "../haproxy/ServerCommands.ts"
import type { StatRow } from "../haproxy/StatCommands.ts"
import * as Tracing from "../Tracing.ts"
import { matches, requireBackend } from "./Backends.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import {
  type ServerHealthAnswer,
  type ServerHealthInput,
  type ServerStatus,
  serverStatuses
} from "./MonitoringShapes.ts"
import { cursorOf, fitting, positionOf, rowsFor } from "./Page.ts"
import {
  inTime,
  type Inventory,
  inventory,
  type KnownBackend,
  order,
  serverRows,
  type ServerStates,
  serverStates
} from "./Proxies.ts"
import type { ProgramServices } from "./Services.ts"
import { shared } from "./SharedRead.ts"

/**
 * What a server does, in one word. One that drains and is down is down, as HAProxy says it; one that is stopping takes no
 * new sessions (srv_op_state 3): it drains.
 */
const statusOf = ({ op, state }: ServerStateRow): ServerStatus =>
  state === "maint" ? "maint" : op === 0 ? "down" : state === "drain" || op === 3 ? "drain" : "up"

interface Seen {
  readonly inventory: Inventory
  readonly states: ReadonlyMap<string, ServerStates>
}

const look = (found: Inventory, backends: ReadonlyArray<KnownBackend>) =>
  Effect.map(serverStates(backends.map(({ name }) => name)), (states): Seen => ({ inventory: found, states }))

/** Reads the states of all servers in use; callers that wait together share one reading. */
const lookAtAll: Effect.Effect<Seen, ControlError, ProgramServices> = Effect.flatMap(
  RuntimeApi,
  (runtime) => shared(runtime, "servers", Effect.flatMap(inventory, (found) => look(found, found.backends)))
)

/** What a search looks through: name and address, an IPv6 one in brackets as answers show it. */
const textOf = ({ ip, port, server }: ServerStateRow): string =>
  `${server} ${ip.includes(":") ? `[${ip}]` : ip}:${port}`.toLowerCase()

/** A server to show. */
interface Shown {
  readonly known: KnownBackend
  readonly state: ServerStateRow
}

const serverOrder = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true })

const itemOf = ({ known, state }: Shown, row: StatRow) => ({
  name: state.server,
  backend: known.name,
  domain: known.domain,
  addr: row.address,
  status: row.status,
  check_status: row.checkStatus,
  check_code: row.checkCode,
  check_ms: row.checkDuration,
  last_check: row.lastCheck.slice(0, 100),
  last_change_sec: row.lastChange ?? 0,
  weight: row.weight ?? 0,
  sessions: row.currentSessions
})

/** Servers in use, by backend and name. Placeholder slots are only counted. */
export const serverHealth = Tracing.fn("serverHealth")(function*(
  input: ServerHealthInput
): Effect.fn.Return<ServerHealthAnswer, ControlError, ProgramServices> {
  const limit = yield* rowsFor(input.limit)
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const status = input.status === undefined ? undefined : yield* Input.oneOf("status", input.status, serverStatuses)
  const position = input.cursor === undefined
    ? undefined
    : yield* positionOf(input.cursor, /^([A-Za-z0-9_.:-]+)\/([A-Za-z0-9_.:-]+)$/)
  const { pools } = yield* Limits
  const after = position === undefined
    ? undefined
    : { name: position[1]!, pool: ownPool(position[1]!, pools), server: position[2]! }

  const counts: Record<ServerStatus, number> = { up: 0, down: 0, drain: 0, maint: 0 }
  let empty = 0
  let total = 0
  const { details, page } = yield* inTime(Effect.gen(function*() {
    const named = input.backend
    const { inventory: found, states } = named === undefined ? yield* lookAtAll : yield* Effect.flatMap(
      inventory,
      (found) => Effect.flatMap(requireBackend(found, named), (known) => look({ ...found, backends: [known] }, [known]))
    )
    const page: Array<Shown> = []
    for (const known of found.backends) {
      const seen = states.get(known.name)
      if (seen === undefined) continue
      empty += seen.empty
      const named = matches(known, search)
      const place = after === undefined ? 1 : order(known, after)
      const wanted: Array<ServerStateRow> = []
      for (const state of seen.servers) {
        const now = statusOf(state)
        counts[now]++
        if (status !== undefined && now !== status) continue
        if (!named && !textOf(state).includes(search!)) continue
        total++
        if (place > 0 || (place === 0 && serverOrder(state.server, after!.server) > 0)) wanted.push(state)
      }
      if (page.length > limit) continue
      wanted.sort((a, b) => serverOrder(a.server, b.server))
      for (const state of wanted) page.push({ known, state })
    }
    const shown = page.slice(0, limit)
    return { page, details: yield* serverRows([...new Set(shown.map(({ known }) => known.name))]) }
  }))

  const rows = new Map(
    [...details.values()].flat().map((row) => [`${row.proxy}/${row.server}`, row])
  )
  const items = page.slice(0, limit).flatMap((one) => {
    const row = rows.get(`${one.known.name}/${one.state.server}`)
    return row === undefined ? [] : [itemOf(one, row)]
  })
  const servers = fitting(items)
  const more = page.length > limit || servers.length < items.length
  const last = servers.at(-1) ?? { backend: page.at(limit - 1)?.known.name, name: page.at(limit - 1)?.state.server }
  const all = counts.up + counts.down + counts.drain + counts.maint
  return {
    summary:
      `${counts.up} of ${all} servers are up, ${counts.down} down, ${counts.drain} drain, ${counts.maint} in maintenance${
        servers.length < total ? `; ${servers.length} of ${total} shown` : ""
      }${more ? ", more with next_cursor" : ""}`,
    servers,
    total,
    next_cursor: more ? cursorOf(`${last.backend}/${last.name}`) : null,
    counts,
    empty_slots: empty
  }
})
