/** The verbs that look at a domain's servers: what is desired, and what HAProxy says of it now. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../domain/Errors.ts"
import { HaproxyUnreachable } from "../domain/Errors.ts"
import { type Server, slotName } from "../domain/Pool.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { DomainHealthAnswer, DomainHealthInput } from "./HealthShapes.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { poolView, requireRoute, serverItem } from "./Lookup.ts"
import { type Look, lookAt } from "./Observed.ts"
import type { ListServersAnswer, ListServersInput, ServerStatus } from "./ServerShapes.ts"
import type { ProgramServices } from "./Services.ts"

/** A server of the desired state with what HAProxy observes of it; null where it was not seen. */
export const serverStatus = (server: Server, look: Look): ServerStatus => {
  const row = look._tag === "seen" ? look.rows.get(slotName(server.pool, server.slot)) : undefined
  return {
    ...serverItem(server),
    status: row?.status ?? null,
    check_status: row?.checkStatus ?? null,
    current_sessions: row?.currentSessions ?? null
  }
}

/** The servers of a domain's pool. With HAProxy down the observed fields are null and the summary says so. */
export const listServers = Tracing.fn("listServers")(function*(
  input: ListServersInput
): Effect.fn.Return<ListServersAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const { pools } = yield* Limits
  const route = yield* requireRoute(store, "domain", yield* Input.existingName("domain", input.domain))
  const { backend, servers, sharesWith } = yield* poolView(store, route)
  const look = yield* lookAt(route.pool)
  const count = `${servers.length} server${servers.length === 1 ? "" : "s"}`
  return {
    summary: look._tag === "seen"
      ? `${route.name} has ${count} in ${backend}`
      : `${route.name} has ${count} in ${backend}; HAProxy cannot be asked now: ${look.reason}`,
    domain: route.name,
    backend,
    shares_with: sharesWith,
    servers: servers.map((server) => serverStatus(server, look)),
    // More servers than slots: the setting was lowered below what is in use.
    free_slots: Math.max(0, pools.slots - servers.length)
  }
})

/** How a domain is served right now, by HAProxy's own word. */
export const domainHealth = Tracing.fn("domainHealth")(function*(
  input: DomainHealthInput
): Effect.fn.Return<DomainHealthAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const route = yield* requireRoute(store, "domain", yield* Input.existingName("domain", input.domain))
  const { backend, servers } = yield* poolView(store, route)
  const look = yield* lookAt(route.pool)
  if (look._tag === "unseen") {
    return yield* new HaproxyUnreachable({
      message: `HAProxy cannot be asked: ${look.reason}`,
      hint: "Check that HAProxy runs; haproxy_health says more."
    })
  }
  const items = servers.map((server) => {
    const name = slotName(server.pool, server.slot)
    const row = look.rows.get(name)
    return {
      name,
      addr: serverItem(server).addr,
      status: row?.status ?? "not in HAProxy",
      check_status: row?.checkStatus ?? "",
      takes: row !== undefined && /^(UP|no check|NOLB)/.test(row.status) && server.state === "ready" &&
        server.weight > 0
    }
  })
  const healthy = items.filter((item) => item.takes).length
  const status = items.length === 0
    ? "no_servers"
    : healthy === 0
    ? "down"
    : healthy < items.length
    ? "degraded"
    : "healthy"
  return {
    summary: items.length === 0
      ? `${route.name} has no servers`
      : `${route.name} is ${status}: ${healthy} of ${items.length} servers take requests`,
    domain: route.name,
    backend,
    status,
    servers: items.map(({ addr, check_status, name, status: now }) => ({ name, addr, status: now, check_status })),
    healthy_count: healthy,
    total_count: items.length
  }
})
