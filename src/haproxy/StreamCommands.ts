/**
 * Sessions (HAProxy's streams): `show sess`, and ending them.
 *
 * `show sess` walks all streams, about 350 bytes each, so it is read by RuntimeApi.scan. Filters of HAProxy's own: `older`
 * on every line, `frontend`, `backend` and `server` from 3.2 (3.0 takes the words and ignores them).
 */
import * as Result from "effect/Result"
import { plain, refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"
import { seconds } from "./SessionCommands.ts"

/** A session. */
export interface Session {
  /** Address of the stream; unique while it lives. */
  readonly id: string
  /** `tcpv4`, `tcpv6`, `unix_stream`, `quic…`. */
  readonly protocol: string
  /** Peer, `192.0.2.7:33726`. */
  readonly source: string
  readonly frontend: string
  /** Empty: none yet. */
  readonly backend: string
  readonly server: string
  /** Whole seconds. */
  readonly age: number
}

/** HAProxy's word for nobody. */
const orNone = (name: string): string => /^<none>$/i.test(name) ? "" : plain(name, 100)

/*
 * show sess (3.2.26; 3.0.11 and 3.4.7 alike), one line each
 *
 * 0x7f3874313800: proto=tcpv4 src=127.0.0.1:33726 fe=web be=pool_1 srv=pool_1_1 ts=00 epoch=0x2 age=1m3s calls=1 rate=0 …
 */
const streamLine = /^(0x[0-9a-f]+): proto=(\S+) src=(\S*) fe=(\S+) be=(\S+) srv=(\S+) .*? age=(\S+) /

/** A line of `show sess`; null when it is none, which means that HAProxy refused. */
export const parseLine = (line: string): Session | null => {
  const match = streamLine.exec(line)
  if (match === null) return null
  const [, id, protocol, source, frontend, backend, server, age] = match
  return {
    id: id!,
    protocol: plain(protocol!, 40),
    source: plain(source!, 120),
    frontend: plain(frontend!, 100),
    backend: orNone(backend!),
    server: orNone(server!),
    age: seconds(age!)
  }
}

/** The words of `show sess` with HAProxy's own filters. */
export const listWords = (filters: {
  readonly olderThan?: number
  readonly frontend?: string
  readonly backend?: string
  readonly server?: string
}): ReadonlyArray<string> => [
  "show",
  "sess",
  ...(filters.olderThan === undefined ? [] : ["older", `${filters.olderThan}s`]),
  ...(filters.frontend === undefined ? [] : ["frontend", filters.frontend]),
  ...(filters.server !== undefined
    ? ["server", `${filters.backend}/${filters.server}`]
    : filters.backend === undefined
    ? []
    : ["backend", filters.backend])
]

/*
 * show sess 0x7fa5e889f000 (3.4.7, shortened; the layout differs between versions), or: Session not found.
 *
 * 0x7fa5e889f000: [28/Nov/2026:13:48:22.510522] id=9 proto=tcpv4 source=127.0.0.1:33726
 *   flags=0x8, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=(nil), pend_pos=(nil) waiting=0 epoch=0x1
 *   frontend=web (id=2 mode=http), listener=? (id=2) addr=127.0.0.1:80
 *   backend=pool_1 (id=3 mode=http) addr=127.0.0.1:4711
 *   server=pool_1_1 (id=1) addr=127.0.0.1:8080
 */
const parseShown = (id: string) => (answer: string): Verdict<ReadonlyArray<string> | null> => {
  if (answer.trim() === "Session not found.") return Result.succeed(null)
  if (!answer.startsWith(`${id}: [`)) return refused(answer)
  return Result.succeed(answer.split("\n").filter((line) => line.trim() !== "").map((line) => plain(line, 300)))
}

/** `show sess ID`: all that HAProxy knows of one, line by line; null: it has ended. */
export const show = (id: string): Command<ReadonlyArray<string> | null> => ({
  words: ["show", "sess", id],
  parse: parseShown(id)
})

/*
 * shutdown session 0x123 (3.0.11, 3.2.26, 3.4.7): silent, or
 *
 * No such session (use 'show sess').
 */
/** `shutdown session ID`: cuts one. */
export const kill = (id: string): Command<"killed" | "not found"> => ({
  words: ["shutdown", "session", id],
  parse: (answer) => {
    const text = answer.trim()
    return text === ""
      ? Result.succeed("killed")
      : text.startsWith("No such session")
      ? Result.succeed("not found")
      : refused(answer)
  }
})

/** `shutdown sessions server B/S`: cuts all of a server. Silent when done; `No such server.` */
export const killOfServer = (backend: string, server: string): Command<void> =>
  silent(["shutdown", "sessions", "server", `${backend}/${server}`])
