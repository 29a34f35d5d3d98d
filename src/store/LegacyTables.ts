/**
 * The tables of the predecessor's database, recognised by their columns: it went through several versions, and its
 * schema is published nowhere. `domains` must have a name and a pool; everything else is optional. The statements are
 * made of the names below and of nothing that the file says.
 */
import type { DatabaseSync } from "node:sqlite"
import type { LegacyRoute, LegacyServer } from "../domain/Legacy.ts"

/** The names that a column may have, the likeliest first. */
const names = {
  domain: ["domain", "name", "domain_name", "host", "hostname"],
  pool: ["pool", "backend", "pool_name", "backend_name", "pool_id"],
  wildcard: ["is_wildcard", "wildcard"],
  share: ["shares_with", "share_with", "shared_with"],
  slot: ["slot", "slot_number", "slot_id"],
  ip: ["ip", "address", "addr", "server_ip"],
  port: ["http_port", "port"],
  weight: ["weight"],
  state: ["state"]
} as const

type Table = ReadonlySet<string>
type Rows = ReadonlyArray<Readonly<Record<string, unknown>>>

/** All tables with their columns, in lower case. */
export const tablesOf = (db: DatabaseSync): ReadonlyMap<string, Table> => {
  const tables = db.prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").all()
  const columns = db.prepare("SELECT name FROM pragma_table_info(?)")
  return new Map(
    tables.map((row) => {
      const name = String(row["name"])
      return [name.toLowerCase(), new Set(columns.all(name).map((column) => String(column["name"]).toLowerCase()))]
    })
  )
}

const find = (table: Table | undefined, what: keyof typeof names): string | null =>
  names[what].find((name) => table?.has(name)) ?? null

/** Is it the predecessor's? */
export const isRecognised = (tables: ReadonlyMap<string, Table>): boolean => {
  const domains = tables.get("domains")
  return find(domains, "domain") !== null && find(domains, "pool") !== null
}

const as = (column: string | null, name: string): string => `${column === null ? "NULL" : `"${column}"`} AS ${name}`

/** Rows in the order in which they were made, where the table keeps one. */
const read = (db: DatabaseSync, select: string, table: string): Rows => {
  try {
    return db.prepare(`SELECT ${select} FROM ${table} ORDER BY rowid`).all()
  } catch {
    return db.prepare(`SELECT ${select} FROM ${table}`).all()
  }
}

const text = (value: unknown): string => value === null || value === undefined ? "" : String(value)
const textOrNull = (value: unknown): string | null => text(value) === "" ? null : text(value)
const number = (value: unknown): number => text(value).trim() === "" ? Number.NaN : Number(value)

/** A pool may be kept as its number alone. */
const poolText = (value: unknown): string => /^\d+$/.test(text(value)) ? `pool_${text(value)}` : text(value)

/** The domains, and wildcards where they have a table of their own. */
export const routesOf = (db: DatabaseSync, tables: ReadonlyMap<string, Table>): ReadonlyArray<LegacyRoute> =>
  (["domains", "wildcards"] as const).flatMap((name) => {
    const table = tables.get(name)
    const domain = find(table, "domain")
    const pool = find(table, "pool")
    if (domain === null || pool === null) return []
    const select = [
      as(domain, "domain"),
      as(pool, "pool"),
      as(find(table, "wildcard"), "wildcard"),
      as(find(table, "share"), "share")
    ].join(", ")
    return read(db, select, name).map((row): LegacyRoute => {
      const written = text(row["domain"])
      const isWildcard = name === "wildcards" || Number(row["wildcard"]) === 1
      return {
        name: isWildcard && !/^\*?\./.test(written) ? `*.${written}` : written,
        pool: poolText(row["pool"]),
        sharesWith: textOrNull(row["share"])
      }
    })
  })

/** The servers, by domain or by pool. */
export const serversOf = (db: DatabaseSync, tables: ReadonlyMap<string, Table>): ReadonlyArray<LegacyServer> => {
  const table = tables.get("servers")
  const [ip, slot, port] = [find(table, "ip"), find(table, "slot"), find(table, "port")]
  const byId = table?.has("domain_id") === true && tables.get("domains")?.has("id") === true
  const domain = byId ? null : find(table, "domain")
  const pool = find(table, "pool")
  if (ip === null || slot === null || (!byId && domain === null && pool === null)) return []
  const owner = byId
    ? `(SELECT d."${find(tables.get("domains"), "domain")}" FROM domains AS d WHERE d.id = servers.domain_id) AS domain`
    : as(domain, "domain")
  const select = [
    owner,
    as(pool, "pool"),
    as(slot, "slot"),
    as(ip, "ip"),
    as(port, "port"),
    as(find(table, "weight"), "weight"),
    as(find(table, "state"), "state")
  ].join(", ")
  return read(db, select, "servers").map((row): LegacyServer => ({
    of: textOrNull(row["pool"]) === null ? text(row["domain"]) : poolText(row["pool"]),
    slot: number(row["slot"]),
    ip: text(row["ip"]),
    port: port === null ? 80 : number(row["port"]),
    weight: row["weight"] === null ? null : number(row["weight"]),
    state: textOrNull(row["state"])
  }))
}

/** The domains that it has certificates for; null without a table of them. One without a name is an empty text. */
export const certificatesOf = (
  db: DatabaseSync,
  tables: ReadonlyMap<string, Table>
): ReadonlyArray<string> | null => {
  const table = tables.get("certificates")
  if (table === undefined) return null
  const byId = table.has("domain_id") && tables.get("domains")?.has("id") === true
  const domain = byId
    ? `(SELECT d."${
      find(tables.get("domains"), "domain")
    }" FROM domains AS d WHERE d.id = certificates.domain_id) AS domain`
    : as(find(table, "domain"), "domain")
  return read(db, domain, "certificates").map((row) => text(row["domain"]))
}
