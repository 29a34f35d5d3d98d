/**
 * The port through which a command is run on HAProxy's host: as a child of this process (haproxy/host/Child.ts) or over
 * SSH (remote/Exec.ts). No shell reads the words, time and output are bounded, and any exit code is an answer.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RemoteUnreachable } from "./Errors.ts"

/** How a command ended. */
export interface Ended {
  /** Its exit code; null when a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command did not come to its own end. `missing`: there is no such program. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  reason: Schema.Literals(["missing", "cannot start", "timeout"]),
  message: Schema.String
}) {}

export interface CommandOptions {
  /** Milliseconds. */
  readonly timeout: number
  /** Only on this machine. */
  readonly cwd?: string
  /** The whole environment, only on this machine; default: the harmless part of ours. */
  readonly env?: Readonly<Record<string, string>>
}

/** The commands of one host. After RemoteUnreachable the command may have run. */
export interface Commands {
  /** Of this machine. */
  readonly isLocal: boolean
  readonly run: (
    argv: ReadonlyArray<string>,
    options: CommandOptions
  ) => Effect.Effect<Ended, CommandFailed | RemoteUnreachable>
}
