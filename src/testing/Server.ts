/**
 * One server and one backend: what they are, and how their states and weights change. The commands are in Servers.ts.
 */
import { isIP } from "node:net"
import { type Answer, message, silence } from "./Answer.ts"
import type { Traits } from "./Line.ts"

/** A server as the configuration declares it. */
export interface ServerConfig {
  readonly name: string
  /** Default `192.0.2.1`. */
  readonly address?: string
  /** Default 1. */
  readonly port?: number
  /** Default 1. */
  readonly weight?: number
  /** Declared `disabled`: starts in maintenance. Default false. */
  readonly disabled?: boolean
  /** Declared with `check`. Default true. */
  readonly check?: boolean
}

/** A server as it is now. */
export interface ServerState {
  readonly backend: string
  readonly name: string
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly initialWeight: number
  /** What an operator set: `maint` and `drain` from the bits of `adminState`. */
  readonly state: "ready" | "drain" | "maint"
  /** As `show servers state` prints it: 1 maintenance, 4 declared `disabled`, 8 drain. */
  readonly adminState: number
  /** False while in maintenance, or when made so. */
  readonly up: boolean
}

const maintenance = 1
const declaredDisabled = 4
const draining = 8

/** A server. */
export class Server {
  readonly id: number
  readonly name: string
  readonly check: boolean
  readonly initialWeight: number
  address: string
  port: number
  weight: number
  admin: number
  healthy = true
  /** It has been in maintenance, or was declared so. */
  stopped: boolean
  /** When its operational state last changed, in milliseconds. */
  changed: number
  /** Applied once the commands that came with it have run. */
  pending: { readonly address: string; readonly port: number } | undefined

  constructor(id: number, config: ServerConfig, now: number) {
    this.id = id
    this.name = config.name
    this.check = config.check ?? true
    this.address = canonical(config.address ?? "192.0.2.1")
    this.port = config.port ?? 1
    this.initialWeight = this.weight = config.weight ?? 1
    this.admin = config.disabled === true ? maintenance | declaredDisabled : 0
    this.stopped = this.admin !== 0
    this.changed = now
  }

  get up(): boolean {
    return (this.admin & maintenance) === 0 && this.healthy
  }

  get state(): ServerState["state"] {
    return (this.admin & maintenance) !== 0 ? "maint" : (this.admin & draining) !== 0 ? "drain" : "ready"
  }

  setState(state: ServerState["state"], now: number): void {
    const before = this.up
    this.admin &= ~(maintenance | draining)
    if (state !== "ready") this.admin |= state === "maint" ? maintenance : draining
    if (state === "maint") this.stopped = true
    if (before !== this.up) this.changed = now
  }
}

/** A backend. */
export class Backend {
  readonly id: number
  readonly name: string
  readonly servers = new Map<string, Server>()
  changed: number

  constructor(id: number, name: string, servers: ReadonlyArray<ServerConfig>, now: number) {
    this.id = id
    this.name = name
    this.changed = now
    for (const config of servers) this.servers.set(config.name, new Server(this.servers.size + 1, config, now))
  }
}

/** An IPv6 address as HAProxy prints it; IPv4 is taken in its one form only. */
export const canonical = (address: string): string => {
  if (isIP(address) !== 6) return address
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(text)
  if (mapped === null) return text
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)]
  return `::ffff:${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}

/** `strtol`: the leading integer of a text and what follows it. */
export const leadingInteger = (
  text: string
): { readonly value: number; readonly rest: string; readonly found: boolean } => {
  const match = /^\s*([+-]?\d+)(.*)$/s.exec(text)
  return match === null
    ? { value: 0, rest: text, found: false }
    : { value: Number(match[1]), rest: match[2]!, found: true }
}

/** `srv_check_status`, `_result`, `_health` and `_state`. Without checks HAProxy keeps what they were at start. */
export const checkColumns = ({ admin, check, stopped, up }: Server, traits: Traits): string => {
  if (!check) return `1 0 ${stopped ? 0 : traits.uncheckedHealth} ${(admin & declaredDisabled) === 0 ? 0 : 8}`
  return (admin & maintenance) !== 0 ? "1 0 0 14" : `1 0 ${up ? 2 : 0} 6`
}

/** Sets a weight from its text, absolute or in percent of the initial one. */
export const setWeight = (server: Server, argument: string): Answer => {
  if (argument === "") return message(3, "Require <weight> or <weight%>.")
  const { found, rest, value } = leadingInteger(argument)
  if (!found) return message(3, "Empty weight string empty or preceded by garbage")
  if (rest === "%") {
    if (value < 0) return message(3, "Relative weight must be positive.")
    server.weight = Math.min(256, Math.floor(server.initialWeight * value / 100))
    return silence
  }
  if (rest !== "") return message(3, "Trailing garbage in weight string")
  if (value < 0 || value > 256) return message(3, "Absolute weight can only be between 0 and 256 inclusive.")
  server.weight = value
  return silence
}
