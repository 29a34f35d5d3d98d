/** Runs a program of the image's build to its end: captured, or with its output shown while it runs. No shell. */
import { spawn } from "node:child_process"
import type { Readable } from "node:stream"

export interface Ran {
  /** -1 when a signal ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Becomes its standard input. */
  readonly input?: Readable
  /** Shows its output on our standard error too. */
  readonly shown?: boolean
  /** Past this it is killed; the default is enough for a build on a slow network. */
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 20 * 60_000

/** Rejects only when the program cannot be started. */
export const run = (program: string, args: ReadonlyArray<string>, options: RunOptions = {}): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd })
    })
    // Not spawn's own `timeout`: its timer outlives a program that could not be started.
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs ?? DEFAULT_TIMEOUT_MS)
    let [stdout, stderr] = ["", ""]
    child.stdout?.on("data", (chunk: Buffer) => {
      stdout += chunk.toString()
      if (options.shown === true) process.stderr.write(chunk)
    })
    child.stderr?.on("data", (chunk: Buffer) => {
      stderr += chunk.toString()
      if (options.shown === true) process.stderr.write(chunk)
    })
    if (child.stdin !== null) {
      // What ended early says why in its own words.
      child.stdin.on("error", () => {})
      options.input?.pipe(child.stdin)
    }
    child.on("error", (cause) => {
      clearTimeout(timer)
      reject(cause)
    })
    child.on("close", (code) => {
      clearTimeout(timer)
      resolve({ code: code ?? -1, stdout, stderr })
    })
  })
