/**
 * The control plane as its users run it: a process with an environment, its JSON log, its probes and its tools over
 * HTTP. It is gone when the scope closes, with all that it started.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { PlainMcp } from "./PlainMcp.ts"
import { becomes } from "./Poll.ts"
import { type Ended, type Running, startCommand } from "./Process.ts"
import { program } from "./Program.ts"
import type { Env } from "./Settings.ts"

export { databaseOf, settingsOf } from "./Settings.ts"
export type { Env } from "./Settings.ts"

/** The repository. */
export const root = join(import.meta.dirname, "..", "..")

/** The program as it is shipped. */
export const haproxyMcp: readonly [node: string, file: string] = [process.execPath, program]

/** A line of the log. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly level: string; readonly msg: string }

export interface ServerProcess {
  /** The process that serves, also when another one (npm) started it. */
  readonly pid: number
  /** Without a path. */
  readonly url: string
  /** Lines of the log so far; other output fails. */
  readonly logs: () => ReadonlyArray<LogLine>
  /** All that it has written. */
  readonly output: () => string
  /** Status of a route that needs no token. */
  readonly probe: (path: "/healthz" | "/readyz") => Promise<number>
  /** Waits until `/readyz` answers 200. */
  readonly ready: () => Promise<void>
  /** A client of its own connection; closed with the scope. */
  readonly client: () => PlainMcp
  readonly signal: (signal: NodeJS.Signals) => void
  readonly ended: Promise<Ended>
  /** SIGTERM to what was started, and its end. */
  readonly stop: () => Promise<Ended>
  /** SIGKILL to the process that serves, and its end. */
  readonly kill: () => Promise<Ended>
}

export interface ServerOptions {
  readonly env: Env
  /** What to start; default `haproxy-mcp serve`. */
  readonly command?: readonly [string, ...ReadonlyArray<string>]
  /** The folder to start it in; default the repository. */
  readonly cwd?: string
  readonly token?: string
  /** Milliseconds until it is killed; default 120,000. */
  readonly limit?: number
}

const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** A process and all below it. */
const family = (pid: number): ReadonlyArray<number> => [pid, ...childrenOf(pid).flatMap(family)]

const send = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(pid, signal)
  } catch {
    // It is gone already.
  }
}

const logsOf = (output: string): ReadonlyArray<LogLine> =>
  output.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line) as LogLine)

const start = async (options: ServerOptions) => {
  const [command, ...args] = options.command ?? [...haproxyMcp, "serve"]
  const running = startCommand(command, args, {
    env: options.env,
    cwd: options.cwd ?? root,
    limit: options.limit ?? 120_000
  })
  const output = await running.until("listening for MCP")
  const { host, port } = logsOf(output.slice(0, output.lastIndexOf("\n"))).find(({ msg }) =>
    msg === "listening for MCP"
  ) as unknown as { readonly host: string; readonly port: number }
  const pid = family(running.pid).at(-1)!
  const url = `http://${host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`
  return { running, pid, url }
}

const end = async ({ pid, running }: { readonly pid: number; readonly running: Running }) => {
  for (const one of new Set([...family(running.pid), pid])) send(one, "SIGKILL")
  await running.ended
}

/** Starts it in the scope and waits until it listens. Fails when it ends before. */
export const startServer = (options: ServerOptions) =>
  Effect.map(
    Effect.acquireRelease(Effect.promise(() => start(options)), (started) => Effect.promise(() => end(started))),
    ({ pid, running, url }): ServerProcess => {
      const clients: Array<PlainMcp> = []
      const probe = async (path: string) => {
        const response = await fetch(url + path)
        await response.arrayBuffer()
        return response.status
      }
      void running.ended.then(() => {
        for (const client of clients) client.close()
      })
      return {
        pid,
        url,
        logs: () => logsOf(running.output()),
        output: running.output,
        probe,
        ready: () =>
          becomes("ready", async () => await probe("/readyz") === 200, 30_000).catch((error: Error) => {
            throw new Error(`${error.message}\n${running.output()}`, { cause: error })
          }),
        client: () => {
          const client = new PlainMcp(url, options.token)
          clients.push(client)
          return client
        },
        signal: (signal) => send(pid, signal),
        ended: running.ended,
        stop: () => {
          running.signal("SIGTERM")
          return running.ended
        },
        kill: () => {
          send(pid, "SIGKILL")
          return running.ended
        }
      }
    }
  )
