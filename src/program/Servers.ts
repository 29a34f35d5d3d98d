/** The verbs that write servers: add, remove, state, weight. Lists and drains are in ServerList.ts and Drain.ts. */
import * as Effect from "effect/Effect"
import { formatEndpoint } from "../domain/Address.ts"
import type { Edit, Route } from "../domain/Change.ts"
import { Conflict, type ControlError, InvalidInput, PoolExhausted } from "../domain/Errors.ts"
import { defaultWeight, poolName, type Server, slotName, type SlotNumber } from "../domain/Pool.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Decide, Draft, Plan, View } from "./Decision.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { requireRoute, serverItem } from "./Lookup.ts"
import { write } from "./PoolAllocator.ts"
import type {
  AddServerAnswer,
  AddServerInput,
  AddServersInput,
  RemoveServerInput,
  ServersAnswer,
  ServerTarget,
  SetDomainStateInput,
  SetServerStateInput,
  SetServerWeightInput
} from "./ServerShapes.ts"
import type { ProgramServices } from "./Services.ts"
import { findTarget } from "./Target.ts"

type Endpoint = { readonly ip: Server["ip"]; readonly port: Server["port"] }

const same = (server: Server, endpoint: Endpoint) => server.ip === endpoint.ip && server.port === endpoint.port

/** The plan of a write to one pool's servers: `after` is the pool as it will be. */
const poolPlan = <X extends object>(
  route: Route,
  before: ReadonlyArray<Server>,
  after: ReadonlyArray<Server>,
  summary: string,
  extra: X
): Plan<Draft<ServersAnswer> & X> => {
  const old = new Map(before.map((server) => [server.slot, server]))
  const now = new Map(after.map((server) => [server.slot, server]))
  const edits: Array<Edit> = []
  for (const slot of [...new Set([...old.keys(), ...now.keys()])].sort((a, b) => a - b)) {
    const was = old.get(slot) ?? null
    const is = now.get(slot) ?? null
    if (JSON.stringify(was) !== JSON.stringify(is)) {
      edits.push({ kind: "server", pool: route.pool, slot, before: was, after: is })
    }
  }
  const sorted = [...after].sort((a, b) => a.slot - b.slot)
  const takes = (server: Server) => server.state === "ready" && server.weight > 0
  return {
    edits,
    reads: [`route:${route.name}`, `pool:${route.pool}`],
    summary,
    answer: {
      summary,
      domain: route.name,
      backend: poolName(route.pool),
      servers: sorted.map(serverItem),
      warnings: edits.length > 0 && before.some(takes) && !sorted.some(takes)
        ? [`No server of ${poolName(route.pool)} takes new requests now`]
        : [],
      ...extra
    }
  }
}

/** Slots of a pool that are free and that HAProxy has, lowest first. */
const freeSlots = (
  limits: Limits["Service"],
  view: View,
  route: Route,
  servers: ReadonlyArray<Server>
): ReadonlyArray<SlotNumber> =>
  Array.from({ length: limits.pools.slots }, (_, index) => index + 1 as SlotNumber)
    .filter((slot) => view.usable(route.pool, slot) && !servers.some((server) => server.slot === slot))

/** Chooses the slot for a server: the one asked for, the one that has it, or the first free one. */
const place = Effect.fnUntraced(function*(
  limits: Limits["Service"],
  view: View,
  route: Route,
  servers: ReadonlyArray<Server>,
  endpoint: Endpoint,
  wanted: SlotNumber,
  field = "slot"
) {
  const there = servers.find((server) => same(server, endpoint))
  if (wanted === 0) {
    const slot = there?.slot ?? freeSlots(limits, view, route, servers)[0]
    if (slot !== undefined) return slot
    return yield* new PoolExhausted({
      message: `${poolName(route.pool)} has no free slot: ${servers.length} servers are in it`,
      hint: "Remove a server first, or declare more slots (HAPROXY_MAX_SLOTS) and reload HAProxy."
    })
  }
  const conflict = (message: string, hint: string) => new Conflict({ message, hint, field })
  const holder = servers.find((server) => server.slot === wanted)
  if (holder !== undefined && !same(holder, endpoint)) {
    return yield* conflict(
      `Slot ${wanted} holds ${formatEndpoint(holder.ip, holder.port)}`,
      "Use slot 0 for the first free slot, or remove that server first."
    )
  }
  if (there !== undefined && there.slot !== wanted) {
    return yield* conflict(
      `${formatEndpoint(endpoint.ip, endpoint.port)} is in slot ${there.slot} already`,
      "A server has one slot in a pool; use slot 0, or remove it there first."
    )
  }
  if (holder === undefined && !view.usable(route.pool, wanted)) {
    return yield* conflict(
      `HAProxy's configuration has no server ${slotName(route.pool, wanted)}`,
      "Use a slot that it has (slot 0 chooses one), or declare it and reload HAProxy."
    )
  }
  return wanted
})

const newServer = (route: Route, slot: SlotNumber, endpoint: Endpoint): Server => ({
  pool: route.pool,
  slot,
  ...endpoint,
  weight: defaultWeight,
  state: "ready"
})

/** Puts a server into a slot of the domain's pool. The same server again: nothing changes. */
export const addServer = Tracing.fn("addServer")(function*(
  input: AddServerInput
): Effect.fn.Return<AddServerAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const name = yield* Input.existingName("domain", input.domain)
  const wanted = yield* Input.slot(limits, input.slot ?? 0, 0)
  const endpoint = yield* Input.endpoint(limits, input)
  const decide: Decide<Draft<AddServerAnswer>> = Effect.fnUntraced(function*(view) {
    yield* Input.notOwn(view, endpoint)
    const route = yield* requireRoute(store, "domain", name)
    const servers = yield* store.servers(route.pool)
    const slot = yield* place(limits, view, route, servers, endpoint, wanted)
    const text = formatEndpoint(endpoint.ip, endpoint.port)
    const there = servers.some((server) => server.slot === slot)
    return there
      ? poolPlan(route, servers, servers, `${text} is in slot ${slot} of ${poolName(route.pool)} already`, { slot })
      : poolPlan(
        route,
        servers,
        [...servers, newServer(route, slot, endpoint)],
        `${text} serves ${name} from slot ${slot} of ${poolName(route.pool)}`,
        { slot }
      )
  })
  return yield* write(decide)
})

/** Puts several servers into the domain's pool: all or none. */
export const addServers = Tracing.fn("addServers")(function*(
  input: AddServersInput
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const name = yield* Input.existingName("domain", input.domain)
  if (input.servers.length < 1 || input.servers.length > 10) {
    return yield* new InvalidInput({
      message: `servers has ${input.servers.length} entries`,
      hint: "Name 1 to 10 servers in one call.",
      field: "servers"
    })
  }
  const wanted = yield* Effect.forEach(input.servers, (server, index) =>
    Effect.all({
      prefix: Effect.succeed(`servers[${index}].`),
      slot: Input.slot(limits, server.slot ?? 0, 0, `servers[${index}].slot`),
      endpoint: Input.endpoint(limits, server, `servers[${index}].`)
    }))
  const decide: Decide<Draft<ServersAnswer>> = Effect.fnUntraced(function*(view) {
    for (const { endpoint, prefix } of wanted) yield* Input.notOwn(view, endpoint, prefix)
    const route = yield* requireRoute(store, "domain", name)
    const before = yield* store.servers(route.pool)
    const after = [...before]
    // Slots asked for by number go first, so that a "first free" never takes one of them.
    for (
      const { endpoint, prefix, slot } of [
        ...wanted.filter((w) => w.slot !== 0),
        ...wanted.filter((w) => w.slot === 0)
      ]
    ) {
      const chosen = yield* place(limits, view, route, after, endpoint, slot, `${prefix}slot`).pipe(
        Effect.catchTag("PoolExhausted", ({ hint }) => {
          const free = freeSlots(limits, view, route, before).length
          return Effect.fail(
            new PoolExhausted({
              message: `${poolName(route.pool)} has ${free} free slot${
                free === 1 ? "" : "s"
              }, too few for all of these`,
              hint: `Nothing was added. ${hint}`
            })
          )
        })
      )
      if (!after.some((server) => server.slot === chosen)) after.push(newServer(route, chosen, endpoint))
    }
    const added = after.length - before.length
    const summary = added === 0
      ? `All ${wanted.length} servers are in ${poolName(route.pool)} already`
      : `${added} server${added === 1 ? "" : "s"} added to ${poolName(route.pool)} for ${name}`
    return poolPlan(route, before, after, summary, {})
  })
  return yield* write(decide)
})

/** Empties a slot. An empty slot: nothing to do, said so. */
export const removeServer = Tracing.fn("removeServer")(function*(
  input: RemoveServerInput
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const name = yield* Input.existingName("domain", input.domain)
  const slot = yield* Input.slot(limits, input.slot, 1)
  const decide: Decide<Draft<ServersAnswer>> = Effect.fnUntraced(function*() {
    const route = yield* requireRoute(store, "domain", name)
    const before = yield* store.servers(route.pool)
    const gone = before.find((server) => server.slot === slot)
    const summary = gone === undefined
      ? `Slot ${slot} of ${poolName(route.pool)} is empty; nothing to remove`
      : `${formatEndpoint(gone.ip, gone.port)} left slot ${slot} of ${poolName(route.pool)}`
    return poolPlan(route, before, before.filter((server) => server !== gone), summary, {})
  })
  return yield* write(decide)
})

/** Sets a field of the chosen servers, and says how it is now. */
const setServers = Effect.fnUntraced(function*(
  input: ServerTarget,
  one: boolean,
  patch: Partial<Pick<Server, "state" | "weight">>,
  what: string
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const decide: Decide<Draft<ServersAnswer>> = Effect.fnUntraced(function*() {
    const { chosen, route, servers } = yield* findTarget(store, limits, input, one)
    const after = servers.map((server) => chosen.includes(server) ? { ...server, ...patch } : server)
    const changes = after.some((server, index) => JSON.stringify(server) !== JSON.stringify(servers[index]))
    const who = chosen.length === 1
      ? slotName(chosen[0]!.pool, chosen[0]!.slot)
      : `${chosen.length === 0 ? "No server" : `All ${chosen.length} servers`} of ${poolName(route.pool)}`
    const summary = chosen.length === 0
      ? `${poolName(route.pool)} has no servers; nothing to set`
      : `${who} ${chosen.length === 1 ? "has" : "have"} ${what}${changes ? "" : " already"}`
    return poolPlan(route, servers, after, summary, {})
  })
  return yield* write(decide)
})

/** Sets one server to ready, drain or maint. */
export const setServerState = Tracing.fn("setServerState")(function*(
  input: SetServerStateInput
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const state = yield* Input.state(input.state)
  return yield* setServers(input, true, { state }, `state ${state}`)
})

/** Sets one server's weight. */
export const setServerWeight = Tracing.fn("setServerWeight")(function*(
  input: SetServerWeightInput
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const weight = yield* Input.weight(input.weight)
  return yield* setServers(input, true, { weight }, `weight ${weight}`)
})

/** Sets all servers of a domain's pool (or one, by backend and server) to ready, drain or maint. */
export const setDomainState = Tracing.fn("setDomainState")(function*(
  input: SetDomainStateInput
): Effect.fn.Return<ServersAnswer, ControlError, ProgramServices> {
  const state = yield* Input.state(input.state)
  return yield* setServers(input, false, { state }, `state ${state}`)
})
