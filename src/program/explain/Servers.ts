/** The servers of the backend that a request reaches, which of them may answer it, and whether they are the desired ones. */
import * as Effect from "effect/Effect"
import type { Server } from "../../domain/Pool.ts"
import { slotName } from "../../domain/Pool.ts"
import type { StatRow } from "../../haproxy/StatCommands.ts"
import { serverItem } from "../Lookup.ts"
import { serverRows } from "../Proxies.ts"
import type { ExplainedServer, Problem } from "./Shapes.ts"

/** Takes a new request, by HAProxy's own word: up or not checked, not draining, with a weight. */
const isUsable = ({ status, weight }: StatRow): boolean => /^(?:UP|no check)/.test(status) && (weight ?? 0) > 0

/** Servers named in an answer. */
const mostServers = 50

/** The servers, the first of which {@link mostServers}; a backup takes only while no other one does. */
const explained = (rows: ReadonlyArray<StatRow>): ReadonlyArray<ExplainedServer> => {
  const active = rows.some((row) => isUsable(row) && (row.activeServers ?? 0) > 0)
  return rows.slice(0, mostServers).map((row) => ({
    name: row.server,
    addr: row.address,
    status: row.status,
    check_status: row.checkStatus,
    weight: row.weight ?? 0,
    sessions: row.currentSessions,
    takes: isUsable(row) && (!active || (row.activeServers ?? 0) > 0)
  }))
}

/** Why none of them answers. */
const whyNone = (rows: ReadonlyArray<StatRow>, backend: string, ours: boolean): ReadonlyArray<Problem> => {
  if (rows.length === 0) {
    return [{
      what: `${backend} has no servers: HAProxy answers 503`,
      hint: ours ? "Add one with haproxy_add_server." : "Add one where the backend is configured."
    }]
  }
  if (rows.some(isUsable)) return []
  const count = (pattern: RegExp) => rows.filter(({ status }) => pattern.test(status)).length
  const parts = [
    [count(/^(?:DOWN|NOLB)/), "down"],
    [count(/^MAINT/), "in maintenance"],
    [count(/^DRAIN/), "draining"]
  ] as const
  const words = parts.filter(([many]) => many > 0).map(([many, how]) => `${many} ${how}`).join(", ")
  return [{
    what: `No server of ${backend} takes requests (${words || "weight 0"}): HAProxy answers 503`,
    hint: ours
      ? "Servers that are down: look at them and their port. Others: haproxy_set_server_state ready, haproxy_set_server_weight."
      : "Look at the servers, or set them with haproxy_server_set."
  }]
}

/** Servers that are not what the database says. */
const differences = (rows: ReadonlyArray<StatRow>, desired: ReadonlyArray<Server>): ReadonlyArray<Problem> => {
  const live = new Map(rows.map((row) => [row.server, row.address]))
  const other = desired.filter((server) => live.get(slotName(server.pool, server.slot)) !== serverItem(server).addr)
  const more = rows.filter((row) => !desired.some((server) => slotName(server.pool, server.slot) === row.server))
  return other.length + more.length === 0 ? [] : [{
    what: `HAProxy's servers differ from the desired ones (${
      [...other.map((server) => slotName(server.pool, server.slot)), ...more.map((row) => row.server)].slice(0, 5)
        .join(", ")
    })`,
    hint: "They are repaired by themselves within a minute; haproxy_health says when HAProxy was compared."
  }]
}

/** Looks at a backend; `desired`: the servers of the database when it is a pool of ours. */
export const explainServers = Effect.fnUntraced(function*(backend: string, desired: ReadonlyArray<Server> | null) {
  const rows = (yield* serverRows([backend])).get(backend)
  if (rows === undefined) return null
  return {
    servers: explained(rows),
    problems: [
      ...whyNone(rows, backend, desired !== null),
      ...(desired === null ? [] : differences(rows, desired))
    ]
  }
})
