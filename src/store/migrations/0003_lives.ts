/**
 * Who wrote when, so that of two copies of this database it can be told whether one came out of the other
 * (domain/Lineage.ts).
 *
 * - `life`: random, one for each process that committed (and for each time that its connection had to be made anew).
 * - `first_commit`: `meta.commits` of its first commit. The time before this table is one life.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export const lives = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE lives (
    id INTEGER PRIMARY KEY,
    life TEXT NOT NULL,
    first_commit INTEGER NOT NULL
  ) STRICT`
  yield* sql`INSERT INTO lives (life, first_commit) VALUES (${crypto.randomUUID()}, 0)`
})
