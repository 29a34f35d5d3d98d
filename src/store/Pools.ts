/** The pools and who owns them: declared rows 1..N, of which those without an owner are free. */
import type { PoolLimits, PoolNumber } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Database } from "./Database.ts"
import * as Lives from "./Lives.ts"
import { readMeta } from "./Transaction.ts"

export const owner = (db: Database, pool: PoolNumber): RouteName | null =>
  (db.get("SELECT owner FROM pools WHERE pool = ?", pool)?.["owner"] ?? null) as RouteName | null

export const owners = (db: Database, pools: ReadonlyArray<PoolNumber>): ReadonlyMap<PoolNumber, RouteName> =>
  new Map(
    db.arrays(
      "SELECT pool, owner FROM pools WHERE pool IN (SELECT value FROM json_each(?)) AND owner IS NOT NULL",
      JSON.stringify(pools)
    ).map(([pool, owner]) => [pool as PoolNumber, owner as RouteName])
  )

export const allOwners = (db: Database): ReadonlyMap<PoolNumber, RouteName> =>
  new Map(
    db.arrays("SELECT pool, owner FROM pools WHERE owner IS NOT NULL")
      .map(([pool, owner]) => [pool as PoolNumber, owner as RouteName])
  )

/**
 * A pool without an owner may hold servers: those of a name that a migration had to leave as it was. It is not free.
 * INDEXED BY: the planner must not walk over the used pools by their number.
 */
export const free = (db: Database, after: number, limit: number): ReadonlyArray<PoolNumber> =>
  db.all(
    `SELECT pool FROM pools INDEXED BY pools_free
      WHERE owner IS NULL AND declared = 1 AND pool > ?
        AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.pool = pools.pool)
      ORDER BY pool LIMIT ?+0`,
    after,
    limit
  ).map((row) => row["pool"] as PoolNumber)

/** What the settings no longer cover, though it is in use: kept, never dropped. */
export interface Overhang {
  /** Used pools with a number above the declared ones. */
  readonly pools: number
  /** Servers in slots above the declared ones. */
  readonly servers: number
}

/**
 * Makes the declared pools 1..N exist and forgets the free ones beyond. One transaction; on a database that had pools it
 * counts as a commit of `life`, because copies of what was there before are not equal to it.
 */
export const declare = (db: Database, limits: PoolLimits, life: string): Overhang => {
  const [lowest, highest] = [
    Number(db.get("SELECT count(*) AS n FROM pools WHERE declared = 1")?.["n"]),
    Number(db.get("SELECT coalesce(max(pool), 0) AS n FROM pools WHERE declared = 1")?.["n"])
  ]
  if (lowest !== limits.pools || highest !== limits.pools) {
    db.exec("BEGIN IMMEDIATE")
    try {
      const isNew = db.get("SELECT 1 FROM pools LIMIT 1") === undefined
      db.run(
        `WITH RECURSIVE n (pool) AS (SELECT 1 WHERE ?1 >= 1 UNION ALL SELECT pool + 1 FROM n WHERE pool < ?1)
          INSERT INTO pools (pool, declared) SELECT pool, 1 FROM n WHERE true
          ON CONFLICT (pool) DO UPDATE SET declared = 1 WHERE declared = 0`,
        limits.pools
      )
      db.run("UPDATE pools SET declared = 0 WHERE declared = 1 AND pool > ?", limits.pools)
      db.run(
        `DELETE FROM pools WHERE declared = 0 AND owner IS NULL AND routes = 0
          AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.pool = pools.pool)`
      )
      if (!isNew) {
        db.run("UPDATE meta SET commits = commits + 1 WHERE id = 1")
        Lives.begin(db, life, readMeta(db).commits)
      }
      db.exec("COMMIT")
    } catch (cause) {
      if (db.isTransaction) db.exec("ROLLBACK")
      throw cause
    }
  }
  return {
    pools: Number(db.get("SELECT count(*) AS n FROM pools WHERE pool > ?", limits.pools)?.["n"]),
    servers: Number(db.get("SELECT count(*) AS n FROM servers WHERE slot > ?", limits.slots)?.["n"])
  }
}
