/** One life of `haproxy-mcp serve` (the bundle), from its start to a `kill -9` at any moment. */
import * as Effect from "effect/Effect"
import { copyFileSync, existsSync } from "node:fs"
import { join } from "node:path"
import { buildProgram } from "../../scripts/build.ts"
import { stored } from "../support/Agreement.ts"
import { builtOnce } from "../support/BuiltOnce.ts"
import { memoryFolder } from "../support/MemoryFolder.ts"
import { ConnectionLost, type PlainAnswer, PlainMcp } from "../support/PlainMcp.ts"
import { poll } from "../support/Poll.ts"
import { type Running, startCommand } from "../support/Process.ts"
import type { Env } from "../support/Settings.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type Call, Gone } from "./Writers.ts"

/** The program as it is shipped, built from the sources beside this file; gone with the scope, or with the run of the tests. */
export const shipped = Effect.flatMap(
  temporaryFolder("program"),
  (folder) =>
    Effect.promise(async () => {
      const file = builtOnce()
      return file === undefined
        ? { file: await buildProgram(folder), cache: join(folder, "cache") }
        : { file, cache: process.env["NODE_COMPILE_CACHE"] ?? join(folder, "cache") }
    })
)

/** What {@link shipped} answers. */
export interface Shipped {
  readonly file: string
  /** V8's compile cache for it. */
  readonly cache: string
}

export class Life {
  private readonly running: Running
  private readonly clients: Array<PlainMcp> = []
  private over = false

  /** `limit`: milliseconds until it is killed, so that none is left behind. */
  constructor(program: Shipped, env: Env, limit = 60_000) {
    this.running = startCommand(process.execPath, [program.file, "serve"], {
      env: { ...env, NODE_COMPILE_CACHE: program.cache },
      limit
    })
    void this.running.ended.then(() => {
      this.over = true
      for (const client of this.clients) client.close()
    })
  }

  /** Waits until it says that it is ready; false when it was killed before. Fails when it ends by itself. */
  async ready(): Promise<boolean> {
    if (!await this.listening()) return this.deadOrFailed()
    const isReady = await poll("ready", async () => {
      if (this.over) return false
      return await this.probe() === 200 ? true : undefined
    })
    return isReady ? true : this.deadOrFailed()
  }

  /** Waits until it takes calls; false when it ended before. */
  async listening(): Promise<boolean> {
    const url = await poll("listening", () => {
      if (this.over) return null
      const found = /"listening for MCP".*?\n/.exec(this.running.output())?.[0]
      const line = found === undefined ? undefined : lineAround(this.running.output(), "listening for MCP")
      return line === undefined ? undefined : `http://127.0.0.1:${String(line["port"])}`
    })
    this.url = url ?? ""
    return url !== null
  }

  private url = ""

  private async deadOrFailed(): Promise<false> {
    const { code, signal, stderr, stdout } = await this.running.ended
    if (signal !== "SIGKILL") throw new Error(`it ended by itself (${code}): ${(stdout + stderr).slice(-3_000)}`)
    return false
  }

  /** A client of its own connection, told the codes alone. */
  client(): Call {
    const ask = this.asker()
    return async (tool, args) => (await ask(tool, args)).code
  }

  /** A client of its own connection. Throws {@link Gone} when the process goes away before its answer. */
  asker(): (tool: string, args: Readonly<Record<string, unknown>>) => Promise<PlainAnswer> {
    const client = new PlainMcp(this.url)
    this.clients.push(client)
    return async (tool, args) => {
      try {
        return await client.call(tool, args)
      } catch (error) {
        throw error instanceof ConnectionLost ? new Gone(error.message, { cause: error }) : error
      }
    }
  }

  /** The errors of its log, for a message. */
  errors(): string {
    return this.running.output().split("\n").filter((line) => line.includes("\"level\":\"ERROR\"")).join("\n").slice(
      -3_000
    )
  }

  /** Status of `/readyz`; 0 when nobody answers. */
  probe(): Promise<number> {
    return fetch(`${this.url}/readyz`).then(async (answer) => {
      await answer.arrayBuffer()
      return answer.status
    }, () => 0)
  }

  /** Pauses it (SIGSTOP), and lets it go on (SIGCONT). */
  pause(): void {
    this.running.signal("SIGSTOP")
  }

  resume(): void {
    this.running.signal("SIGCONT")
  }

  /** SIGKILL, and its end. */
  async kill(): Promise<void> {
    this.running.signal("SIGKILL")
    await this.running.ended
  }
}

/** The line of a JSON log that holds a text. */
const lineAround = (output: string, text: string): Readonly<Record<string, unknown>> | undefined => {
  const line = output.split("\n").find((one) => one.includes(text))
  return line === undefined ? undefined : JSON.parse(line)
}

/**
 * What a database holds whose process was killed. A copy is looked at: to open the file itself would do the recovery
 * that the next process has to do.
 */
export const storedAfterKill = (file: string, pools: { readonly pools: number; readonly slots: number }) =>
  Effect.scoped(Effect.gen(function*() {
    const folder = yield* temporaryFolder("copy", memoryFolder)
    const copy = join(folder, "copy.db")
    for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, copy + end)
    return yield* stored(copy, pools)
  }))
