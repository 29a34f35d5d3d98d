/**
 * A fake of HAProxy's Runtime API over a real socket, for testing what talks to HAProxy without one.
 *
 * ```ts
 * import { declarePools, Fault, FakeHaproxy } from "haproxy-mcp/testing"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function*() {
 *   const fake = yield* FakeHaproxy.make({
 *     line: "3.4",
 *     maps: { "/etc/haproxy/domains.map": "example.com pool_1\n" },
 *     backends: declarePools({ count: 10, slots: 3 })
 *   })
 *   // Let the client under test connect to fake.address: { path } or { host, port }.
 *   yield* fake.inject("add map", Fault.loseAnswer, { nth: 2 })
 *   const received = yield* fake.awaitCommand(/^set server pool_1\/pool_1_1 addr/)
 *   yield* fake.restart // another process: maps and servers as at start
 *   console.log(received.text, fake.map("/etc/haproxy/domains.map"), fake.servers, fake.commands.length)
 * })
 * await Effect.runPromise(Effect.scoped(program))
 * ```
 *
 * or as a layer: `FakeHaproxy.layer({ line: "3.2" })`, then `yield* FakeHaproxy`.
 *
 * Guarantees: for the commands that it imitates (`show info|version|stat|sess|backend|servers state|map|fd l`, all of
 * `map`, `set server addr|state|weight|health`, `enable|disable server|health`, `get|set weight`, `help`, `prompt`,
 * `set severity-output`, `quit`, `show|new|set|commit|abort|del ssl cert`, `show|add|del ssl crt-list`) it answers
 * byte for byte what 3.0.11, 3.2.26 or 3.4.7 answers, save for pids, times and counters; and so do its framing, size
 * limits, payloads, duplicates, versions of maps, the delay of new addresses, and what is run for a client that has
 * gone. `test/testing/parity.test.ts` compares it with the real ones.
 *
 * It stops there: it routes no traffic, checks no health, and refuses what it does not imitate in words of its own
 * (`FakeHaproxy does not imitate …`, listed in `unimitated`), never with an invented success.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { X509Certificate } from "node:crypto"
import type { CommandPattern, Fault, FaultOptions, InjectedFault } from "./Fault.ts"
import { Host } from "./Host.ts"
import type { Line } from "./Line.ts"
import type { FakeAddress, FakeHaproxyOptions, ReceivedCommand } from "./Options.ts"
import type { ServerState } from "./Server.ts"

/** One life of the fake's worker. */
export interface FakeEpoch {
  readonly pid: number
  /** Seconds since 1970. */
  readonly startTime: number
  readonly version: string
}

/** A running fake. Its properties say how things are now; what it does is an effect. */
export interface FakeHaproxyShape {
  /** Where it listens, the first of `addresses`. */
  readonly address: FakeAddress
  readonly addresses: ReadonlyArray<FakeAddress>
  readonly line: Line
  readonly epoch: FakeEpoch
  /** Every command received, in order, of all connections and workers. */
  readonly commands: ReadonlyArray<ReceivedCommand>
  /** Open connections, those to an old worker included. */
  readonly connections: number
  /** The entries of a map in order, duplicates included. Fails on a path that is not declared. */
  readonly map: (path: string) => ReadonlyArray<readonly [key: string, value: string]>
  /** All maps as plain objects; of duplicates the last. */
  readonly maps: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Every server, addresses that are about to take effect included. */
  readonly servers: ReadonlyArray<ServerState>
  /** A server by `backend/server`. Fails on one that does not exist. */
  readonly server: (name: string) => ServerState
  /** What HAProxy knows of certificates: their paths, the transaction going on, and the entries of each crt-list. */
  readonly certificates: {
    readonly paths: ReadonlyArray<string>
    /** Its own certificate, or `undefined` when it is unknown or still empty. */
    readonly get: (path: string) => X509Certificate | undefined
    readonly transaction: string | undefined
    readonly crtList: (
      path: string
    ) => ReadonlyArray<{ readonly certificate: string; readonly filters: ReadonlyArray<string> }>
  }
  /** Commands that HAProxy knows and the fake refused for want of imitation. */
  readonly unimitated: ReadonlyArray<string>

  /** Runs one command as another operator would, past all faults, and answers its text. Not in the log. */
  readonly run: (command: string) => Effect.Effect<string>
  /** Waits until a matching command has been dealt with; one that already was counts, from `after` commands on. */
  readonly awaitCommand: (
    pattern: CommandPattern,
    options?: { readonly after?: number; readonly nth?: number }
  ) => Effect.Effect<ReceivedCommand>
  /** Forgets the log. */
  readonly forgetCommands: Effect.Effect<void>
  /** Lets something go wrong with a command to come. */
  readonly inject: (pattern: CommandPattern, fault: Fault, options?: FaultOptions) => Effect.Effect<InjectedFault>
  /** Takes one fault back. */
  readonly removeFault: (fault: InjectedFault) => Effect.Effect<void>
  /** Takes all faults back. */
  readonly clearFaults: Effect.Effect<void>
  /** What a health check would find of `backend/server` from now on. */
  readonly setHealth: (server: string, healthy: boolean) => Effect.Effect<void>

  /** Stops the process, as SIGSTOP: it accepts and buffers, and runs nothing. */
  readonly pause: Effect.Effect<void>
  /** Goes on: what was buffered is run, also for clients that have gone. */
  readonly resume: Effect.Effect<void>
  /** Refuses new connections; open ones go on. */
  readonly stopListening: Effect.Effect<void>
  /** Listens again, at the same address. */
  readonly listen: Effect.Effect<void>
  /** Ends all connections, with their commands not yet run. */
  readonly dropConnections: Effect.Effect<void>
  /** The process ends: its memory, its connections, its listener. */
  readonly kill: Effect.Effect<void>
  /** A new process: another pid and start time, maps and servers as declared. Listens. One that still runs ends first. */
  readonly start: Effect.Effect<void>
  /** {@link kill}, then {@link start}. */
  readonly restart: Effect.Effect<void>
  /** A new worker as with {@link start}; the old one goes on for its connections with `Stopping: 1`. */
  readonly reload: Effect.Effect<void>
}

const make = (options: FakeHaproxyOptions): Effect.Effect<FakeHaproxyShape, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const host = new Host(options)
        await host.open()
        return host
      }),
      (host) => Effect.promise(() => host.dispose())
    ),
    shapeOf
  )

const shapeOf = (host: Host): FakeHaproxyShape => ({
  address: host.addresses[0]!,
  addresses: host.addresses,
  line: host.line,
  get epoch() {
    const { pid, started, traits } = host.process
    return { pid, startTime: Math.floor(started / 1000), version: traits.version }
  },
  commands: host.log,
  get connections() {
    return host.connections.size
  },
  map: (path) => host.entries(path),
  get maps() {
    return Object.fromEntries(
      [...host.process.maps.byPath.keys()].map((path) => [path, Object.fromEntries(host.entries(path))])
    )
  },
  get servers() {
    return host.process.servers.states()
  },
  server: (name) => {
    const found = host.process.servers.states().find((server) => `${server.backend}/${server.name}` === name)
    if (found === undefined) throw new Error(`FakeHaproxy has no server ${name}`)
    return found
  },
  get certificates() {
    const { certificates, crtLists } = host.process
    return {
      paths: certificates.paths,
      get: (path: string) => certificates.get(path)?.content?.leaf,
      transaction: certificates.pending,
      crtList: (path: string) => crtLists.entries(path)
    }
  },
  unimitated: host.unimitated,
  run: (command) => Effect.sync(() => host.runAside(command)),
  awaitCommand: (pattern, options) =>
    Effect.callback<ReceivedCommand>((resume) => {
      const cancel = host.watch(pattern, options?.after ?? 0, options?.nth ?? 1, (command) =>
        resume(Effect.succeed(command)))
      return Effect.sync(cancel)
    }),
  forgetCommands: Effect.sync(() => {
    host.log.length = 0
  }),
  inject: (pattern, fault, options) => Effect.sync(() => host.faults.inject(pattern, fault, options)),
  removeFault: (fault) => Effect.sync(() => host.faults.remove(fault)),
  clearFaults: Effect.sync(() => host.faults.clear()),
  setHealth: (server, healthy) =>
    Effect.sync(() => {
      if (!host.process.servers.setHealth(server, healthy)) throw new Error(`FakeHaproxy has no server ${server}`)
    }),
  pause: Effect.sync(() => host.pause()),
  resume: Effect.sync(() => host.resume()),
  stopListening: Effect.sync(() => host.close()),
  listen: Effect.promise(() => host.open()),
  dropConnections: Effect.sync(() => host.dropConnections()),
  kill: Effect.sync(() => host.kill()),
  start: Effect.promise(() => host.start()),
  restart: Effect.promise(() => host.start()),
  reload: Effect.sync(() => host.reload())
})

/** A running fake, as a service. */
export class FakeHaproxy extends Context.Service<FakeHaproxy, FakeHaproxyShape>()("haproxy-mcp/testing/FakeHaproxy") {
  /** Starts a fake and ends it with the scope. An address that cannot be listened on is a defect. */
  static readonly make = make

  /** {@link FakeHaproxy.make} as a layer. */
  static readonly layer = (options: FakeHaproxyOptions): Layer.Layer<FakeHaproxy> =>
    Layer.effect(FakeHaproxy, make(options))
}
