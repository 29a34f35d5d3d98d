/** Processes of a run: started for a scope, ended by their id when it closes. */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { cleanEnv } from "../test/support/Process.ts"

export interface Child {
  readonly pid: number
  readonly send: (signal: NodeJS.Signals) => void
  /** What it wrote, its last 4 KB. */
  readonly log: () => string
  readonly ended: () => boolean
}

/** How long a process may take to end by itself, in milliseconds. */
const endWithin = 12_000

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once("close", () => resolve())
  child.kill("SIGTERM")
  const timer = setTimeout(() => child.kill("SIGKILL"), endWithin)
  await promise
  clearTimeout(timer)
}

/** Starts a program; what it writes goes to `logFile`. SIGTERM at the end, SIGKILL when that does not help. */
export const startChild = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly logFile: string; readonly cwd?: string; readonly env?: Readonly<Record<string, string>> }
) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const log = openSync(options.logFile, "w")
        const child = spawn(program, args, {
          cwd: options.cwd,
          env: cleanEnv(options.env),
          stdio: ["ignore", log, log]
        })
        closeSync(log)
        const { promise, reject, resolve } = Promise.withResolvers<void>()
        child.once("spawn", resolve)
        child.once("error", reject)
        await promise
        return child
      }),
      (child) => Effect.promise(() => stop(child))
    ),
    (child): Child => ({
      pid: child.pid!,
      send: (signal) => void child.kill(signal),
      log: () => readFileSync(options.logFile, "utf8").slice(-4096),
      ended: () => child.exitCode !== null || child.signalCode !== null
    })
  )

/** Milliseconds of processor time that a process has used, all its threads (proc(5): utime and stime, 10 ms each). */
export const processorTime = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /, "").split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** Polls until `check` answers true; fails with the child's log when it ends first or after `limit` ms. */
export const untilReady = async (
  what: string,
  child: Child,
  check: () => Promise<boolean>,
  limit = 60_000
): Promise<void> => {
  for (const end = Date.now() + limit; Date.now() < end;) {
    if (child.ended()) throw new Error(`${what} ended:\n${child.log()}`)
    if (await check().catch(() => false)) return
    await new Promise<void>((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`${what} is not ready after ${limit} ms:\n${child.log()}`)
}
