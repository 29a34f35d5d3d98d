/**
 * Opens a connection to the Runtime API and finds out who answers and what it can do.
 *
 * A connection is handed out only when a worker that serves answered on a socket of level admin; else it is closed and
 * the reason is given in an operator's words.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Capabilities } from "./Capabilities.ts"
import type { Verdict } from "./Command.ts"
import { Connection, type Transport } from "./Connection.ts"
import * as Info from "./InfoCommands.ts"
import * as Level from "./LevelCommands.ts"

/** One life of a HAProxy worker. */
export interface Epoch {
  readonly pid: number
  /** Seconds since 1970 at which the worker started (`Start_time_sec`). */
  readonly startTime: number
  readonly version: string
}

/** A connection that answered the probe. */
export interface Opened {
  readonly connection: Connection
  readonly epoch: Epoch
  readonly capabilities: Capabilities
}

/**
 * Connects and probes; fails with the reason. A connection that is not handed out is closed; `created` gets each, so
 * that one whose taker is interrupted at the moment of handing out can be closed too.
 */
export const open = (
  transport: Transport,
  connectTimeout: number,
  created: (connection: Connection) => void
): Effect.Effect<Opened, string> =>
  Effect.callback((resume) => {
    const connection = new Connection(transport, (reason) => resume(Effect.fail(reason)))
    created(connection)
    const timer = setTimeout(
      () => connection.close(`the Runtime API did not answer within ${connectTimeout} ms`),
      connectTimeout
    )
    connection.run({
      commands: [Info.show, Info.help, Level.show],
      stall: connectTimeout,
      done: ([info, help, level]) => {
        clearTimeout(timer)
        const opened = admit(
          connection,
          info as Verdict<Info.Info>,
          help as Verdict<ReadonlySet<string>>,
          level as Verdict<string>
        )
        if (Result.isFailure(opened)) connection.close(opened.failure)
        else resume(Effect.succeed(opened.success))
      },
      lost: () => clearTimeout(timer),
      defect: (error) => {
        clearTimeout(timer)
        connection.close("the probe failed")
        resume(Effect.die(error))
      }
    })
    return Effect.sync(() => connection.close("the attempt was given up"))
  })

/** Judges the probe: an admin socket of a worker that serves, or why not. */
const admit = (
  connection: Connection,
  info: Verdict<Info.Info>,
  help: Verdict<ReadonlySet<string>>,
  level: Verdict<string>
): Result.Result<Opened, string> => {
  if (Result.isFailure(info)) return Result.fail(`HAProxy refuses show info: ${info.failure.text}`)
  if (Result.isFailure(level)) return Result.fail(`HAProxy refuses show cli level: ${level.failure.text}`)
  if (level.success !== "admin") {
    return Result.fail(`the Runtime API socket has level ${level.success}: it needs \`level admin\` in haproxy.cfg`)
  }
  if (Result.isFailure(help)) return Result.fail(`HAProxy refuses help: ${help.failure.text}`)
  if (info.success.stopping) return Result.fail("this worker of HAProxy is stopping")
  const missing = Info.missingCommands(help.success)
  if (missing.length > 0) {
    return Result.fail(`the Runtime API socket lacks ${missing.join(", ")}: it needs \`level admin\` in haproxy.cfg`)
  }
  const { pid, startTime, version } = info.success
  const capabilities = Info.capabilities(version, help.success, connection.framing === "quiet")
  connection.limits = capabilities
  return Result.succeed({ connection, epoch: { pid, startTime, version }, capabilities })
}
