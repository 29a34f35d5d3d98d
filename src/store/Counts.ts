/**
 * Numbers of rows, kept in memory: counting 100,000 rows for every health probe would not do. Counted once when the
 * file is opened, then moved by what each commit edited.
 */
import type { Edit } from "../domain/Change.ts"
import { isWildcard } from "../domain/RouteName.ts"
import type { Database } from "./Database.ts"

/** Numbers of rows, or differences of them. */
export interface Tally {
  readonly domains: number
  readonly wildcards: number
  readonly poolsUsed: number
  readonly servers: number
}

/** No rows. */
export const zero: Tally = { domains: 0, wildcards: 0, poolsUsed: 0, servers: 0 }

/** The sum of two. */
export const add = (a: Tally, b: Tally): Tally => ({
  domains: a.domains + b.domains,
  wildcards: a.wildcards + b.wildcards,
  poolsUsed: a.poolsUsed + b.poolsUsed,
  servers: a.servers + b.servers
})

/** What edits add and take away. */
export const ofEdits = (edits: ReadonlyArray<Edit>): Tally => {
  let { domains, poolsUsed, servers, wildcards } = zero
  for (const edit of edits) {
    const step = (edit.after === null ? 0 : 1) - (edit.before === null ? 0 : 1)
    if (edit.kind === "server") servers += step
    else if (edit.kind === "owner") poolsUsed += step
    else if (isWildcard(edit.name)) wildcards += step
    else domains += step
  }
  return { domains, wildcards, poolsUsed, servers }
}

/** Counts the rows. */
export const countRows = (db: Database): Tally => {
  const number = (sql: string) => Number(db.get(sql)?.["n"])
  const routes = number("SELECT count(*) AS n FROM routes")
  const wildcards = number("SELECT count(*) AS n FROM routes WHERE name < '*/'")
  return {
    domains: routes - wildcards,
    wildcards,
    poolsUsed: number("SELECT count(*) AS n FROM pools WHERE owner IS NOT NULL"),
    servers: number("SELECT count(*) AS n FROM servers")
  }
}
