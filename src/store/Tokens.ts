/**
 * The rows of bearer tokens, and what keeps a revoked one revoked when an older database comes back.
 *
 * A restore puts an older state in place of a newer one: {@link keepRevocations} carries over what must not go back.
 * Whoever replaces a database reads {@link revocations} of the one that goes and applies them to the one that comes,
 * before anybody can show a token to it. Then a token that was revoked stays so, its row comes along where the older
 * database never had it, and a token of the older database that the newer one does not know any more is revoked, too.
 * Tokens that are younger than the restored state are not carried over: they are unknown, and refused.
 */
import { DatabaseSync } from "node:sqlite"
import type { Scope } from "../domain/Principal.ts"
import type { Token } from "../domain/Token.ts"
import type { Database, Row } from "./Database.ts"

const columns = "id, hash, name, scopes, domains, created, expires, revoked_at, last_used"

const toToken = (row: Row): Token => ({
  id: row["id"] as string,
  hash: row["hash"] as string,
  name: row["name"] as string,
  scopes: JSON.parse(row["scopes"] as string) as ReadonlyArray<Scope>,
  domains: row["domains"] === null ? null : JSON.parse(row["domains"] as string) as ReadonlyArray<string>,
  created: row["created"] as number,
  expires: row["expires"] as number | null,
  revokedAt: row["revoked_at"] as number | null,
  lastUsed: row["last_used"] as number | null
})

/** All, oldest first. */
export const all = (db: Database): ReadonlyArray<Token> =>
  db.all(`SELECT ${columns} FROM tokens ORDER BY created, id`).map(toToken)

/** Adds a token. The id is new. */
export const insert = (db: Database, token: Token): void => {
  db.run(
    `INSERT INTO tokens (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    token.id,
    token.hash,
    token.name,
    JSON.stringify(token.scopes),
    token.domains === null ? null : JSON.stringify(token.domains),
    token.created,
    token.expires,
    token.revokedAt,
    token.lastUsed
  )
}

/** Revokes a token; one that is revoked keeps its time. */
export const revoke = (db: Database, id: string, at: number): void => {
  db.run("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", at, id)
}

/** Notes when tokens were used last. */
export const touch = (db: Database, used: ReadonlyMap<string, number>): void => {
  db.run(
    "UPDATE tokens SET last_used = each.value FROM json_each(?) AS each WHERE tokens.id = each.key",
    JSON.stringify(Object.fromEntries(used))
  )
}

/** A connection of whatever kind: copies are looked at outside the store. */
type Connection = Pick<DatabaseSync, "prepare">

const hasTokens = (db: Connection): boolean =>
  db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'tokens'").get() !== undefined

/** The tokens in a copy of a database (Copy.ts); none in one that is older than tokens are, or not ours. */
export const tokensIn = (copy: string): ReadonlyArray<Token> => {
  const db = new DatabaseSync(copy, { readOnly: true })
  try {
    return hasTokens(db)
      ? (db.prepare(`SELECT ${columns} FROM tokens ORDER BY created, id`).all() as ReadonlyArray<Row>).map(toToken)
      : []
  } finally {
    db.close()
  }
}

/** What of a database's tokens must survive an older one. */
export interface Revocations {
  /** Ids of all tokens that the database knows; null where the other one may have tokens of its own. */
  readonly known: ReadonlyArray<string> | null
  /** The revoked ones, whole rows. */
  readonly revoked: ReadonlyArray<Row>
}

/** The revocations of a database; none in one that is older than tokens are. */
export const revocations = (db: Connection): Revocations => {
  if (!hasTokens(db)) return { known: [], revoked: [] }
  const rows = db.prepare(`SELECT ${columns} FROM tokens`).all() as ReadonlyArray<Row>
  return { known: rows.map((row) => row["id"] as string), revoked: rows.filter((row) => row["revoked_at"] !== null) }
}

/**
 * Brings the revocations of the database that goes into the one that comes. That one has been migrated. `now`:
 * milliseconds since 1970. Answers how many of its tokens were good before and are revoked now. One transaction around
 * it is the caller's.
 */
export const keepRevocations = (newer: Revocations, restored: Connection, now: number): number => {
  if (!hasTokens(restored)) return 0
  const known = newer.known === null ? null : new Set(newer.known)
  const ended = new Map(newer.revoked.map((row) => [row["id"] as string, row]))
  const put = restored.prepare(`INSERT OR IGNORE INTO tokens (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
  const end = restored.prepare("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
  let count = 0
  for (const { id } of restored.prepare("SELECT id FROM tokens WHERE revoked_at IS NULL").all()) {
    const at = ended.get(id as string)?.["revoked_at"] as number | undefined
    // Rows never leave a database, so one that is unknown there is not of its past.
    if (at === undefined && (known === null || known.has(id as string))) continue
    end.run(at ?? now, id as string)
    count++
  }
  for (const row of ended.values()) put.run(...columns.split(", ").map((column) => row[column] as string))
  return count
}

/** The same for two files that nobody has open: a copy of the database that goes, and the one that comes. */
export const carryRevocations = (newer: string, restored: string, now: number): number => {
  const from = new DatabaseSync(newer, { readOnly: true })
  try {
    const into = new DatabaseSync(restored)
    try {
      into.exec("BEGIN IMMEDIATE")
      const count = keepRevocations(revocations(from), into, now)
      into.exec("COMMIT")
      return count
    } finally {
      into.close()
    }
  } finally {
    from.close()
  }
}
