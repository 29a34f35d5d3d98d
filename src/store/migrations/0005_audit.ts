/**
 * The audit chain (store/Audit.ts). What the log of changes held before is not covered by it.
 *
 * - `audit`: the records. `hash` is of the record and of the hash before it.
 * - `meta.audit_seq`, `audit_hash`: the last record, so that one that is missing at the end is missed.
 * - `meta.audit_from`, `audit_anchor`: number and hash of the last record that was dropped for its age.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"
import { chainStart } from "../../domain/Audit.ts"

export const audit = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('change', 'outcome', 'refusals', 'calls', 'rows', 'pruned', 'replaced')),
    payload TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT`
  for (const [number, hash] of [["audit_seq", "audit_hash"], ["audit_from", "audit_anchor"]]) {
    yield* sql.unsafe(`ALTER TABLE meta ADD COLUMN ${number} INTEGER NOT NULL DEFAULT 0`)
    yield* sql.unsafe(`ALTER TABLE meta ADD COLUMN ${hash} TEXT NOT NULL DEFAULT '${chainStart.hash}'`)
  }
})
