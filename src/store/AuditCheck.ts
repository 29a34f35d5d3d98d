/**
 * Recomputes the audit chain from its anchor to its head, and compares the log of changes with it: each change that the
 * chain tells of is in the log as it was written, or older than what the log keeps; the log holds none that the chain
 * does not know.
 *
 * It goes in steps, so that others get their turns: what is appended or dropped between two steps is no fault.
 */
import { type AuditFault, type AuditReport, chained, type ChainHead } from "../domain/Audit.ts"
import { digestOf, list } from "./Audit.ts"
import type { Database, Row } from "./Database.ts"

/** Records, or changes, of one step: some milliseconds. */
const stride = 500
/** Faults that are told. */
const mostFaults = 100

/** What the chain says of a change. */
interface Told {
  readonly changeId: string
  /** Of the fields of its row. */
  readonly fields: string
  readonly seq: number
}

const fieldsOf = (values: ReadonlyArray<unknown>): string => JSON.stringify(values)

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

const heads = (db: Database): { readonly anchor: ChainHead; readonly head: ChainHead } => {
  const row = db.get("SELECT audit_seq, audit_hash, audit_from, audit_anchor FROM meta WHERE id = 1")
  return {
    anchor: { seq: Number(row?.["audit_from"]), hash: String(row?.["audit_anchor"]) },
    head: { seq: Number(row?.["audit_seq"]), hash: String(row?.["audit_hash"]) }
  }
}

export class AuditCheck {
  readonly #faults: Array<AuditFault> = []
  /** Changes by their place in the log. */
  readonly #told = new Map<number, Told>()
  readonly #outcomes = new Map<string, string>()
  #at: ChainHead | null = null
  #anchor: ChainHead = { seq: 0, hash: "" }
  #head: ChainHead = { seq: 0, hash: "" }
  #records = 0
  #changes = 0
  /** Changes up to this place may have left the log. */
  #dropped = 0
  #row = 0
  #newest = 0
  /** Place of the first change that the chain tells of. */
  #first = Infinity
  /** Outcomes that the chain did not tell before its head. */
  readonly #doubts: Array<{ readonly told: Told; readonly outcome: string }> = []
  #phase: "chain" | "changes" | "missing" | "done" = "chain"

  /** Goes on a little; true when there is nothing left. */
  step(db: Database, settled: ReadonlyMap<string, string>): boolean {
    if (this.#phase === "chain") this.#chain(db)
    else if (this.#phase === "changes") this.#log(db, settled)
    else if (this.#phase === "missing") this.#missing(db)
    return this.#phase === "done"
  }

  report(): AuditReport {
    return {
      anchor: this.#anchor,
      head: this.#head,
      records: this.#records,
      changes: this.#changes,
      faults: this.#faults
    }
  }

  #fault(seq: number | null, changeId: string | null, what: string): void {
    if (this.#faults.length < mostFaults) this.#faults.push({ seq, change_id: changeId, what })
  }

  #chain(db: Database): void {
    const now = heads(db)
    if (this.#at === null) {
      this.#anchor = now.anchor
      this.#head = now.head
      this.#at = now.anchor
      this.#newest = Number(db.get("SELECT max(id) AS n FROM changes")?.["n"] ?? 0)
    }
    // Dropped since the last step.
    if (now.anchor.seq > this.#at.seq) this.#at = now.anchor
    const rows = list(db, this.#at.seq, 0, stride).filter(({ seq }) => seq <= this.#head.seq)
    for (const record of rows) {
      const at: ChainHead = this.#at
      if (record.seq !== at.seq + 1) {
        this.#fault(record.seq, null, `records ${at.seq + 1} to ${record.seq - 1} before it are missing`)
      }
      if (record.hash !== chained(at.hash, record)) {
        // After a gap it fits nothing that is there, which has been said.
        if (record.seq === at.seq + 1) this.#fault(record.seq, null, "it is not as it was written")
      }
      this.#records += 1
      this.#at = record
      this.#take(record.seq, record.at, record.kind, record.payload)
    }
    if (rows.length === stride) return
    if (this.#at.seq !== this.#head.seq) {
      this.#fault(this.#head.seq, null, `records ${this.#at.seq + 1} to ${this.#head.seq} at the end are missing`)
    } else if (this.#at.hash !== this.#head.hash) {
      this.#fault(this.#head.seq, null, "the last record is not the one that the counters name")
    }
    for (const row of this.#told.keys()) this.#first = Math.min(this.#first, row)
    this.#phase = "changes"
  }

  /** What a record says of the log. */
  #take(seq: number, at: number, kind: string, payload: string): void {
    let content: unknown
    try {
      content = JSON.parse(payload)
    } catch {
      // Its hash has told already.
    }
    if (!isRecord(content)) return
    if (kind === "change") {
      const { change_id, edits, outcome, request_id, revision, row, summary, tool, via, who } = content
      this.#told.set(Number(row), {
        changeId: String(change_id),
        fields: fieldsOf([change_id, revision, at, via, who, request_id, tool, summary, edits]),
        seq
      })
      this.#outcomes.set(String(change_id), String(outcome))
    } else if (kind === "outcome" && isRecord(content["outcomes"])) {
      for (const [changeId, outcome] of Object.entries(content["outcomes"])) {
        this.#outcomes.set(changeId, String(outcome))
      }
    } else if (kind === "pruned") this.#dropped = Math.max(this.#dropped, Number(content["through"]))
  }

  #log(db: Database, settled: ReadonlyMap<string, string>): void {
    const rows = db.all(
      `SELECT id, change_id, revision, at, via, who, request_id, tool, summary, edits, outcome FROM changes
        WHERE id > ? AND id <= ? ORDER BY id LIMIT ?+0`,
      this.#row,
      this.#newest,
      // One change may be an import.
      Math.ceil(stride / 10)
    )
    for (const row of rows) this.#compare(row, settled)
    if (rows.length > 0) this.#row = rows.at(-1)!["id"] as number
    else this.#phase = "missing"
  }

  #compare(row: Row, settled: ReadonlyMap<string, string>): void {
    const id = row["id"] as number
    const changeId = String(row["change_id"])
    const told = this.#told.get(id)
    this.#told.delete(id)
    if (told === undefined) {
      // Older than the chain, or than what it keeps.
      if (id > this.#first) this.#fault(null, changeId, "the chain does not know it")
      return
    }
    this.#changes += 1
    const { at, change_id, edits, outcome, request_id, revision, summary, tool, via, who } = row
    const fields = fieldsOf([change_id, revision, at, via, who, request_id, tool, summary, digestOf(String(edits))])
    if (fields !== told.fields) this.#fault(told.seq, changeId, "the change is not as it was written")
    else if (outcome !== this.#outcomes.get(changeId) && !settled.has(changeId)) {
      this.#doubts.push({ told, outcome: String(outcome) })
    }
  }

  #missing(db: Database): void {
    // What was settled, or dropped, since the chain was read.
    for (const record of list(db, this.#head.seq, 0, stride)) {
      if (record.kind !== "change") this.#take(record.seq, record.at, record.kind, record.payload)
    }
    for (const { outcome, told } of this.#doubts) {
      if (this.#outcomes.get(told.changeId) === outcome) continue
      this.#fault(told.seq, told.changeId, `its outcome is not the one that was written (${outcome})`)
    }
    for (const [row, { changeId, seq }] of this.#told) {
      if (row > this.#dropped) this.#fault(seq, changeId, "the change is not in the log any more")
    }
    this.#phase = "done"
  }
}
