/**
 * Floor: one durable commit of the rows that a certificate writes, by `node:sqlite` and nothing else, on a copy of the
 * same database with the same settings (WAL, `synchronous=FULL`, exclusive).
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"

export class CertificateCommitFloor {
  private readonly db: DatabaseSync
  private readonly row: StatementSync
  private readonly change: StatementSync
  private readonly meta: StatementSync
  private commits = 1_000_000_000

  /** Opens a copy of a database. */
  constructor(file: string) {
    this.db = new DatabaseSync(file)
    this.db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
    this.row = this.db.prepare(`INSERT OR REPLACE INTO certificates
      (name, source, state, names, issuer, serial, sha256, sha1, not_before, not_after, key_type, chain, renew_at)
      VALUES (?, 'file', 'active', ?, 'Benchmark Intermediate', ?, ?, ?, ?, ?, 'EC256', 1, NULL)`)
    this.change = this.db.prepare(`INSERT INTO changes
      (change_id, revision, at, via, who, request_id, tool, summary, edits, outcome)
      VALUES (?, ?, ?, 'program', 'local', '-', 'program', ?, '[]', 'applied')`)
    this.meta = this.db.prepare("UPDATE meta SET commits = ?, revision = ? WHERE id = 1")
  }

  /** One commit of one certificate. */
  put(name: string, sha1: string): void {
    const seq = this.commits++
    this.db.exec("BEGIN IMMEDIATE")
    const now = Date.now()
    this.row.run(
      name,
      JSON.stringify([name]),
      sha1.slice(0, 32),
      sha1 + sha1.slice(0, 24),
      sha1,
      now,
      now + 7_776_000_000
    )
    this.change.run(crypto.randomUUID(), seq, now, `${name} is loaded from its file`)
    this.meta.run(seq, seq)
    this.db.exec("COMMIT")
  }

  close(): void {
    this.db.close()
  }
}
