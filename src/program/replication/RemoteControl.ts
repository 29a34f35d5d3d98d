/**
 * What an operator may ask of the remote copy of the database: how it stands, which generations there are, to bring one
 * back, to take over. It works while no control plane can be built (the remote is down, the copies contradict each other),
 * so it belongs to what starts and stops control planes (Supervisor.ts), not to one of them.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { ConfigInvalid, type ControlError } from "../../domain/Errors.ts"
import type { Answer } from "../Answer.ts"
import type { ReplicationStatus } from "./Publisher.ts"

/** A generation as lists show it. */
export interface GenerationItem {
  readonly generation: number
  /** `claim`: a start or a take-over took the number to fence whoever wrote; it holds no content of its own. */
  readonly kind: "full" | "delta" | "claim"
  readonly revision: number
  readonly commits: number
  readonly size: number
  /** By the clock of the host that wrote it, ISO 8601 in UTC: for people only. */
  readonly written_at: string
  readonly writer: string
  readonly host: string
  /** `ok`, or what is wrong with it. */
  readonly state: string
}

export interface RemoteStatusAnswer extends Answer {
  readonly mode: ReplicationStatus["mode"]
  readonly role: ReplicationStatus["role"]
  /** `user@host:port`. */
  readonly host: string
  /** The newest full copy on the remote host. */
  readonly file: string
  readonly link: { readonly up: boolean; readonly reason: string }
  readonly generation: number | null
  readonly lag: number
  readonly last_published_at: string | null
  /** What was decided at the last start of the control plane here, in words. */
  readonly started_as: string
  readonly reason: string
}

export interface RemoteListAnswer extends Answer {
  readonly generations: ReadonlyArray<GenerationItem>
  readonly total: number
}

export interface RemoteRestoreInput {
  readonly generation: number
}

/** Which database goes on: the one that lies here, or the newest on the remote host. */
export interface RemoteTakeOverInput {
  readonly keep?: "remote" | "local"
}

export interface RemoteActionAnswer extends Answer {
  readonly generation: number
  readonly revision: number
  /** Where the database that was here before is kept; null when there was none. */
  readonly kept: string | null
  readonly warnings: ReadonlyArray<string>
}

/** See the module's head. */
export interface RemoteControlShape {
  readonly status: Effect.Effect<RemoteStatusAnswer, ControlError>
  /** Newest first. */
  readonly list: (limit: number) => Effect.Effect<RemoteListAnswer, ControlError>
  /** Makes an old generation the newest one: nothing between is lost, it stays in the log. */
  readonly restore: (input: RemoteRestoreInput) => Effect.Effect<RemoteActionAnswer, ControlError>
  readonly takeOver: (input: RemoteTakeOverInput) => Effect.Effect<RemoteActionAnswer, ControlError>
}

const none = Effect.fail(
  new ConfigInvalid({
    message: "There is no remote copy of the database",
    hint: "HAPROXY_SSH_HOST names the host that keeps one; docs/operations.md says how to set it up.",
    field: "HAPROXY_SSH_HOST"
  })
)

export const RemoteControl = Context.Reference<RemoteControlShape>("haproxy-mcp/program/RemoteControl", {
  defaultValue: () => ({ status: none, list: () => none, restore: () => none, takeOver: () => none })
})

/** The verbs, as the command line asks them. */
export const remoteStatus = () => Effect.flatMap(RemoteControl, (control) => control.status)
export const remoteList = (input: { readonly limit?: number }) =>
  Effect.flatMap(RemoteControl, (control) => control.list(input.limit ?? 50))
export const remoteRestore = (input: RemoteRestoreInput) =>
  Effect.flatMap(RemoteControl, (control) => control.restore(input))
export const remoteTakeOver = (input: RemoteTakeOverInput) =>
  Effect.flatMap(RemoteControl, (control) => control.takeOver(input))
