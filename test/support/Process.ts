/** A process of ours for one test: its output, its end, and signals to it by its own id. */
import { spawn } from "node:child_process"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly pid: number
  readonly signal: (signal: NodeJS.Signals) => void
  /** Waits until the output (both streams) contains a text; fails when the process ends first. */
  readonly until: (text: string) => Promise<string>
  /** What it has written so far, both streams. */
  readonly output: () => string
  readonly write: (text: string) => void
  readonly closeInput: () => void
  readonly ended: Promise<Ended>
}

/** The environment of a test process: nothing of ours leaks in from the developer's shell. */
export const cleanEnv = (env: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] =>
      entry[1] !== undefined &&
      !/^(?:MCP|HAPROXY|ACME|OTEL)_|^(?:LOG_LEVEL|NODE_OPTIONS|NO_COLOR|FORCE_COLOR)$/.test(entry[0])
    )
  ),
  ...env
})

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds until it is killed, so that no test leaves one behind. */
  readonly limit?: number
  readonly cwd?: string
}

/** Starts `node file args…`. */
export const startNode = (file: string, args: ReadonlyArray<string>, options: StartOptions = {}): Running =>
  startCommand(process.execPath, [file, ...args], options)

/** Starts `command args…`. */
export const startCommand = (command: string, args: ReadonlyArray<string>, options: StartOptions = {}): Running => {
  const child = spawn(command, args, {
    env: cleanEnv(options.env),
    stdio: ["pipe", "pipe", "pipe"],
    timeout: options.limit ?? 30_000,
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd })
  })
  let stdout = ""
  let stderr = ""
  let over = false
  const watchers = new Set<() => void>()
  const look = () => {
    for (const watcher of watchers) watcher()
  }
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString("utf8")
    look()
  })
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8")
    look()
  })
  child.stdin.on("error", () => {})
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => {
      over = true
      resolve({ code, signal, stdout, stderr })
      look()
    })
  })
  const until = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const watcher = () => {
        const all = stdout + stderr
        if (!all.includes(text) && !over) return
        watchers.delete(watcher)
        if (all.includes(text)) resolve(all)
        else reject(new Error(`the process ended without "${text}":\n${all}`))
      }
      watchers.add(watcher)
      watcher()
    })
  return {
    pid: child.pid ?? -1,
    signal: (signal) => child.kill(signal),
    until,
    output: () => stdout + stderr,
    write: (text) => child.stdin.write(text),
    closeInput: () => child.stdin.end(),
    ended
  }
}

/** Runs `node file args…` to its end. */
export const runNode = (...args: Parameters<typeof startNode>): Promise<Ended> => {
  const running = startNode(...args)
  running.closeInput()
  return running.ended
}
