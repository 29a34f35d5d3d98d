/**
 * The machine on which acme.sh runs, as its runs need it: this one (LocalMachine.ts), or HAProxy's host over SSH
 * (far/FarMachine.ts). What is asked of a CA, and what an answer means, is decided above and is the same for both.
 */
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type AcmeFailed, ConfigInvalid, type RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import type { AccountFiles } from "./Account.ts"
import type { RunSettings } from "./Arguments.ts"
import type { Credentials, CredentialsSources } from "./Credentials.ts"
import type { Program } from "./Program.ts"

/** Why a machine does not do its part. */
export type MachineError = ConfigInvalid | StorageFailed | RemoteUnreachable

/** Paths of that machine, absolute. */
export interface Places {
  /** ACME_HOME. */
  readonly home: string
  readonly credentialsFile: string
  readonly caBundle: string | null
}

/** All that a run stands on, in one look. */
export interface Surroundings extends Places {
  readonly program: Program
  /** Programs that acme.sh needs and that are not in PATH there. */
  readonly missingTools: ReadonlyArray<string>
  /** Is ACME_CA_BUNDLE there, where it is set? */
  readonly hasCaBundle: boolean
  /** The file of the DNS hook; null when acme.sh would not find one. */
  readonly hook: { readonly path: string; readonly text: string } | null
  /** The folder that acme.sh would have to write to and may not; null when it may. */
  readonly unwritable: string | null
  readonly credentials: CredentialsSources
}

/** What acme.sh does there by itself. */
export interface Habits {
  /** Where it is started from: a crontab, a timer. */
  readonly schedules: ReadonlyArray<string>
  /** Domains for which it has saved reload commands, hooks or copies. */
  readonly saved: ReadonlyArray<string>
}

/**
 * What a run says. `End`: its exit code, null when a signal ended it; `Failed`: it could not be started; `Lost`: nobody
 * knows from here how it ended.
 */
export type RunEvent =
  | { readonly _tag: "Line"; readonly text: string }
  | { readonly _tag: "End"; readonly code: number | null }
  | { readonly _tag: "Failed"; readonly code: string }
  | { readonly _tag: "Lost"; readonly error: AcmeFailed | StorageFailed | RemoteUnreachable }

/** What is to run, in a folder of its own. */
export interface RunOrder {
  readonly settings: RunSettings
  readonly credentials: Credentials
  readonly command: (folder: string) => ReadonlyArray<string>
}

/** A run under way. Its folder is there until the scope closes. */
export interface Run {
  readonly folder: string
  readonly events: Queue.Dequeue<RunEvent>
  /** A file of the folder; null when there is none, empty when it is longer than what acme.sh writes. */
  readonly read: (path: string) => Effect.Effect<string | null, StorageFailed | RemoteUnreachable>
}

export interface Machine {
  /** `On haproxy-mcp@edge:22: ` in front of what is wrong there; empty for this machine. */
  readonly prefix: string
  /** Runs that it takes at once. */
  readonly runsAtOnce: number
  /** Looks at everything; runs nothing but `acme.sh --version`. */
  readonly look: Effect.Effect<Surroundings, MachineError>
  /** The same, and what acme.sh does there by itself, which may be known where it cannot be used. */
  readonly inspect: Effect.Effect<{
    readonly habits: Habits
    readonly look: Effect.Effect<Surroundings, MachineError>
  }>
  /** The files of an account at a CA, by its directory URL. */
  readonly account: (
    home: string,
    directory: string
  ) => Effect.Effect<AccountFiles, StorageFailed | RemoteUnreachable>
  /** Replaces the account's ca.conf; mode 0600. */
  readonly writeAccount: (
    home: string,
    directory: string,
    conf: string
  ) => Effect.Effect<void, StorageFailed | RemoteUnreachable>
  /** Begins a run in the scope; it ends, and its folder is removed, when that closes. */
  readonly start: (order: RunOrder) => Effect.Effect<Run, MachineError, Scope.Scope>
  /** The text of ACME_CA_BUNDLE; null when it is not set or cannot be read. */
  readonly caBundle: () => Promise<string | null>
  /** Ends and removes what control planes that are gone have left. */
  readonly sweep: Effect.Effect<void, MachineError>
}

/** An error that says which machine it is of. One of the connection does so by itself. */
export const located = ({ prefix }: Pick<Machine, "prefix">) => <E extends { readonly _tag: string }>(error: E): E => {
  if (prefix === "") return error
  if (error instanceof ConfigInvalid) {
    const { field, hint, message } = error
    return new ConfigInvalid({
      message: prefix + message,
      hint,
      ...(field === undefined ? {} : { field })
    }) as unknown as E
  }
  return error instanceof StorageFailed
    ? new StorageFailed({ message: prefix + error.message, hint: error.hint }) as unknown as E
    : error
}
