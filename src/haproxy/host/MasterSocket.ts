/**
 * The master's socket: `show proc` and `reload`, each on a connection of its own. Everything else goes to the worker's
 * Runtime API. Nothing is retried; an answer that is not recognised is none.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { encode } from "../Cli.ts"
import { codeOf } from "../DurableFile.ts"
import type { HaproxyHost } from "./HaproxyHost.ts"

/** Bytes of an answer. A reload's answer holds the messages of the new worker's start. */
const longestAnswer = 256 * 1024

/** The master gave no complete answer. `sent: false`: it never got the command. */
export class MasterLost extends Schema.TaggedError<MasterLost>()("MasterLost", {
  message: Schema.String,
  sent: Schema.Boolean
}) {}

const limits = { maxLine: 1_000, maxPayload: 0 }

/** One command; `ended` says when its answer is complete. The master keeps the connection open after some of them. */
const ask = (
  { openUnix }: HaproxyHost,
  socket: string,
  words: ReadonlyArray<string>,
  timeout: number,
  ended: (text: string) => boolean
): Effect.Effect<string, MasterLost> =>
  Effect.callback((resume) => {
    let text = ""
    let sent = false
    const connection = openUnix(socket)
    const lose = (why: string) => {
      clearTimeout(timer)
      connection.destroy()
      resume(Effect.fail(new MasterLost({ message: `the master's socket ${socket} ${why}`, sent })))
    }
    const finish = () => {
      clearTimeout(timer)
      connection.destroy()
      resume(Effect.succeed(text))
    }
    const timer = setTimeout(() => lose(`gave no answer within ${timeout} ms`), timeout)
    connection.setEncoding("utf8")
    connection.once("connect", () => {
      sent = true
      connection.write(encode({ words, parse: () => undefined as never }, limits))
    })
    connection.on("data", (part: string) => {
      text += part
      if (text.length > longestAnswer) lose("answered too much")
      else if (ended(text)) finish()
    })
    connection.once("error", (error) => {
      // A reset may follow a complete answer.
      if (ended(text)) finish()
      else lose(sent ? "was lost" : `cannot be reached (${codeOf(error) || "unknown"})`)
    })
    const over = () => text === "" ? lose("was closed without an answer") : finish()
    // A stream through SSH stays open on our side.
    connection.once("end", over)
    connection.once("close", over)
    return Effect.sync(() => {
      clearTimeout(timer)
      connection.destroy()
    })
  })

/** The processes of a master. */
export interface Processes {
  readonly master: number
  /** Workers, those that are leaving included. */
  readonly workers: ReadonlyArray<number>
}

/*
 * show proc (3.2.26; 3.0 ends with a line `# programs`; the connection stays open)
 *
 * #<PID>          <type>          <reloads>       <uptime>        <version>
 * 30808           master          3 [failed: 1]   0d00h00m06s     3.2.26-1
 * # workers
 * # old workers
 * 30856           worker          1               0d00h00m01s     3.2.26-1
 */
export const parseProcesses = (answer: string): Processes | null => {
  const rows = [...answer.matchAll(/^(\d+)\s+(master|worker)\s/gm)].map((row) => ({
    pid: Number(row[1]),
    type: row[2]
  }))
  const master = rows.find((row) => row.type === "master")
  return master === undefined
    ? null
    : { master: master.pid, workers: rows.filter((row) => row.type === "worker").map((row) => row.pid) }
}

/** `show proc`; fails too when what answers is no master. */
export const processes = (host: HaproxyHost, socket: string, timeout: number): Effect.Effect<Processes, MasterLost> =>
  Effect.flatMap(ask(host, socket, ["show", "proc"], timeout, (text) => text.endsWith("\n\n")), (answer) => {
    const found = parseProcesses(answer)
    return found === null
      ? Effect.fail(new MasterLost({ message: `no master of HAProxy answers at ${socket}`, sent: true }))
      : Effect.succeed(found)
  })

/** What came of a reload: the new worker serves, or it could not start and the old one goes on. */
export interface MasterVerdict {
  readonly loaded: boolean
  /** What master and new worker said meanwhile. */
  readonly log: string
}

/*
 * reload (3.0.11, 3.2.26, 3.4.7); it comes when the new worker serves or has failed, then the connection closes
 *
 * Success=1                                        Success=0
 * --                                               --
 * [NOTICE]   (30808) : Loading success.            [ALERT]    (30910) : config : parsing [h.cfg:10] : unknown keyword …
 *                                                  [WARNING]  (30808) : Failed to load worker (30910) exited with code 1
 */
export const reload = (host: HaproxyHost, socket: string, timeout: number): Effect.Effect<MasterVerdict, MasterLost> =>
  Effect.flatMap(ask(host, socket, ["reload"], timeout, () => false), (answer) => {
    const [, verdict, log] = /^Success=([01])\n(?:--\n)?([^]*)$/.exec(answer) ?? []
    return verdict === undefined
      ? Effect.fail(new MasterLost({ message: "the master's answer to reload was not understood", sent: true }))
      : Effect.succeed({ loaded: verdict === "1", log: log ?? "" })
  })
