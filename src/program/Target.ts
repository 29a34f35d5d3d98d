/** Which servers a setter means: `domain` and `slot`, or `backend` and `server` as HAProxy names them. */
import * as Effect from "effect/Effect"
import type { Route } from "../domain/Change.ts"
import { type ControlError, Forbidden, InvalidInput, NotFound } from "../domain/Errors.ts"
import {
  ownPool,
  parseSlotName,
  poolName,
  type PoolNumber,
  type Server,
  slotName,
  type SlotNumber
} from "../domain/Pool.ts"
import type { Store } from "../store/Store.ts"
import * as Input from "./Input.ts"
import type { Limits } from "./Limits.ts"
import { requireRoute } from "./Lookup.ts"
import type { ServerTarget } from "./ServerShapes.ts"

/** What was meant. */
export interface Target {
  readonly route: Route
  readonly servers: ReadonlyArray<Server>
  /** The servers meant. */
  readonly chosen: ReadonlyArray<Server>
}

/** Finds what `domain` + `slot`, or `backend` + `server`, mean. `one`: a single server must be named. */
export const findTarget = Effect.fnUntraced(function*(
  store: Store["Service"],
  limits: Limits["Service"],
  input: ServerTarget,
  one: boolean
): Effect.fn.Return<Target, ControlError> {
  const byNames = input.backend !== undefined || input.server !== undefined
  const byDomain = input.domain !== undefined || input.slot !== undefined
  if (byNames && byDomain) {
    return yield* new InvalidInput({
      message: "domain and slot stand beside backend and server: these are two ways to name the same",
      hint: "Leave out either domain and slot, or backend and server.",
      field: input.backend === undefined ? "server" : "backend"
    })
  }
  if (!byNames && input.domain === undefined) {
    return yield* new InvalidInput({
      message: byDomain ? "domain is missing" : "Neither domain nor backend is named",
      hint: one ? "Name domain and slot, or backend and server." : "Name the domain, or the backend.",
      field: "domain"
    })
  }
  const found = byNames
    ? yield* findByNames(store, limits, input)
    : {
      route: yield* requireRoute(store, "domain", yield* Input.existingName("domain", input.domain!)),
      slot: input.slot === undefined ? undefined : yield* Input.slot(limits, input.slot, 1)
    }
  const { route, slot } = found
  const servers = yield* store.servers(route.pool)
  if (slot === undefined) {
    if (!one) return { route, servers, chosen: servers }
    return yield* new InvalidInput({
      message: byNames ? "server is missing" : "slot is missing",
      hint: `Name the one server that is meant${byNames ? "" : ": haproxy_list_servers says the slots"}.`,
      field: byNames ? "server" : "slot",
      validValues: namesOf(servers, byNames)
    })
  }
  const chosen = servers.find((server) => server.slot === slot)
  if (chosen === undefined) {
    return yield* new NotFound({
      message: `Slot ${slot} of ${poolName(route.pool)} is empty`,
      hint: servers.length === 0
        ? "The pool has no servers; add one with haproxy_add_server."
        : "Use one of the valid values.",
      field: byNames ? "server" : "slot",
      validValues: namesOf(servers, byNames)
    })
  }
  return { route, servers, chosen: [chosen] }
})

const namesOf = (servers: ReadonlyArray<Server>, byNames: boolean): ReadonlyArray<string> =>
  servers.map((server) => byNames ? slotName(server.pool, server.slot) : String(server.slot))

/** How far from a free pool to look for used ones, for the hint. */
const nearby = 50

/** What `backend` and `server` mean. Everything but our own pools and slots is foreign, and FORBIDDEN. */
const findByNames = Effect.fnUntraced(function*(
  store: Store["Service"],
  limits: Limits["Service"],
  { backend, server }: ServerTarget
): Effect.fn.Return<{ readonly route: Route; readonly slot: SlotNumber | undefined }, ControlError> {
  const { pools, slots } = limits.pools
  const foreign = (field: string, name: string) =>
    new Forbidden({
      message: `${field} ${Input.shown(name)} is not managed here`,
      hint: `Only pool_1 to pool_${pools} and their servers, such as pool_1_1 to pool_1_${slots}, can be changed; `
        + "change others where they were made.",
      field
    })
  const parsed = server === undefined ? null : parseSlotName(server)
  if (server !== undefined && parsed === null && backend === undefined) return yield* foreign("server", server)
  const name = backend ?? poolName(parsed!.pool)
  const pool = ownPool(name, limits.pools)
  if (pool === null) return yield* backend === undefined ? foreign("server", server!) : foreign("backend", backend)
  if (server !== undefined) {
    if (parsed === null || (parsed.pool === pool && parsed.slot > slots)) return yield* foreign("server", server)
    if (parsed.pool !== pool) {
      return yield* new InvalidInput({
        message: `server ${server} does not belong to backend ${name}`,
        hint: `Servers of ${name} are ${name}_1 to ${name}_${slots}.`,
        field: "server"
      })
    }
  }
  const owner = yield* store.owner(pool)
  if (owner === null) {
    const around = Array.from({ length: 2 * nearby + 1 }, (_, index) => pool - nearby + index as PoolNumber)
    const used = [...(yield* store.owners(around)).keys()].sort((a, b) => Math.abs(a - pool) - Math.abs(b - pool))
    return yield* new NotFound({
      message: `${name} is free: no domain uses it`,
      hint: "haproxy_list_domains says which pool a domain uses.",
      field: backend === undefined ? "server" : "backend",
      validValues: used.slice(0, 5).map(poolName)
    })
  }
  return { route: yield* requireRoute(store, "backend", owner), slot: parsed?.slot }
})
