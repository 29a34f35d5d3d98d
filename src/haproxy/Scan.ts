/**
 * Reads an answer that may be long, line by line, on a connection of its own, and stops when enough was read.
 *
 * Guarantees: the kept connection is free for writes meanwhile; no more than `limit` bytes are read, because HAProxy
 * writes only as fast as it is read and forgets the rest when the connection is closed. Only for commands that ask:
 * one that changes something must get its whole verdict.
 *
 * Without `prompt`, HAProxy answers one line of commands, ends with an empty line and closes (3.0.11, 3.2.26, 3.4.7).
 * Between two pieces of an answer (16 KB) it serves traffic, whatever the size of the whole.
 */
import { encode } from "./Cli.ts"
import { connect, explain, type Transport } from "./Connection.ts"

/** How a reading ended. */
export interface Scanned {
  /** The whole answer was read. */
  readonly complete: boolean
  /** Bytes read. */
  readonly bytes: number
}

/** What to read. */
export interface ScanOptions {
  /** Words of a command that only asks. */
  readonly words: ReadonlyArray<string>
  /** Gets each line without its end; false: enough. What it throws ends the reading. */
  readonly line: (text: string) => boolean
  /** Bytes at most. */
  readonly limit: number
}

/** No command that asks is longer. */
const limits = { maxLine: 15_000, maxPayload: 0 }

/** Reads; `done` is called once, unless the returned function was called first. `lost` gets the reason. */
export const scan = (
  transport: Transport,
  { limit, line, words }: ScanOptions,
  stall: number,
  end: {
    readonly done: (scanned: Scanned) => void
    readonly lost: (reason: string) => void
    readonly defect: (error: unknown) => void
  }
): () => void => {
  const text = encode({
    words,
    parse: () => {
      throw new Error("a scan has no parser")
    }
  }, limits)
  const socket = connect(transport)
  let over = false
  let bytes = 0
  let rest = ""
  let timer: NodeJS.Timeout | undefined
  const finish = (report: () => void) => {
    if (over) return
    over = true
    clearTimeout(timer)
    socket.destroy()
    report()
  }
  const each = (part: string): boolean => {
    try {
      return line(part)
    } catch (error) {
      finish(() => end.defect(error))
      return false
    }
  }
  socket.setEncoding("utf8")
  const wait = () => {
    clearTimeout(timer)
    timer = setTimeout(() => finish(() => end.lost(`no answer for ${stall} ms`)), stall)
  }
  wait()
  socket.on("data", (chunk: string) => {
    if (over) return
    wait()
    bytes += chunk.length
    const lines = (rest + chunk).split("\n")
    rest = lines.pop()!
    for (const one of lines) {
      if (!each(one)) return finish(() => end.done({ complete: false, bytes }))
    }
    if (bytes > limit) finish(() => end.done({ complete: false, bytes }))
  })
  socket.on("error", (error: NodeJS.ErrnoException) => {
    // A reset may follow a complete answer, which ends with an empty line.
    finish(() =>
      bytes > 0 && rest === "" ? end.done({ complete: true, bytes }) : end.lost(explain(error, "open" in transport))
    )
  })
  socket.once(
    "end",
    () =>
      finish(() =>
        bytes > 0 && rest === "" ? end.done({ complete: true, bytes }) : end.lost("HAProxy closed the connection")
      )
  )
  socket.write(text)
  return () => finish(() => {})
}
