/**
 * Clients that write, each on names of its own, and what they know: after every answer a client can say what must be
 * there, unless it was told that it is not known, or was not told anything.
 */
import { assert } from "@effect/vitest"
import type { Dice } from "../program/Verbs.model.ts"

/** Calls a tool; answers `OK` or the code of the error. Throws {@link Gone} when there is nobody to answer any more. */
export type Call = (tool: string, args: Readonly<Record<string, unknown>>) => Promise<string>

/** The other side went away before its answer. */
export class Gone extends Error {}

/** A name: not routed, sharing the base's pool, with servers by slot, or not known. */
type Name = "none" | "share" | "unknown" | ReadonlyMap<number, string>

/** The name that all others may share, and its server. */
export const base = { domain: "base.example.com", ip: "10.255.0.1" }

/** Codes that a write may be refused with while HAProxy or the control plane comes and goes. */
const refusals = new Set([
  "HAPROXY_UNREACHABLE",
  "HAPROXY_REFUSED",
  "REMOTE_UNREACHABLE",
  "OUTCOME_UNKNOWN",
  "POOL_EXHAUSTED",
  "BUSY",
  "CANCELLED",
  "TIMEOUT"
])

const namesOf = 3
const slots = 3

export class Writer {
  private readonly names = new Map<string, Name>()
  private readonly id: number
  private readonly dice: Dice
  private readonly mayBeFenced: boolean
  private readonly losesDisk: boolean
  /** Answers so far, by code. */
  readonly codes = new Map<string, number>()

  /** `mayBeFenced`: another control plane may become the one that writes. `losesDisk`: the disk may go in the middle of a call. */
  constructor(id: number, dice: Dice, mayBeFenced = false, losesDisk = false) {
    this.losesDisk = losesDisk
    this.id = id
    this.dice = dice
    this.mayBeFenced = mayBeFenced
    for (let n = 0; n < namesOf; n++) this.names.set(`n${n}.c${id}.example.com`, "none")
  }

  /** Writes that were acknowledged. */
  get count(): number {
    return this.codes.get("OK") ?? 0
  }

  private ip(): string {
    return `10.${this.id}.${this.dice.next(250)}.${1 + this.dice.next(250)}`
  }

  /** One write on a name that is known. False: none is. */
  async write(call: Call): Promise<boolean> {
    const known = [...this.names].filter(([, state]) => state !== "unknown")
    if (known.length === 0) return false
    const [domain, state] = this.dice.pick(known)
    const { args, next, tool } = this.choose(domain, state as Exclude<Name, "unknown">)
    // Whoever goes away before the answer leaves it open.
    this.names.set(domain, "unknown")
    const code = await call(tool, args)
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
    if (code === "OK") this.names.set(domain, next)
    else if (code !== "OUTCOME_UNKNOWN" && !(this.losesDisk && code === "STORAGE_FAILED")) {
      assert.isTrue(
        refusals.has(code) || (this.mayBeFenced && code === "FENCED"),
        `${tool} ${JSON.stringify(args)}: ${code}`
      )
      this.names.set(domain, state)
    }
    return true
  }

  private choose(domain: string, state: Exclude<Name, "unknown">) {
    const removal = { tool: "haproxy_remove_domain", args: { domain }, next: "none" as Name }
    if (state === "share") return removal
    if (state === "none") {
      if (this.dice.next(2) === 0) {
        const args = { domain, share_with: base.domain }
        return { tool: "haproxy_add_domain", args, next: "share" as Name }
      }
      const ip = this.ip()
      return { tool: "haproxy_add_domain", args: { domain, ip }, next: new Map([[1, line(ip)]]) as Name }
    }
    const free = Array.from({ length: slots }, (_, n) => n + 1).find((slot) => !state.has(slot))
    const kind = this.dice.next(4)
    if (kind === 0 || state.size === 0) return removal
    const [slot] = this.dice.pick([...state])
    if (kind === 1 && free !== undefined) {
      const ip = this.ip()
      const next = new Map(state).set(free, line(ip)) as Name
      return { tool: "haproxy_add_server", args: { domain, slot: free, ip }, next }
    }
    if (kind === 2) {
      const next = new Map(state)
      next.delete(slot)
      return { tool: "haproxy_remove_server", args: { domain, slot }, next: next as Name }
    }
    const weight = this.dice.next(257)
    const next = new Map(state).set(slot, state.get(slot)!.replace(/\d+$/, String(weight))) as Name
    return { tool: "haproxy_set_server_weight", args: { domain, slot, weight }, next }
  }

  /** Throws unless all that is known stands in this dump (see Dump.ts). */
  check(dump: string, note: string): void {
    const lines = dump.split("\n")
    for (const [domain, state] of this.names) {
      if (state === "unknown") continue
      const found = nameIn(lines, domain)
      const wanted = state === "share" ? nameIn(lines, base.domain) : state === "none" ? null : serversText(state)
      assert.strictEqual(found, wanted, `${domain} ${note}`)
    }
  }

  /** Learns from a dump of the database what is not known. */
  learn(dump: string): void {
    const lines = dump.split("\n")
    const shared = poolIn(lines, base.domain)
    for (const [domain, state] of this.names) {
      if (state !== "unknown") continue
      const pool = poolIn(lines, domain)
      this.names.set(domain, pool === null ? "none" : pool === shared ? "share" : new Map(serversIn(lines, pool)))
    }
  }
}

/** Writes of all of them that were acknowledged. */
export const acknowledgedBy = (writers: ReadonlyArray<Writer>): number =>
  writers.reduce((sum, writer) => sum + writer.count, 0)

/** All that is known stands in this dump; what is not known is learnt from it. */
export const checkAndLearn = (writers: ReadonlyArray<Writer>, dump: string, note: string): void => {
  for (const writer of writers) {
    writer.check(dump, note)
    writer.learn(dump)
  }
}

/** One client, write after write, until there is nobody to answer. `pace`: milliseconds from one write to the next, at least. */
export const writeUntilGone = async (writer: Writer, call: Call, pace = 0): Promise<void> => {
  try {
    for (;;) {
      const next = performance.now() + pace
      if (!await writer.write(call)) return
      const rest = next - performance.now()
      if (rest > 0) await new Promise((resolve) => setTimeout(resolve, rest))
    }
  } catch (error) {
    if (!(error instanceof Gone)) throw error
  }
}

const line = (ip: string) => `${ip}:80 ready 1`

const serversText = (servers: Iterable<readonly [number, string]>): string =>
  [...servers].sort(([a], [b]) => a - b).map(([slot, text]) => `${slot} ${text}`).join("\n")

const poolIn = (lines: ReadonlyArray<string>, domain: string): string | null =>
  lines.find((one) => one.startsWith(`map ${domain} `))?.split(" ")[2] ?? null

const serversIn = (lines: ReadonlyArray<string>, pool: string): ReadonlyArray<readonly [number, string]> =>
  lines.filter((one) => one.startsWith(`server ${pool}_`)).map((one) => {
    const [, name, ...rest] = one.split(" ")
    return [Number(name!.slice(pool.length + 1)), rest.join(" ")]
  })

/** What a domain leads to, as text; null for nowhere. */
const nameIn = (lines: ReadonlyArray<string>, domain: string): string | null => {
  const pool = poolIn(lines, domain)
  return pool === null ? null : serversText(serversIn(lines, pool))
}
