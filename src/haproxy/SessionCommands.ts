/**
 * Sessions of the Runtime API itself, for knowing whether a lost connection's commands may still run.
 */
import * as Result from "effect/Result"
import { refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** A Runtime API session. */
export interface CliSession {
  /** Address of the stream; unique while it lives. */
  readonly id: string
  /** Peer as HAProxy sees it, `127.0.0.1:49654`; `unix:N` (N is the socket, not the peer) for unix sockets. */
  readonly source: string
  /** Whole seconds. */
  readonly age: number
}

/*
 * show sess (3.2.26; 3.0.11 and 3.4.7 alike)
 *
 * 0x7f3874313800: proto=tcpv4 src=127.0.0.1:33726 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0x2 age=0s calls=1 rate=0 …
 * 0x7f3874622000: proto=unix_stream src=unix:2 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0x2 age=1m3s calls=1 rate=0 …
 *
 * Sessions of the Runtime API have `fe=GLOBAL`; the asking one is among them. One whose peer has closed stays listed
 * while commands of it are left in HAProxy's buffer, and these are still run, in turns with other sessions' commands
 * (seen with a stopped and continued 3.0.11, 3.2.26 and 3.4.7, on TCP and unix sockets).
 */
const parseSessions = (answer: string): Verdict<ReadonlyArray<CliSession>> => {
  const sessions: Array<CliSession> = []
  for (let at = answer.indexOf(" fe=GLOBAL "); at >= 0; at = answer.indexOf(" fe=GLOBAL ", at + 1)) {
    const start = answer.lastIndexOf("\n", at) + 1
    const end = answer.indexOf("\n", at)
    const line = answer.slice(start, end < 0 ? answer.length : end)
    const match = /^(0x[0-9a-f]+): proto=\S+ src=(\S*) fe=GLOBAL .*? age=(\S+) /.exec(line)
    if (match === null) return refused(line)
    sessions.push({ id: match[1]!, source: match[2]!, age: seconds(match[3]!) })
  }
  // The asking session is always there: without it, this is no answer to `show sess`.
  return sessions.length === 0 ? refused(answer) : Result.succeed(sessions)
}

const units: Readonly<Record<string, number>> = { d: 86_400, h: 3_600, m: 60, s: 1 }

/** HAProxy's human time: `0s`, `1m3s`, `2h5m`, `1d4h`. */
export const seconds = (text: string): number => {
  let sum = 0
  for (const [, count, unit] of text.matchAll(/(\d+)([dhms])/g)) sum += Number(count) * units[unit!]!
  return sum
}

/**
 * `show sess`, the Runtime API's sessions of it. HAProxy walks all its streams for it, about 250 bytes each: ask only
 * after a lost connection.
 */
export const cliSessions: Command<ReadonlyArray<CliSession>> = { words: ["show", "sess"], parse: parseSessions }
