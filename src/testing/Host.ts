/**
 * The fake itself, without Effect: the listening socket, the worker now and those before it, the connections, the log
 * and the faults. FakeHaproxy.ts is its public face.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { createServer, type Server as NetServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { render } from "./Answer.ts"
import { type Parsed, wordsOf } from "./CommandLine.ts"
import { Connection, type Entry } from "./Connection.ts"
import { atStart, declarePools } from "./Declared.ts"
import { type CommandPattern, Faults, matches } from "./Fault.ts"
import { type Line, type Traits, traitsOf } from "./Line.ts"
import type { FakeAddress, FakeHaproxyOptions, ListenOn, ReceivedCommand } from "./Options.ts"
import { Process } from "./Process.ts"

interface Watch {
  readonly pattern: CommandPattern
  missing: number
  readonly found: (command: ReceivedCommand) => void
}

type LogEntry = Entry & Omit<ReceivedCommand, keyof Entry>

/** The fake. */
export class Host {
  readonly line: Line
  readonly traits: Traits
  readonly faults = new Faults()
  readonly log: Array<ReceivedCommand> = []
  readonly unimitated: Array<string> = []
  readonly connections = new Set<Connection>()
  readonly now: () => number
  paused = false
  process: Process
  private readonly options: FakeHaproxyOptions
  readonly idleTimeout: number
  /** Where it listens, or did; stays the same. */
  readonly addresses: Array<FakeAddress> = []
  private servers: Array<NetServer> | undefined
  private folder: string | undefined
  private accepted = 0
  private pids = 100
  private watches: Array<Watch> = []

  constructor(options: FakeHaproxyOptions) {
    this.options = options
    this.line = options.line ?? "3.4"
    this.traits = { ...traitsOf[this.line], ...options.traits }
    this.now = options.now ?? Date.now
    this.idleTimeout = options.idleTimeout ?? 10_000
    this.process = this.newProcess()
  }

  private newProcess(): Process {
    const { backends, certificates, configPath, crtLists, frontends, looseBinds, maps } = this.options
    const files = maps ?? { "/etc/haproxy/domains.map": "", "/etc/haproxy/wildcards.map": "" }
    return new Process({
      line: this.line,
      traits: this.traits,
      pid: this.pids += 7,
      configPath: configPath ?? "/etc/haproxy/haproxy.cfg",
      socketNames: () => this.addresses.map((on) => "path" in on ? `unix@${on.path}` : `ipv4@${on.host}:${on.port}`),
      frontends: frontends ?? ["web"],
      backends: Object.entries(atStart(backends ?? declarePools({ count: 10, slots: 3 }))),
      files: Object.entries(atStart(files)),
      certificates: Object.entries(atStart(certificates ?? {})),
      crtLists: Object.entries(atStart(crtLists ?? {})),
      looseBinds: looseBinds ?? {},
      now: this.now,
      addressDelay: this.options.addressDelay ?? 0,
      unimitated: this.unimitated
    })
  }

  /** Starts to listen, if it does not. */
  async open(): Promise<void> {
    if (this.servers !== undefined) return
    this.servers = []
    const targets = this.addresses.length > 0 ? this.addresses : await this.targets()
    for (const [index, target] of targets.entries()) {
      const server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket))
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject)
        server.listen(target, () => resolve())
      })
      server.on("error", () => undefined)
      this.servers.push(server)
      const address = server.address()
      this.addresses[index] = typeof address === "object" && address !== null
        ? { host: address.address, port: address.port }
        : { path: String(address) }
    }
  }

  private async targets(): Promise<ReadonlyArray<FakeAddress>> {
    const { listen = "unix" } = this.options
    const targets: Array<FakeAddress> = []
    for (const on of Array.isArray(listen) ? listen as ReadonlyArray<ListenOn> : [listen as ListenOn]) {
      if (on === "tcp") targets.push({ host: "127.0.0.1", port: 0 })
      else if (on !== "unix") targets.push("path" in on ? on : { host: on.host ?? "127.0.0.1", port: on.port })
      else {
        this.folder ??= await mkdtemp(join(tmpdir(), "fake-haproxy-"))
        targets.push({ path: join(this.folder, `${targets.length === 0 ? "s" : `s${targets.length}`}.sock`) })
      }
    }
    return targets
  }

  /** Refuses new connections. */
  close(): void {
    // The callbacks would wait for the open connections to end; the sockets themselves are closed at once.
    for (const server of this.servers ?? []) server.close()
    this.servers = undefined
  }

  async dispose(): Promise<void> {
    this.kill()
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true })
  }

  private accept(socket: Socket): void {
    const connection = new Connection(this, socket, this.process, ++this.accepted)
    this.connections.add(connection)
    this.admit()
  }

  private admit(): void {
    let free = this.options.maxConnections ?? 10
    for (const connection of this.connections) if (connection.admitted) free--
    for (const connection of this.connections) {
      if (free <= 0) return
      if (connection.admitted) continue
      free--
      connection.admitted = true
      connection.process.join(connection.session)
      connection.work()
    }
  }

  /** A connection has ended. */
  closed(connection: Connection): void {
    if (this.connections.delete(connection)) this.admit()
  }

  /** Notes a command and says what goes wrong with it. */
  receive(connection: Connection, { payload, text }: Parsed) {
    const entry: LogEntry = {
      connection: connection.number,
      pid: connection.process.pid,
      text,
      payload,
      answer: undefined,
      ran: false
    }
    this.log.push(entry)
    return { entry, fault: this.faults.next(text) }
  }

  /** A command was dealt with: tells those who wait for it. */
  handled(entry: Entry): void {
    if (this.watches.length === 0) return
    const command = entry as LogEntry
    const found = this.watches.filter((watch) => matches(watch.pattern, command.text) && --watch.missing === 0)
    if (found.length === 0) return
    this.watches = this.watches.filter((watch) => !found.includes(watch))
    for (const watch of found) watch.found(command)
  }

  /** Calls `found` with the n-th matching command after the first `after` of the log. Answers how to give up. */
  watch(pattern: CommandPattern, after: number, nth: number, found: (command: ReceivedCommand) => void): () => void {
    const past = this.log.slice(after).filter((command) => matches(pattern, command.text))
    const already = past[nth - 1]
    if (already !== undefined) {
      found(already)
      return () => undefined
    }
    const watch: Watch = { pattern, missing: nth - past.length, found }
    this.watches.push(watch)
    return () => {
      this.watches = this.watches.filter((other) => other !== watch)
    }
  }

  /** Runs a command outside of every connection. */
  runAside(text: string): string {
    const [head = "", ...payload] = text.split("\n")
    const aside = /^(.*?)\s*<<(\S*)$/.exec(head)
    const command: Parsed = {
      text,
      words: wordsOf(aside?.[1] ?? head),
      payload: aside === null ? undefined : payload.slice(0, payload.indexOf(aside[2]!)).join("\n")
    }
    const session = {
      number: 0,
      protocol: "unix_stream",
      source: "unix:1",
      since: this.now(),
      severity: "none" as const
    }
    const answer = this.process.run(command, session)
    this.process.servers.settle()
    return render(answer, "none")
  }

  /** The entries of a map in order. */
  entries(path: string): Array<readonly [key: string, value: string]> {
    const map = this.process.maps.byPath.get(path)
    if (map === undefined) throw new Error(`FakeHaproxy has no map ${path}`)
    return Array.from(map.list(), ({ key, value }) => [key, value] as const)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    for (const connection of this.connections) connection.resume()
  }

  dropConnections(): void {
    for (const connection of this.connections) connection.kill()
  }

  kill(): void {
    this.close()
    // Those that wait for a place are not served any more.
    this.paused = true
    this.dropConnections()
    this.paused = false
  }

  async start(): Promise<void> {
    // One that runs ends first: two processes behind one address is no state that a HAProxy can be in.
    this.kill()
    this.process = this.newProcess()
    await this.open()
  }

  reload(): void {
    this.process.stopping = true
    this.process = this.newProcess()
  }
}
