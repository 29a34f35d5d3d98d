/** The rows of certificates: what is known of each, and when it is tried again. */
import type { Certificate, CertificateSource } from "../domain/Certificate.ts"
import type { Database, Row } from "./Database.ts"

const columns = "name, source, state, names, issuer, serial, sha256, sha1, not_before, not_after, key_type, chain, "
  + "renew_at, next_attempt, failures, last_error"

const toCertificate = (row: Row): Certificate => ({
  name: row["name"] as string,
  source: row["source"] as CertificateSource,
  state: row["state"] as Certificate["state"],
  facts: {
    names: JSON.parse(row["names"] as string) as ReadonlyArray<string>,
    issuer: row["issuer"] as string,
    serial: row["serial"] as string,
    sha256: row["sha256"] as string,
    sha1: row["sha1"] as string,
    notBefore: row["not_before"] as number,
    notAfter: row["not_after"] as number,
    keyType: row["key_type"] as string,
    chain: row["chain"] as number
  },
  renewAt: row["renew_at"] as number | null,
  nextAttempt: row["next_attempt"] as number | null,
  failures: row["failures"] as number,
  lastError: row["last_error"] as string | null
})

/** By name. */
export const all = (db: Database): ReadonlyArray<Certificate> =>
  db.all(`SELECT ${columns} FROM certificates ORDER BY name`).map(toCertificate)

export const find = (db: Database, name: string): Certificate | null => {
  const row = db.get(`SELECT ${columns} FROM certificates WHERE name = ?`, name)
  return row === undefined ? null : toCertificate(row)
}

/** Adds a row, or replaces the one of that name. */
export const put = (db: Database, certificate: Certificate): void => {
  const { facts } = certificate
  db.run(
    `INSERT OR REPLACE INTO certificates (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    certificate.name,
    certificate.source,
    certificate.state,
    JSON.stringify(facts.names),
    facts.issuer,
    facts.serial,
    facts.sha256,
    facts.sha1,
    facts.notBefore,
    facts.notAfter,
    facts.keyType,
    facts.chain,
    certificate.renewAt,
    certificate.nextAttempt,
    certificate.failures,
    certificate.lastError
  )
}

/** Removes the row; nothing happens without one. */
export const remove = (db: Database, name: string): void => {
  db.run("DELETE FROM certificates WHERE name = ?", name)
}

/** Exact names and wildcards of routes that names of a certificate may stand for, by name, at most `limit`. */
export const routesUnder = (
  db: Database,
  names: ReadonlyArray<string>,
  limit: number
): ReadonlyArray<string> => {
  const exact = db.all(
    "SELECT name FROM routes WHERE name IN (SELECT value FROM json_each(?)) ORDER BY name LIMIT ?",
    JSON.stringify(names),
    limit
  )
  const suffixes = names.flatMap((name) => name.startsWith("*.") ? [name.slice(1)] : [])
  // What follows the first label is compared, in one walk for all of them. Wildcards sort before every exact name.
  const [first] = suffixes
  const below = first === undefined ? [] : db.all(
    `SELECT name FROM routes WHERE name > '*~' AND substr(name, instr(name, '.'))
     ${suffixes.length === 1 ? "= ?" : "IN (SELECT value FROM json_each(?))"} ORDER BY name LIMIT ?`,
    suffixes.length === 1 ? first : JSON.stringify(suffixes),
    limit
  )
  const found = new Set([...exact, ...below].map((row) => row["name"] as string))
  return [...found].sort().slice(0, limit)
}
