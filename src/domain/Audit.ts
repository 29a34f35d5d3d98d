/**
 * The audit chain: records in a row, each with the hash of all before it, so that one that was edited or taken out is found.
 * What the chain holds and keeps is in store/Audit.ts; here is its arithmetic, and what its records look like from outside.
 */
import { hash } from "node:crypto"

/**
 * - `change`: a change of the desired state, or of certificates: who, which token, which tool, with what, what it touched.
 * - `outcome`: what became of changes.
 * - `refusals`: calls that ended in an error, or that the caller had no right to.
 * - `calls`: calls that did what they are for and are no change: commands to HAProxy beside the desired state, a reload.
 * - `rows`: a commit that wrote rows without a change.
 * - `pruned`: the oldest changes left the log.
 * - `replaced`: an operator put another content in place of what was there.
 */
export type AuditKind = "change" | "outcome" | "refusals" | "calls" | "rows" | "pruned" | "replaced"

/** One record. */
export interface AuditRecord {
  /** 1, 2, 3 …, without a gap. */
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly kind: AuditKind
  /** JSON. */
  readonly payload: string
  /** SHA-256, hexadecimal: of the record and of the hash before it. */
  readonly hash: string
}

/** A place in the chain: its last record, or the one before the first that is kept. */
export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

/** Before the first record. */
export const chainStart: ChainHead = { seq: 0, hash: "0".repeat(64) }

/** The hash of a record that comes after `previous`. */
export const chained = (previous: string, { at, kind, payload, seq }: Omit<AuditRecord, "hash">): string =>
  hash("sha256", `${previous}\n${seq}\n${at}\n${kind}\n${payload}`)

/** A call that is noted by itself, since no change tells of it. */
export interface NotedCall {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The caller had no right to it. */
  readonly denied: boolean
  readonly via: string
  readonly who: string
  readonly request_id: string
  readonly token: string | null
  readonly tool: string
  readonly args: unknown
  /** The error's code; `OK`: it was done. */
  readonly code: string
}

/** What is wrong with the chain, or with the log beside it. */
export interface AuditFault {
  /** Record of the chain; null: a change of the log. */
  readonly seq: number | null
  readonly change_id: string | null
  readonly what: string
}

/** What a verification found. */
export interface AuditReport {
  /** The last record that was dropped: where the verification starts. */
  readonly anchor: ChainHead
  readonly head: ChainHead
  readonly records: number
  readonly changes: number
  /** At most 100. None: all is as it was written. */
  readonly faults: ReadonlyArray<AuditFault>
}
