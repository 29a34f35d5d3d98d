/**
 * The programs that the demo starts. Each writes its output straight into a file, so nothing can stall on a full
 * pipe. None outlives the demo: they are stopped by their process id, at the latest when this process exits, and
 * where `setpriv` is at hand the kernel ends them even if this process is killed with SIGKILL.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, openSync } from "node:fs"

export interface ChildOptions {
  /** For people: `HAProxy`, `the control plane`. */
  readonly name: string
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Standard output and error are appended here. */
  readonly logFile: string
}

export interface Child {
  readonly name: string
  readonly pid: number
  readonly logFile: string
  /** How it ended, in words, once it has: `exit code 1`, `signal SIGKILL`. Never rejects. */
  readonly ended: Promise<string>
  /** SIGKILL, as in a crash; waits until it is gone. */
  readonly crash: () => Promise<void>
  /** SIGTERM, and SIGKILL when that takes longer than 10 s; waits until it is gone. */
  readonly stop: () => Promise<void>
  /** True from `crash` or `stop` on: its end is wanted. */
  readonly isLeaving: () => boolean
}

/** What a graceful stop may take. */
const patience = 10_000

const living = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL")
})

/** `setpriv --pdeathsig` asks the kernel (Linux) for a signal when this process dies; it becomes the program itself. */
let guarded: boolean | undefined
const guard = (program: string, args: ReadonlyArray<string>): [string, ReadonlyArray<string>] => {
  guarded ??= spawnSync("setpriv", ["--pdeathsig", "TERM", "true"], { stdio: "ignore" }).status === 0
  return guarded ? ["setpriv", ["--pdeathsig", "TERM", "--", program, ...args]] : [program, args]
}

/** Starts a program. That it runs is for the caller to see: by what it answers, or by `ended`. */
export const startChild = (options: ChildOptions): Child => {
  const log = openSync(options.logFile, "a", 0o600)
  const [program, args] = guard(options.program, options.args)
  const child = spawn(program, args, { cwd: options.cwd, env: options.env, stdio: ["ignore", log, log] })
  closeSync(log)
  living.add(child)
  let leaving = false
  const ended = new Promise<string>((resolve) => {
    child.once("error", (cause) => resolve(cause.message))
    child.once("exit", (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`))
  }).finally(() => living.delete(child))
  const send = async (signal: NodeJS.Signals) => {
    leaving = true
    const gone = child.exitCode !== null || child.signalCode !== null || child.pid === undefined
    const timer = setTimeout(() => child.kill("SIGKILL"), patience)
    if (!gone) {
      const exit = once(child, "exit")
      child.kill(signal)
      await exit
    }
    clearTimeout(timer)
  }
  return {
    name: options.name,
    pid: child.pid ?? -1,
    logFile: options.logFile,
    ended,
    crash: () => send("SIGKILL"),
    stop: () => send("SIGTERM"),
    isLeaving: () => leaving
  }
}

/** Waits until `check` answers something; fails when the child ends first or after `limit` milliseconds. */
export const until = async <A>(
  what: string,
  check: () => Promise<A | undefined>,
  options: { readonly limit: number; readonly child?: Child }
): Promise<A> => {
  const began = performance.now()
  let end: string | undefined
  void options.child?.ended.then((how) => end = how)
  for (;;) {
    const answer = await check()
    if (answer !== undefined) return answer
    if (end !== undefined) throw new Error(`${options.child?.name} ended (${end}); waited for: ${what}`)
    const waited = performance.now() - began
    if (waited > options.limit) throw new Error(`not so after ${(waited / 1000).toFixed(0)} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
