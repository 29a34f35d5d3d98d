/** The verbs on the audit chain: is it whole, and what does it say. */
import * as Effect from "effect/Effect"
import type { AuditFault } from "../domain/Audit.ts"
import type { ControlError } from "../domain/Errors.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import * as Input from "./Input.ts"
import type { ProgramServices } from "./Services.ts"

/** Records of one page when nobody says. */
const usualLimit = 500

export interface VerifyAuditAnswer extends Answer {
  readonly ok: boolean
  readonly records: number
  readonly changes: number
  /** The last record and its hash: noted elsewhere, it tells later whether the whole chain was made anew. */
  readonly head_seq: number
  readonly head_hash: string
  /** Verified from here on; 0: from the first record. */
  readonly anchor_seq: number
  readonly anchor_hash: string
  readonly faults: ReadonlyArray<AuditFault>
}

/** A record, as it is exported: a line of JSON. */
export interface AuditItem {
  readonly seq: number
  /** ISO 8601, UTC. */
  readonly time: string
  /** The same in milliseconds since 1970, as it is hashed. */
  readonly at: number
  readonly kind: string
  /** As it is hashed: JSON as a text. */
  readonly payload: string
  readonly hash: string
}

export interface AuditRecordsAnswer extends Answer {
  readonly records: ReadonlyArray<AuditItem>
  /** Number after which the next page begins; null on the last. */
  readonly next_after: number | null
}

/** Recomputes the chain and compares the log of changes with it. */
export const verifyAudit = Tracing.fn("verifyAudit")(
  function*(): Effect.fn.Return<VerifyAuditAnswer, ControlError, ProgramServices> {
    const { anchor, changes, faults, head, records } = yield* (yield* Store).verifyAudit
    const ok = faults.length === 0
    return {
      summary: ok
        ? `${records} records and ${changes} changes are as they were written`
        : `The audit chain does not hold: ${faults.length === 100 ? "100 or more" : faults.length} faults`,
      ok,
      records,
      changes,
      head_seq: head.seq,
      head_hash: head.hash,
      anchor_seq: anchor.seq,
      anchor_hash: anchor.hash,
      faults
    }
  }
)

export interface AuditRecordsInput {
  readonly after?: number
  readonly since?: string
  readonly limit?: number
}

/** Records of the chain, oldest first. */
export const auditRecords = Tracing.fn("auditRecords")(function*(
  input: AuditRecordsInput
): Effect.fn.Return<AuditRecordsAnswer, ControlError, ProgramServices> {
  const from = input.since === undefined ? 0 : yield* Input.time("since", input.since)
  const limit = input.limit ?? usualLimit
  const found = yield* (yield* Store).auditRecords({ after: input.after ?? 0, from, limit })
  return {
    summary: `${found.length} records`,
    records: found.map((record) => ({ ...record, time: new Date(record.at).toISOString() })),
    next_after: found.length < limit ? null : found.at(-1)!.seq
  }
})
