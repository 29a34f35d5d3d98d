/**
 * What the process says of itself: `show info`, and the probe of what it can do.
 */
import * as Result from "effect/Result"
import type { Capabilities } from "./Capabilities.ts"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** `show info`, as far as we need it. */
export interface Info {
  readonly version: string
  readonly pid: number
  /** Seconds since 1970 (`Start_time_sec`, 3.0+). */
  readonly startTime: number
  /** The worker was told to stop (a reload or a stop): it still answers us, but new connections go elsewhere. */
  readonly stopping: boolean
  /** Seconds. */
  readonly uptime: number
  readonly currentConnections: number
  readonly maxConnections: number
  readonly totalConnections: number
  readonly totalRequests: number
  /** How often `Maxconn` was reached. */
  readonly connectionLimitReached: number
  /** Of the last second. */
  readonly connectionRate: number
  readonly sessionRate: number
  readonly tlsConnections: number
  readonly tlsRate: number
  readonly bytesOut: number
  /** Bytes per second. */
  readonly bytesOutRate: number
  /** HAProxy's own memory pools, bytes. Not all of its memory: connections and buffers, not the configuration. */
  readonly poolAllocated: number
  readonly poolUsed: number
  readonly streams: number
  readonly tasks: number
  readonly runQueue: number
  readonly droppedLogs: number
  /** Percent. */
  readonly idle: number
  readonly threads: number
  readonly node: string
}

/*
 * show info (3.4.7, shortened)
 *
 * Name: HAProxy
 * Version: 3.4.7-1
 * Release_date: 2026/10/14
 * Nbthread: 2
 * Pid: 15801
 * Uptime: 0d 0h03m06s
 * Uptime_sec: 186
 * Maxconn: 9985
 * CurrConns: 0
 * CumConns: 67
 * CumReq: 67
 * CurrSslConns: 0
 * ConnRate: 0
 * SessRate: 0
 * SslRate: 0
 * Tasks: 82
 * Run_queue: 0
 * Idle_pct: 100
 * node: box
 * Stopping: 0
 * Jobs: 6
 * DroppedLogs: 0
 * TotalBytesOut: 15951
 * BytesOutRate: 15968
 * PoolAlloc_bytes: 314160
 * PoolUsed_bytes: 314160
 * Start_time_sec: 1795222271
 * MaxconnReached: 0
 * CurrStreams: 1
 *
 * After a reload the old worker answers on kept connections with `Stopping: 1` (3.0.11, 3.2.26, 3.4.7) until they end.
 */
const parseInfo = (answer: string): Verdict<Info> => {
  const text = (key: string): string => {
    const at = answer.startsWith(`${key}: `) ? 0 : answer.indexOf(`\n${key}: `) + 1
    if (at === 0 && !answer.startsWith(`${key}: `)) return ""
    const from = at + key.length + 2
    const end = answer.indexOf("\n", from)
    return answer.slice(from, end < 0 ? answer.length : end)
  }
  const number = (key: string): number => Number(text(key) || "0")
  const version = plain(text("Version"), 100)
  const pid = number("Pid")
  if (!answer.startsWith("Name: ") || version === "" || !(pid > 0)) return refused(answer)
  return Result.succeed({
    version,
    pid,
    startTime: number("Start_time_sec"),
    stopping: number("Stopping") !== 0,
    uptime: number("Uptime_sec"),
    currentConnections: number("CurrConns"),
    maxConnections: number("Maxconn"),
    totalConnections: number("CumConns"),
    totalRequests: number("CumReq"),
    connectionLimitReached: number("MaxconnReached"),
    connectionRate: number("ConnRate"),
    sessionRate: number("SessRate"),
    tlsConnections: number("CurrSslConns"),
    tlsRate: number("SslRate"),
    bytesOut: number("TotalBytesOut"),
    bytesOutRate: number("BytesOutRate"),
    poolAllocated: number("PoolAlloc_bytes"),
    poolUsed: number("PoolUsed_bytes"),
    streams: number("CurrStreams"),
    tasks: number("Tasks"),
    runQueue: number("Run_queue"),
    droppedLogs: number("DroppedLogs"),
    idle: number("Idle_pct"),
    threads: number("Nbthread"),
    node: plain(text("node"), 255)
  })
}

/**
 * `show info`. Put it last in an exchange that reads back: `pid` and `startTime` say which worker answered, and
 * `stopping` that it was one which no longer serves.
 */
export const show: Command<Info> = { words: ["show", "info"], parse: parseInfo }

/*
 * help (3.2.26, shortened)
 *
 * The following commands are valid at this level:
 *   add map [@<ver>] <map> <key> <val>      : add a map entry (payload supported instead of key/val)
 *   set server <bk>/<srv> [opts]            : change a server's state, weight, address or ssl
 *   prompt [help | n | i | p | timed ]*     : toggle interactive mode with prompt
 */
const parseHelp = (answer: string): Verdict<ReadonlySet<string>> => {
  if (!answer.startsWith("The following commands are valid at this level:")) return refused(answer)
  const commands = new Set<string>()
  for (const line of answer.split("\n")) {
    const match = /^ {2}([a-z][a-z -]*[a-z])(?= |$)/.exec(line)
    if (match !== null) commands.add(match[1]!)
  }
  return Result.succeed(commands)
}

/** The commands this socket lets us use, by their fixed words: `add map`, `set server`, … */
export const help: Command<ReadonlySet<string>> = { words: ["help"], parse: parseHelp }

/** What we need of any HAProxy: without these a control plane cannot work. */
const needed = ["show map", "add map", "prepare map", "commit map", "set server", "show servers state"] as const

/** What the work with certificates needs; a build without a TLS library has none of them. */
const certificateCommands = [
  "show ssl cert",
  "new ssl cert",
  "set ssl cert",
  "commit ssl cert",
  "show ssl crt-list",
  "add ssl crt-list"
] as const

/** Commands that are needed and missing, such as all that change something on a socket of level `user`. */
export const missingCommands = (commands: ReadonlySet<string>): ReadonlyArray<string> =>
  needed.filter((name) => !commands.has(name))

/** Bytes that fit a buffer of the default size with the command's line and terminator. */
export const oneBuffer = 16_000

/**
 * Payload and line limits follow `tune.bufsize` (16,384 by default), which no command tells: a whole line, payload
 * included, must fit it up to 3.3. A longer line closes the connection (3.0.11, 3.2.26, 3.4.7). From 3.4 a payload may
 * have 128 KB, but 3.4.7 was seen never to answer some of 16 KB and more, depending on how the bytes arrive: 12 KB on
 * every line. What cannot be cut may fill the buffer: 16,383 bytes, line included, were taken by all three however they
 * arrived; 3.4.7 took 33,000 to 130,000 as well (and stalled at 16,384 to 20,000).
 */
export const capabilities = (version: string, commands: ReadonlySet<string>, quietPrompt: boolean): Capabilities => {
  const match = /^(\d+)\.(\d+)/.exec(version)
  const line = [Number(match?.[1] ?? 0), Number(match?.[2] ?? 0)] as const
  return {
    version,
    line,
    quietPrompt,
    maxLine: 15_000,
    maxPayload: 12 * 1024,
    maxWhole: line[0] > 3 || (line[0] === 3 && line[1] >= 4) ? 120_000 : oneBuffer,
    commands,
    dynamicBackends: commands.has("add backend"),
    certificates: certificateCommands.every((name) => commands.has(name))
  }
}
