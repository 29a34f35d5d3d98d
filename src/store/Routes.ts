/** Queries over the routed names. Each is a bounded walk of an index, except `all` and a search. */
import type { Route } from "../domain/Change.ts"
import type { PoolNumber, Server } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Columns, Database, Row } from "./Database.ts"
import { rank } from "./Nearest.ts"

/** Which routes to list. Sorted by name. */
export interface RouteQuery {
  /** Part of the name, case-insensitive; no wildcards of SQL. */
  readonly search?: string
  /** Only names that begin so, in lower case: a range of the key. */
  readonly prefix?: string
  readonly includeWildcards: boolean
  /** Only these names, and those below `*.example.com`. */
  readonly within?: ReadonlyArray<string>
  /** Names after this one. */
  readonly after?: RouteName
  readonly limit: number
}

/** Some routes with what belongs to their pools. */
export interface RoutePage {
  readonly routes: ReadonlyArray<{ readonly route: Route; readonly owner: RouteName | null }>
  readonly servers: ReadonlyArray<Server>
}

/** A row of `name, pool, implicit, seq`. */
const toRoute = ([name, pool, implicit, seq]: Columns): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: implicit === 1,
  seq: seq as number
})

/** Every wildcard (`*.…`) sorts before this, every exact name after it. */
const afterWildcards = "*/"

export const find = (db: Database, name: RouteName): Route | null => {
  const [row] = db.arrays("SELECT name, pool, implicit, seq FROM routes WHERE name = ?", name)
  return row === undefined ? null : toRoute(row)
}

/** Sorts after every name that begins as the text before it. */
const last = "\u007f"

/** All names that begin with a prefix lie between these two. */
const rangeOf = (prefix: string): readonly [after: string, before: string] => {
  const end = prefix.length - 1
  return prefix === ""
    ? ["", last]
    : [prefix.slice(0, end) + String.fromCharCode(prefix.charCodeAt(end) - 1) + last, prefix + last]
}

/** The rows that a query asks for, with these columns and from `routes` with what is joined to it. */
const select = (db: Database, columns: string, from: string, query: RouteQuery): ReadonlyArray<Columns> => {
  const [start, end] = rangeOf(query.prefix ?? "")
  const after = query.after !== undefined && query.after > start ? query.after : start
  const first = query.includeWildcards || after > afterWildcards ? after : afterWildcards
  if (query.within !== undefined) {
    // GLOB knows `*` alone of what a name may hold.
    return db.arrays(
      `SELECT ${columns} FROM ${from} WHERE name > ? AND name < ? AND instr(name, ?) > 0
       AND EXISTS (SELECT 1 FROM json_each(?) WHERE name GLOB value) ORDER BY name LIMIT ?+0`,
      first,
      end,
      query.search?.toLowerCase() ?? "",
      JSON.stringify(query.within),
      query.limit
    )
  }
  return query.search === undefined || query.search === ""
    ? db.arrays(
      `SELECT ${columns} FROM ${from} WHERE name > ? AND name < ? ORDER BY name LIMIT ?+0`,
      first,
      end,
      query.limit
    )
    : db.arrays(
      `SELECT ${columns} FROM ${from} WHERE name > ? AND name < ? AND instr(name, ?) > 0 ORDER BY name LIMIT ?+0`,
      first,
      end,
      // Names are lower case ASCII.
      query.search.toLowerCase(),
      query.limit
    )
}

export const list = (db: Database, query: RouteQuery): ReadonlyArray<Route> =>
  select(db, "name, pool, implicit, seq", "routes", query).map(toRoute)

/** {@link list} with the owners of the pools: looked up by their key, row by row, not by a statement of its own. */
export const listOwned = (
  db: Database,
  query: RouteQuery
): ReadonlyArray<{ readonly route: Route; readonly owner: RouteName | null }> =>
  select(db, "name, routes.pool, implicit, seq, owner", "routes LEFT JOIN pools ON pools.pool = routes.pool", query)
    .map((row) => ({ route: toRoute(row), owner: row[4] as RouteName | null }))

/** Neighbours in the order of names to look at on each side. */
const neighbours = 32

/**
 * Names like the given one: its neighbours in name order (they share its beginning), the names above it, and its
 * own name as a wildcard; the most similar first.
 */
export const nearest = (db: Database, name: string, limit: number): ReadonlyArray<RouteName> => {
  const text = name.toLowerCase().slice(0, 253)
  const found = new Set<string>()
  const take = (rows: ReadonlyArray<Row>) => {
    for (const row of rows) found.add(row["name"] as string)
  }
  const bare = text.replace(/^(\*?\.|www\.)/, "")
  for (const from of new Set([text, bare, `*.${bare}`])) {
    take(db.all("SELECT name FROM routes WHERE name >= ? ORDER BY name LIMIT ?+0", from, neighbours))
    take(db.all("SELECT name FROM routes WHERE name < ? ORDER BY name DESC LIMIT ?+0", from, neighbours))
  }
  for (let rest = bare; rest.includes("."); rest = rest.slice(rest.indexOf(".") + 1)) {
    for (const above of [rest, `*.${rest}`, `www.${rest}`]) {
      take(db.all("SELECT name FROM routes WHERE name = ?", above))
    }
  }
  found.delete(text)
  return rank(text, [...found]).slice(0, limit) as Array<RouteName>
}

export const ofPool = (db: Database, pool: PoolNumber, limit: number): ReadonlyArray<Route> =>
  db.arrays("SELECT name, pool, implicit, seq FROM routes WHERE pool = ? ORDER BY seq LIMIT ?+0", pool, limit).map(
    toRoute
  )

export const countOfPool = (db: Database, pool: PoolNumber): number =>
  Number(db.get("SELECT routes FROM pools WHERE pool = ?", pool)?.["routes"] ?? 0)

/** How many names are among these. */
export const countWithin = (db: Database, names: ReadonlyArray<string>) => {
  const row = db.get(
    `SELECT count(*) AS total, count(*) FILTER (WHERE name > '*/') AS exact FROM routes
     WHERE EXISTS (SELECT 1 FROM json_each(?) WHERE name GLOB value)`,
    JSON.stringify(names)
  )
  const [total, exact] = [Number(row?.["total"] ?? 0), Number(row?.["exact"] ?? 0)]
  return { domains: exact, wildcards: total - exact }
}

export const all = (db: Database): ReadonlyArray<Route> =>
  db.arrays("SELECT name, pool, implicit, seq FROM routes").map(toRoute)
