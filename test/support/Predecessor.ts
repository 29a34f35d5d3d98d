/** What the Python version leaves behind: its database, with the newest rows still in the log, and its files. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

export interface PredecessorRows {
  readonly domains: ReadonlyArray<
    { readonly domain: string; readonly pool: string; readonly sharesWith?: string; readonly isWildcard?: boolean }
  >
  readonly servers: ReadonlyArray<
    { readonly domain: string; readonly slot: number; readonly ip: string; readonly port: number }
  >
  /** It has a table of certificates, with `shop.example.com` in it. Default true. */
  readonly hasCertificates?: boolean
}

/** Makes the database at a path as a process leaves it that was killed: nothing of the log is in the main file. */
export const leaveDatabase = (file: string, rows: PredecessorRows): void => {
  const folder = mkdtempSync(join(tmpdir(), "predecessor-"))
  try {
    const made = join(folder, "made.db")
    const db = new DatabaseSync(made)
    db.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; BEGIN")
    db.exec(`CREATE TABLE domains (
      domain TEXT PRIMARY KEY, backend TEXT NOT NULL, is_wildcard INTEGER DEFAULT 0, shares_with TEXT,
      created_at TEXT DEFAULT CURRENT_TIMESTAMP
    )`)
    db.exec(`CREATE TABLE servers (
      domain TEXT NOT NULL, slot INTEGER NOT NULL, ip TEXT NOT NULL, http_port INTEGER NOT NULL DEFAULT 80,
      PRIMARY KEY (domain, slot)
    )`)
    const hasCertificates = rows.hasCertificates !== false
    if (hasCertificates) db.exec("CREATE TABLE certificates (domain TEXT PRIMARY KEY)")
    const domain = db.prepare("INSERT INTO domains (domain, backend, is_wildcard, shares_with) VALUES (?, ?, ?, ?)")
    for (const row of rows.domains) {
      domain.run(row.domain, row.pool, row.isWildcard === true ? 1 : 0, row.sharesWith ?? null)
    }
    const server = db.prepare("INSERT INTO servers (domain, slot, ip, http_port) VALUES (?, ?, ?, ?)")
    for (const row of rows.servers) server.run(row.domain, row.slot, row.ip, row.port)
    if (hasCertificates) db.exec("INSERT INTO certificates VALUES ('shop.example.com')")
    db.exec("COMMIT")
    for (const end of ["", "-wal"]) copyFileSync(made + end, file + end)
    db.close()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Every file of a folder that a pattern names: its bytes and the time of its last change. */
export const snapshot = (folder: string, pattern: RegExp): ReadonlyMap<string, string> =>
  new Map(
    (existsSync(folder) ? readdirSync(folder) : []).filter((name) => pattern.test(name)).map((name) => {
      const path = join(folder, name)
      return [name, `${statSync(path, { bigint: true }).mtimeNs} ${readFileSync(path).toString("base64")}`]
    })
  )
