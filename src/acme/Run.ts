/**
 * One run of acme.sh as a process group of its own, under a umask that keeps its files to its owner.
 *
 * Guarantees: no shell reads its arguments; it gets the environment that is given and nothing else; its output comes
 * as lines, cut to {@link longestLine} characters, and is kept nowhere; when the scope closes, the group is asked to end,
 * killed after {@link grace} milliseconds, and every process that it started is gone, in whatever group it is.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import type { RunEvent } from "./Machine.ts"
import { killAll, mark } from "./RunFolder.ts"

export interface RunOptions {
  readonly command: ReadonlyArray<string>
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
}

/** Characters. The sentences that are known are short. */
const longestLine = 4_096
/** Milliseconds between SIGTERM and SIGKILL. acme.sh itself ends at once; a hook may want to. */
const grace = 1_000
/** Milliseconds that output may come after the end of the program, from children that hold the pipe. */
const outputGrace = 500

/** Text in pieces to lines. */
export const lineReader = (say: (line: string) => void) => {
  let rest = ""
  return {
    add: (piece: string) => {
      const lines = (rest + piece).split("\n")
      rest = (lines.pop() ?? "").slice(0, longestLine)
      for (const line of lines) say(line.slice(0, longestLine))
    },
    end: () => {
      if (rest !== "") say(rest)
      rest = ""
    }
  }
}

const signalGroup = (child: ChildProcess, signal: NodeJS.Signals): boolean => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
    return child.pid !== undefined
  } catch {
    return false
  }
}

const isGone = (child: ChildProcess): boolean => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 0)
    return child.pid === undefined
  } catch {
    return true
  }
}

/** Ends the group; what a hook put elsewhere ends with it. Time is the machine's here, whatever clock a test has set. */
const end = async (child: ChildProcess, folder: string): Promise<void> => {
  if (signalGroup(child, "SIGTERM")) {
    for (let waited = 0; waited < grace && !isGone(child); waited += 20) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    signalGroup(child, "SIGKILL")
    killAll(folder)
  }
  child.stdout?.destroy()
  child.stderr?.destroy()
}

const launch = (options: RunOptions, events: Queue.Queue<RunEvent>): ChildProcess => {
  const child = spawn("/bin/sh", ["-c", "umask 077; exec \"$@\"", "acme", ...options.command], {
    cwd: options.folder,
    env: { ...options.env, [mark]: options.folder },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  const readers = [child.stdout, child.stderr].map((stream) => {
    const reader = lineReader((text) => Queue.offerUnsafe(events, { _tag: "Line", text }))
    stream.setEncoding("utf8")
    stream.on("data", reader.add)
    return reader
  })
  let over = false
  const finish = (code: number | null) => {
    if (over) return
    over = true
    for (const reader of readers) reader.end()
    Queue.offerUnsafe(events, { _tag: "End", code })
  }
  child.once("error", (error: NodeJS.ErrnoException) => {
    over = true
    Queue.offerUnsafe(events, { _tag: "Failed", code: error.code ?? "unknown" })
  })
  child.once("exit", (code) => setTimeout(() => finish(code), outputGrace))
  child.once("close", finish)
  return child
}

/** Starts a run in the scope. */
export const start = (options: RunOptions): Effect.Effect<Queue.Dequeue<RunEvent>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const events = yield* Queue.unbounded<RunEvent>()
    yield* Effect.acquireRelease(
      Effect.sync(() => launch(options, events)),
      (child) => Effect.promise(() => end(child, options.folder))
    )
    return events
  })
