/** Answers of the verbs about HAProxy's configuration. Field names are the tools' contract. */
import type { ServerState } from "../domain/Pool.ts"
import type { CheckMessage } from "../haproxy/HostControl.ts"
import type { Answer, WriteAnswer } from "./Answer.ts"

/** A worker of HAProxy. */
export interface WorkerItem {
  readonly pid: number
  /** ISO 8601 in UTC. */
  readonly started_at: string
  readonly version: string
}

export interface ReloadAnswer extends Answer {
  /** How HAProxy was told. */
  readonly way: "master_socket" | "container" | "systemd" | "command"
  /** The worker before; null when none could be reached. */
  readonly old_worker: WorkerItem | null
  readonly new_worker: WorkerItem
  /** From the begin of the check to the end of the comparison. */
  readonly duration_ms: number
  /** Differences that were repaired after the reload. */
  readonly repaired: number
  readonly warnings: ReadonlyArray<string>
}

/** Something that the control plane needs of HAProxy's setup. */
export interface Need {
  readonly what: string
  readonly ok: boolean
  /** What to do when it is not ok, or an advice; empty when there is nothing to say. */
  readonly hint: string
}

export interface CheckConfigAnswer extends Answer {
  /** What `haproxy -c` says; null when it could not be run. */
  readonly valid: boolean | null
  /** The most telling first, at most 30. */
  readonly messages: ReadonlyArray<CheckMessage>
  readonly messages_left_out: number
  readonly needs: ReadonlyArray<Need>
}

export interface SaveStateAnswer extends Answer {
  readonly file: string
  readonly servers: number
  readonly bytes: number
}

export interface RestoreStateAnswer extends WriteAnswer {
  readonly file: string
  /** ISO 8601 in UTC. */
  readonly saved_at: string
  /** At most 100 are listed. */
  readonly restored: ReadonlyArray<{ readonly server: string; readonly weight: number; readonly state: ServerState }>
  readonly restored_count: number
  /** Saved servers that are as they were saved. */
  readonly same_count: number
  /** Slots that hold another address than the saved one, or none: left alone. */
  readonly skipped_count: number
  /** Saved servers that are not ours: never touched. */
  readonly foreign_count: number
}
