/** What a transaction knows of itself while it is open, and the one row of counters that tells commits apart. */
import * as Context from "effect/Context"
import type { ChainHead } from "../domain/Audit.ts"
import { StorageFailed } from "../domain/Errors.ts"
import type { Tally } from "./Counts.ts"
import type { Database } from "./Database.ts"
import type { Recorded } from "./Watchers.ts"

/** An open transaction. */
export interface Transaction {
  /** The revision that this commit has if a change is recorded. */
  readonly revision: number
  /** Milliseconds since 1970 at its begin. */
  readonly at: number
  /** Open savepoints. */
  depth: number
  /** Did anything write? */
  wrote: boolean
  /** Was a change recorded? */
  recorded: boolean
  /** Which ones, for those who watch. */
  records: Recorded | null
  /** Were rows of the desired state written? */
  applied: boolean
  /** The last record of the audit chain. */
  chain: ChainHead
  /** What it adds to the numbers of rows. */
  tally: Tally
  /** A write that failed half-way in this savepoint: whatever the caller makes of it, the savepoint cannot stay. */
  failure: StorageFailed | null
}

/** The counters in the one row of `meta`. */
export interface Head {
  readonly commits: number
  readonly revision: number
  readonly chain: ChainHead
}

/** The transaction that a fiber is in. */
export const CurrentTransaction = Context.Reference<Transaction | null>("haproxy-mcp/store/CurrentTransaction", {
  defaultValue: () => null
})

/** The row of `meta`. */
export const readMeta = (db: Database): Head & { readonly nextSeq: number; readonly lineage: string } => {
  const row = db.get("SELECT lineage, commits, revision, next_seq, audit_seq, audit_hash FROM meta WHERE id = 1")
  if (row === undefined) throw new Error("meta has no row")
  return {
    lineage: String(row["lineage"]),
    commits: Number(row["commits"]),
    revision: Number(row["revision"]),
    nextSeq: Number(row["next_seq"]),
    chain: { seq: Number(row["audit_seq"]), hash: String(row["audit_hash"]) }
  }
}

/** SQLite ends a transaction by itself after some errors (sqlite.org/lang_transaction.html, 3.1). */
export const takenBack = (operation: string) =>
  new StorageFailed({
    message: `Cannot ${operation}: the database took the transaction back after an error.`,
    hint: "Check the disk that holds the database, then repeat the call."
  })
