/**
 * What can be told of a database from a copy of it (Copy.ts): whether it is one of ours, whole, and what it holds.
 * The file itself is never opened.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { applicationId } from "./Database.ts"

/** The findings on one copy. */
export interface Examination {
  /** Bytes. */
  readonly size: number
  /** Problems that `PRAGMA quick_check` lists, at most five; empty when the file is whole. */
  readonly damage: ReadonlyArray<string>
  /** As the file's header says it; ours are `wal`. */
  readonly journal: "wal" | "rollback"
  /** Number of the last migration (Migrate.ts). */
  readonly schema: number
  readonly lineage: string
  readonly revision: number
  readonly domains: number
}

/** The header of an SQLite file (sqlite.org/fileformat.html): the write version at 18, the application id at 68. */
const header = (file: string): Buffer => {
  const bytes = Buffer.alloc(100)
  const fd = openSync(file, "r")
  try {
    readSync(fd, bytes, 0, 100, 0)
  } finally {
    closeSync(fd)
  }
  return bytes
}

/** Looks at a copy; null when it is not a database of ours. Throws what SQLite throws for one that it cannot read. */
export const examineCopy = (copy: string): Examination | null => {
  const bytes = header(copy)
  if (bytes.toString("latin1", 0, 16) !== "SQLite format 3\0" || bytes.readInt32BE(68) !== applicationId) return null
  const db = new DatabaseSync(copy)
  try {
    const rows = (sql: string) => db.prepare(sql).all() as ReadonlyArray<Readonly<Record<string, unknown>>>
    const number = (sql: string) => Number(Object.values(rows(sql)[0] ?? {})[0])
    const damage = rows("PRAGMA quick_check(5)").map((row) => String(Object.values(row)[0])).filter((text) =>
      text !== "ok"
    )
    const meta = rows("SELECT lineage, revision FROM meta")[0]
    return {
      size: statSync(copy).size,
      damage,
      journal: bytes[18] === 2 ? "wal" : "rollback",
      schema: number("PRAGMA user_version"),
      lineage: String(meta?.["lineage"]),
      revision: Number(meta?.["revision"]),
      domains: number("SELECT count(*) FROM routes WHERE name >= '*/'")
    }
  } finally {
    db.close()
  }
}

/** What a copy says of a certificate. */
export interface CertificateRow {
  readonly name: string
  /** acme: issued and renewed here. */
  readonly source: "acme" | "file"
  /** Failed attempts in a row. */
  readonly failures: number
  /** Why the last one failed; null: it did not. */
  readonly lastError: string | null
}

/** The certificates in a copy; none where it is not a database of ours or of a time before there were any. */
export const certificatesIn = (copy: string): ReadonlyArray<CertificateRow> => {
  const bytes = header(copy)
  if (bytes.readInt32BE(68) !== applicationId) return []
  const db = new DatabaseSync(copy)
  try {
    const known = db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'certificates'").all()
    return known.length === 0 ? [] : db.prepare(
      "SELECT name, source, failures, last_error AS lastError FROM certificates ORDER BY name"
    ).all() as unknown as ReadonlyArray<CertificateRow>
  } finally {
    db.close()
  }
}
