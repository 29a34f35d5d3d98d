/**
 * The servers of a row as text, for CSV: `10.0.0.5:80 weight 10; [2001:db8::5]:8080 slot 2 drain`. An address, its port
 * (80 when left out), then HAProxy's own words in any order: `slot N`, `weight N`, and ready, drain or maint.
 */
import * as Result from "effect/Result"
import { formatEndpoint } from "../../domain/Address.ts"
import { defaultWeight, serverStates } from "../../domain/Pool.ts"
import type { ServerEntry } from "./Shapes.ts"

/** A server before its values are checked. */
export interface ServerWords {
  readonly slot?: number
  readonly ip: string
  readonly port?: number
  readonly weight?: number
  readonly state?: string
}

/** `[v6]:port`, `v4:port`, each without its port, or a bare IPv6 address. */
const endpoint = /^(?:\[([^\]]*)\](?::(\d{1,9}))?|([^:[\]]*)(?::(\d{1,9}))?|([^[\]]*))$/
const number = /^\d{1,9}$/

const parseOne = (text: string): Result.Result<ServerWords, string> => {
  const [address = "", ...words] = text.split(/[ \t\n]+/)
  const match = endpoint.exec(address)
  if (match === null) return Result.fail(`"${address.slice(0, 80)}" is not an address and a port`)
  const port = match[2] ?? match[4]
  const found: { -readonly [K in keyof ServerWords]: ServerWords[K] } = { ip: match[1] ?? match[3] ?? match[5]! }
  if (port !== undefined) found.port = Number(port)
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (serverStates.some((state) => state === word)) found.state = word
    else if (word === "slot" || word === "weight") {
      const value = words[++at] ?? ""
      if (!number.test(value)) return Result.fail(`has no number behind "${word}"`)
      found[word] = Number(value)
    } else return Result.fail(`has the unknown word "${word.slice(0, 40)}"`)
  }
  return Result.succeed(found)
}

/** The servers that a text names; a text of blanks names none. The failure is the rule that is broken. */
export const parseServers = (text: string): Result.Result<ReadonlyArray<ServerWords>, string> => {
  const servers: Array<ServerWords> = []
  for (const part of text.split(";")) {
    const one = part.trim()
    if (one === "") continue
    const parsed = parseOne(one)
    if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
    servers.push(parsed.success)
  }
  return Result.succeed(servers)
}

/** The text of servers: what {@link parseServers} reads, without the words that say nothing new. */
export const formatServers = (servers: ReadonlyArray<ServerEntry>): string =>
  servers.map(({ ip, port, slot, state, weight }) =>
    `${formatEndpoint(ip, port)} slot ${slot}${weight === defaultWeight ? "" : ` weight ${weight}`}${
      state === "ready" ? "" : ` ${state}`
    }`
  ).join("; ")
