/**
 * The audit chain of the database: its records, and how they get there.
 *
 * Guarantees: a record is in the same commit as what it tells of, so there is no change without one, and it costs no flush
 * of its own; the place of the last record stands in `meta`, beside the counters of that commit; of the oldest ones, when
 * they are dropped, the last hash stays. Against somebody who can write the file and computes the whole chain anew only
 * a copy of the last hash elsewhere helps (`haproxy-mcp audit verify` prints it).
 */
import { hash } from "node:crypto"
import { type AuditKind, type AuditRecord, chained, type ChainHead, type NotedCall } from "../domain/Audit.ts"
import type { Outcome } from "../domain/Change.ts"
import type { ChangeDraft } from "./Changes.ts"
import type { Database, Row } from "./Database.ts"

/** Which records of the audit chain to list. Oldest first. */
export interface AuditQuery {
  /** Only records after this number. */
  readonly after: number
  /** Only of this time or later, milliseconds since 1970. */
  readonly from: number
  readonly limit: number
}

/** Old records are dropped in steps of this many. */
const pruneEvery = 256
/** Rows that a change touched that its record names; their number is always there. */
const namedKeys = 20
/** Calls that wait to be written at most, and that are written within a minute. */
export interface CallLimits {
  readonly waiting: number
  readonly perMinute: number
}

/** Refused ones: a stranger must not be able to fill a disk, or to push history out. */
export const ofRefused: CallLimits = { waiting: 50, perMinute: 60 }
/** Those that were done, by callers with the right to it. */
export const ofDone: CallLimits = { waiting: 500, perMinute: 6_000 }

/** What hashes the rows of a change: the text that the log holds. */
export const digestOf = (edits: string): string => hash("sha256", edits)

/** Adds a record; answers the new head. Inside a transaction. */
export const append = (
  db: Database,
  previous: ChainHead,
  at: number,
  kind: AuditKind,
  content: Readonly<Record<string, unknown>>,
  keep: number
): ChainHead => {
  const seq = previous.seq + 1
  const payload = JSON.stringify(content)
  const next = { seq, hash: chained(previous.hash, { seq, at, kind, payload }) }
  db.run("INSERT INTO audit (seq, at, kind, payload, hash) VALUES (?, ?, ?, ?, ?)", seq, at, kind, payload, next.hash)
  const last = seq - keep
  if (seq % pruneEvery === 0 && last > 0) {
    db.run("UPDATE meta SET audit_from = seq, audit_anchor = hash FROM audit WHERE audit.seq = ? AND meta.id = 1", last)
    db.run("DELETE FROM audit WHERE seq <= ?", last)
  }
  return next
}

/** What the record of a change says. `row`: its place in the log. */
export const ofChange = (draft: ChangeDraft, row: number, revision: number, edits: string) => {
  const keys = new Set<string>()
  for (const edit of draft.edits) {
    if (keys.size === namedKeys) break
    keys.add(edit.kind === "route" ? `route:${edit.name}` : `pool:${edit.pool}`)
  }
  return {
    change_id: draft.changeId,
    row,
    revision,
    via: draft.actor.via,
    who: draft.actor.who,
    request_id: draft.actor.requestId,
    token: draft.audit?.token ?? null,
    tool: draft.tool,
    args: draft.audit?.args ?? null,
    summary: draft.summary,
    footprint: { keys: [...keys], edits: draft.edits.length },
    edits: digestOf(edits),
    outcome: draft.outcome
  }
}

/** What the record of outcomes says. */
export const ofOutcomes = (outcomes: ReadonlyMap<string, Outcome>) => ({ outcomes: Object.fromEntries(outcomes) })

const toRecord = (row: Row): AuditRecord => ({
  seq: row["seq"] as number,
  at: row["at"] as number,
  kind: row["kind"] as AuditKind,
  payload: row["payload"] as string,
  hash: row["hash"] as string
})

/** Records after a number, oldest first; of this time or later. */
export const list = (db: Database, after: number, from: number, limit: number): ReadonlyArray<AuditRecord> =>
  db.all(
    "SELECT seq, at, kind, payload, hash FROM audit WHERE seq > ? AND at >= ? ORDER BY seq LIMIT ?+0",
    after,
    from,
    limit
  ).map(toRecord)

/** Calls on their way into the chain: only so many, the others are counted. Lost when the process is killed before. */
export class WaitingCalls {
  readonly #limits: CallLimits
  #waiting: Array<NotedCall> = []
  #left = 0
  #minute = 0
  #budget = 0

  constructor(limits: CallLimits) {
    this.#limits = limits
  }

  add(call: NotedCall): void {
    const minute = Math.floor(call.at / 60_000)
    if (minute !== this.#minute) {
      this.#minute = minute
      this.#budget = this.#limits.perMinute
    }
    if (this.#budget === 0 || this.#waiting.length === this.#limits.waiting) this.#left += 1
    else {
      this.#budget -= 1
      this.#waiting.push(call)
    }
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#left === 0
  }

  /** What the record says. */
  content() {
    return { calls: this.#waiting, left_out: this.#left }
  }

  clear(): void {
    this.#waiting = []
    this.#left = 0
  }
}
