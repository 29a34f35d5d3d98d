/**
 * The port to another host on which programs of ours run for minutes: its files, commands that answer once, and
 * commands that are listened to (remote/Ssh.ts). What the programs are is decided above.
 *
 * Contract: words only, no shell reads them; what must be seen by nobody goes through standard input, never through a
 * word. The standard input of a command that is listened to stays open until its scope closes or the link is lost: its
 * end is how the command learns that nobody listens any more.
 */
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { CommandFailed, Ended } from "./Commands.ts"
import type { Disk } from "./Disk.ts"
import type { RemoteUnreachable } from "./Errors.ts"

/** What a command that is listened to does. `Output`: a piece of its standard output, whole characters. */
export type Heard =
  | { readonly _tag: "Output"; readonly text: string }
  /** It ended; `code` is null when a signal ended it. */
  | { readonly _tag: "Ended"; readonly code: number | null }
  /** The link to the host was lost; what the command does is not known from here. */
  | { readonly _tag: "Lost"; readonly error: RemoteUnreachable }

export interface FarHost {
  /** `user@host:port`, for messages. */
  readonly name: string
  readonly disk: Disk
  /** Runs a command to its end; any exit code is an answer. After RemoteUnreachable it may have run. */
  readonly run: (
    argv: ReadonlyArray<string>,
    options: {
      /** Milliseconds. */
      readonly timeout: number
      readonly stdin: string
    }
  ) => Effect.Effect<Ended, CommandFailed | RemoteUnreachable>
  /**
   * Starts a command and gives it `stdin`. When the scope closes its standard input ends, and its own end is waited for,
   * for some seconds. Only a few at once; the others wait for their turn.
   */
  readonly listen: (
    argv: ReadonlyArray<string>,
    stdin: string
  ) => Effect.Effect<Queue.Dequeue<Heard>, CommandFailed | RemoteUnreachable, Scope.Scope>
}
