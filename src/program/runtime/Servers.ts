/**
 * The verbs that make, change and delete servers of backends that are not ours, until HAProxy's next start.
 *
 * Guarantees: our pools are refused with the tool that changes them; every setting is read back; of several settings
 * either all are made or, when HAProxy refuses one, those before it are taken back; a server that cannot be deleted in
 * time gets its state back.
 */
import * as Effect from "effect/Effect"
import { formatEndpoint, ownListener } from "../../domain/Address.ts"
import { Conflict, type ControlError, InvalidInput } from "../../domain/Errors.ts"

import type { ServerState } from "../../domain/Pool.ts"
import type { Command } from "../../haproxy/Command.ts"
import * as Dynamic from "../../haproxy/DynamicServerCommands.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Servers from "../../haproxy/ServerCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import { Caller } from "../Caller.ts"
import * as Input from "../Input.ts"
import { Limits } from "../Limits.ts"
import { PoolAllocator } from "../PoolAllocator.ts"
import { inTime } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { type ServerDetail, serverIn, serversIn } from "./Backend.ts"
import { asWriter, endBeforeTelling, notSo, requireCommand, requireForeign, tell, untilRestart } from "./Telling.ts"

export interface ServerAnswer extends Answer {
  readonly changed: boolean
  readonly backend: string
  readonly server: ServerDetail | null
}

const instead = "haproxy_add_server, haproxy_remove_server, haproxy_set_server_state or haproxy_set_server_weight"

/** Milliseconds between two looks, and looks until HAProxy counts as unwilling. */
const lookEvery = 50
const mostLooks = 40

const named = Effect.fnUntraced(function*(input: { readonly backend: string; readonly server: string }) {
  const backend = yield* Input.proxyName("backend", input.backend)
  const server = yield* Input.proxyName("server", input.server)
  yield* requireForeign(backend, instead)
  return { backend, server }
})

/** Most connections that a server can be told. */
const mostConnections = 1_000_000

/** An address that does not lead back to HAProxy or to us. */
const endpointOf = Effect.fnUntraced(function*(input: { readonly ip: string; readonly port: number }) {
  const limits = yield* Limits
  const endpoint = yield* Input.endpoint(limits, { ip: input.ip, http_port: input.port })
  const listeners = (yield* (yield* PoolAllocator).observed)?.listeners ?? []
  const circle = ownListener(
    endpoint.ip,
    endpoint.port,
    listeners,
    limits.haproxyIsHere ? limits.localAddresses : new Set()
  )
  return circle === undefined ? endpoint : yield* new InvalidInput({
    message: `ip ${formatEndpoint(endpoint.ip, endpoint.port)} is ${circle.name}, so traffic would run in a circle`,
    hint: "Name the address and port of the server behind HAProxy.",
    field: "ip"
  })
})

/** Looks until it is so; address changes take effect only after the exchange that made them. */
const seen = Effect.fnUntraced(function*(backend: string, server: string, isSo: (server: ServerDetail) => boolean) {
  for (let look = 1;; look++) {
    const now = yield* inTime(serverIn(backend, server))
    if (isSo(now)) return now
    if (look === mostLooks) {
      return yield* notSo(
        `${backend}/${server} is ${now.addr}, ${now.state}, weight ${now.weight}, maxconn ${now.maxconn}`
      )
    }
    yield* Effect.sleep(lookEvery)
  }
})

export interface AddRuntimeServerInput {
  readonly backend: string
  readonly server: string
  readonly ip: string
  readonly port: number
  readonly weight?: number
  readonly maxconn?: number
  readonly checks?: boolean
  readonly backup?: boolean
  readonly state?: string
}

/** Makes a server; it takes traffic at once unless another state is asked for. */
export const addRuntimeServer = asWriter(
  Tracing.fn("addRuntimeServer")(function*(
    input: AddRuntimeServerInput
  ): Effect.fn.Return<ServerAnswer, ControlError, ProgramServices> {
    const { backend, server } = yield* named(input)
    const { ip, port } = yield* endpointOf(input)
    const weight = input.weight === undefined ? undefined : yield* Input.weight(input.weight)
    const maxconn = input.maxconn === undefined
      ? undefined
      : yield* Input.whole("maxconn", input.maxconn, 1, mostConnections)
    const state = yield* Input.state(input.state ?? "ready")
    yield* requireCommand("add server", "2.5")
    const address = formatEndpoint(ip, port)
    const there = (yield* inTime(serversIn(backend))).find(({ name }) => name === server)
    if (there !== undefined) {
      if (there.addr === address) {
        return {
          summary: `${backend}/${server} is there already at ${address}`,
          changed: false,
          backend,
          server: there
        }
      }
      return yield* new Conflict({
        message: `${backend} has a server ${server} at ${there.addr}`,
        hint: "Change it with haproxy_server_set, or choose another name.",
        field: "server"
      })
    }
    const add = Dynamic.add(backend, server, address, [
      ...(input.checks === true ? ["check"] : []),
      ...(input.backup === true ? ["backup"] : []),
      ...(weight === undefined ? [] : ["weight", String(weight)]),
      ...(maxconn === undefined ? [] : ["maxconn", String(maxconn)])
    ])
    // It begins in maintenance with its checks off: nobody is sent there before they are on.
    const then = [
      ...(input.checks === true ? [Dynamic.healthChecks(backend, server, true)] : []),
      ...(state === "maint" ? [] : [Servers.setState(backend, server, state)])
    ]
    yield* endBeforeTelling({
      summary: `${backend}/${server} is at ${address}, ${state}, ${untilRestart}`,
      commands: [add, ...then],
      now: { backend, server: null },
      backend
    })
    yield* tell(add)
    const rest = Effect.gen(function*() {
      for (const command of then) yield* tell(command)
      return yield* seen(backend, server, (now) => now.addr === address && now.state === state)
    })
    const now = yield* rest.pipe(
      Effect.tapError(() =>
        Effect.ignore(
          Effect.andThen(tell(Servers.setState(backend, server, "maint")), tell(Dynamic.del(backend, server)))
        )
      )
    )
    return {
      summary: `${backend}/${server} is at ${address}, ${now.state}, ${untilRestart}`,
      changed: true,
      backend,
      server: now
    }
  })
)

export interface DeleteRuntimeServerInput {
  readonly backend: string
  readonly server: string
  readonly drain?: number
}

/** Milliseconds for a server in maintenance to let go of idle connections, and of one look at that. */
const removableWithin = 5_000
const removableLook = 100

/** Lets its sessions end for up to `drain` seconds, then deletes it. */
export const deleteRuntimeServer = asWriter(
  Tracing.fn("deleteRuntimeServer")(function*(
    input: DeleteRuntimeServerInput
  ): Effect.fn.Return<ServerAnswer, ControlError, ProgramServices> {
    const { backend, server } = yield* named(input)
    const drain = yield* Input.whole("drain", input.drain ?? 0, 0, 35)
    yield* requireCommand("del server", "2.5")
    const caller = yield* Caller
    const all = yield* inTime(serversIn(backend))
    const before = all.find(({ name }) => name === server)
    if (before === undefined) {
      return { summary: `${backend} has no server ${server}`, changed: false, backend, server: null }
    }
    const [drained, taken, del] = [
      Servers.setState(backend, server, "drain"),
      Servers.setState(backend, server, "maint"),
      Dynamic.del(backend, server)
    ]
    yield* endBeforeTelling({
      summary: `${backend}/${server} is deleted, ${untilRestart}`,
      commands: drain > 0 ? [drained, taken, del] : [taken, del],
      now: { backend, server: before },
      sessions: before.sessions,
      backend
    })
    const restore = Effect.ignore(tell(Servers.setState(backend, server, before.state)))
    const work = Effect.gen(function*() {
      if (drain > 0) {
        yield* tell(drained)
        const ends = Date.now() + drain * 1_000
        for (let left = before.sessions; left > 0 && Date.now() < ends; yield* Effect.sleep(lookEvery)) {
          left = (yield* inTime(serverIn(backend, server))).sessions
          yield* caller.progress(before.sessions - left, before.sessions, `${left} sessions are left`)
        }
      }
      yield* tell(taken)
      // Short waits: `wait` holds the connection that writes go over.
      for (
        const ends = Date.now() + removableWithin;
        !(yield* tell(Dynamic.waitRemovable(backend, server, removableLook)));
      ) {
        if (Date.now() >= ends) {
          const { sessions } = yield* inTime(serverIn(backend, server))
          return yield* new Conflict({
            message: `${backend}/${server} still has ${sessions} sessions or connections`,
            hint: "It has its state back. Repeat with a longer drain, or end them with haproxy_session_kill.",
            field: "server"
          })
        }
        yield* Effect.sleep(lookEvery)
      }
      yield* tell(del)
    })
    yield* work.pipe(Effect.tapError(() => restore))
    if ((yield* inTime(serversIn(backend))).some(({ name }) => name === server)) {
      return yield* notSo(`${backend}/${server} is still there`)
    }
    return { summary: `${backend}/${server} is deleted, ${untilRestart}`, changed: true, backend, server: null }
  })
)

export interface SetRuntimeServerInput {
  readonly backend: string
  readonly server: string
  readonly state?: string
  readonly weight?: number
  readonly maxconn?: number
  readonly ip?: string
  readonly port?: number
  readonly checks?: "on" | "off"
  readonly health?: "up" | "stopping" | "down"
  readonly agent_checks?: "on" | "off"
  readonly agent?: "up" | "down"
}

interface Step {
  readonly make: Command<unknown>
  /** How to take it back; null: it cannot be. */
  readonly undo: Command<unknown> | null
}

const portOf = (addr: string): number => Number(addr.slice(addr.lastIndexOf(":") + 1))
const ipOf = (addr: string): string => addr.slice(0, addr.lastIndexOf(":")).replace(/^\[|\]$/g, "")

/** What differs from how it is, in an order in which nobody is sent to a server that is not ready for it. */
const stepsOf = (
  backend: string,
  before: ServerDetail,
  wanted: Omit<SetRuntimeServerInput, "state"> & { readonly state: ServerState | undefined }
): ReadonlyArray<Step> => {
  const { name } = before
  const steps: Array<Step> = []
  const { agent, agent_checks, checks, health, ip, maxconn, port, state, weight } = wanted
  const leaves = state !== undefined && state !== "ready"
  const setState = (): Step => ({
    make: Servers.setState(backend, name, state!),
    undo: Servers.setState(backend, name, before.state)
  })
  if (leaves && state !== before.state) steps.push(setState())
  if (ip !== undefined && port !== undefined && formatEndpoint(ip, port) !== before.addr) {
    steps.push({
      make: Servers.setAddress(backend, name, ip, port),
      undo: /^[0-9a-f.:[\]]+:\d+$/i.test(before.addr)
        ? Servers.setAddress(backend, name, ipOf(before.addr), portOf(before.addr))
        : null
    })
  }
  if (weight !== undefined && weight !== before.weight) {
    steps.push({
      make: Servers.setWeight(backend, name, weight),
      undo: Servers.setWeight(backend, name, before.weight)
    })
  }
  if (maxconn !== undefined && maxconn !== before.maxconn) {
    steps.push({
      make: Dynamic.setMaxconn(backend, name, maxconn),
      undo: Dynamic.setMaxconn(backend, name, before.maxconn ?? 0)
    })
  }
  if (checks !== undefined && checks !== before.checks) {
    steps.push({
      make: Dynamic.healthChecks(backend, name, checks === "on"),
      undo: Dynamic.healthChecks(backend, name, before.checks === "on")
    })
  }
  if (agent_checks !== undefined && agent_checks !== before.agent_checks) {
    steps.push({
      make: Dynamic.agentChecks(backend, name, agent_checks === "on"),
      undo: Dynamic.agentChecks(backend, name, before.agent_checks === "on")
    })
  }
  if (agent !== undefined) steps.push({ make: Dynamic.setAgent(backend, name, agent), undo: null })
  if (health !== undefined) steps.push({ make: Dynamic.setHealth(backend, name, health), undo: null })
  if (!leaves && state !== undefined && state !== before.state) steps.push(setState())
  return steps
}

/** All steps, or none: what was made is taken back, the last first. */
const runSteps = (steps: ReadonlyArray<Step>): Effect.Effect<void, ControlError, RuntimeApi> =>
  Effect.gen(function*() {
    const done: Array<Step> = []
    for (const step of steps) {
      yield* tell(step.make).pipe(
        Effect.tapError(() =>
          Effect.forEach(done.toReversed(), ({ undo }) => undo === null ? Effect.void : Effect.ignore(tell(undo)), {
            discard: true
          })
        )
      )
      done.push(step)
    }
  })

/** Sets what is given of one server. */
export const setRuntimeServer = asWriter(
  Tracing.fn("setRuntimeServer")(function*(
    input: SetRuntimeServerInput
  ): Effect.fn.Return<ServerAnswer, ControlError, ProgramServices> {
    const { backend, server } = yield* named(input)
    const { backend: _, server: __, ...settings } = input
    if (Object.keys(settings).length === 0) {
      return yield* new InvalidInput({
        message: "Nothing to set",
        hint: "Give at least one of state, weight, maxconn, ip with port, checks, health, agent_checks, agent.",
        field: "state"
      })
    }
    if ((input.ip === undefined) !== (input.port === undefined)) {
      return yield* new InvalidInput({
        message: input.ip === undefined ? "port without ip" : "ip without port",
        hint: "Give both: an address has a port.",
        field: input.ip === undefined ? "ip" : "port"
      })
    }
    const state = input.state === undefined ? undefined : yield* Input.state(input.state)
    if (input.weight !== undefined) yield* Input.weight(input.weight)
    if (input.maxconn !== undefined) yield* Input.whole("maxconn", input.maxconn, 1, mostConnections)
    const endpoint = input.ip === undefined ? null : yield* endpointOf({ ip: input.ip, port: input.port! })
    const before = yield* inTime(serverIn(backend, server))
    for (
      const [field, on, have] of [
        ["checks", input.checks ?? input.health, before.checks],
        ["agent_checks", input.agent_checks ?? input.agent, before.agent_checks]
      ] as const
    ) {
      if (on !== undefined && have === "none") {
        return yield* new Conflict({
          message: `${backend}/${server} was configured without ${field === "checks" ? "health" : "agent"} checks`,
          hint: "Configure them in haproxy.cfg, or make a server with haproxy_server_add.",
          field
        })
      }
    }
    const steps = stepsOf(backend, before, { ...input, state })
    yield* endBeforeTelling({
      summary: `${backend}/${server} is set as asked, ${untilRestart}`,
      commands: steps.map(({ make }) => make),
      now: { backend, server: before },
      sessions: before.sessions,
      backend
    })
    yield* runSteps(steps)
    const now = yield* seen(backend, server, (one) =>
      (state === undefined || one.state === state)
      && (input.weight === undefined || one.weight === input.weight)
      && (input.maxconn === undefined || one.maxconn === input.maxconn)
      && (endpoint === null || one.addr === formatEndpoint(endpoint.ip, endpoint.port))
      && (input.checks === undefined || one.checks === input.checks)
      && (input.agent_checks === undefined || one.agent_checks === input.agent_checks))
    return {
      summary:
        `${backend}/${server} is ${now.status} at ${now.addr}, ${now.state}, weight ${now.weight}, ${untilRestart}`,
      changed: steps.length > 0,
      backend,
      server: now
    }
  })
)
