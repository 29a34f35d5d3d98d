/**
 * The first schema.
 *
 * - `meta`: one row. `commits` grows with every commit that writes, `revision` with every one that holds a change;
 *   `next_seq` is the age that the next route gets.
 * - `routes`: names and their pools. Wildcards are `*.…`, which sorts before every exact name.
 * - `pools`: the declared ones 1..N and those made beyond; free without an owner. `routes` counts the names that
 *   lead there, so that the answer does not depend on their number.
 * - `servers`: the occupied slots.
 * - `changes`: the log. `edits` holds rows before and after (EditJson.ts), so each change can be taken back.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export const desiredState = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    lineage TEXT NOT NULL,
    commits INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    next_seq INTEGER NOT NULL
  ) STRICT`
  yield* sql`CREATE TABLE pools (
    pool INTEGER PRIMARY KEY,
    declared INTEGER NOT NULL CHECK (declared IN (0, 1)),
    owner TEXT,
    routes INTEGER NOT NULL DEFAULT 0 CHECK (routes >= 0)
  ) STRICT`
  yield* sql`CREATE INDEX pools_free ON pools (pool) WHERE owner IS NULL AND declared = 1`
  yield* sql`CREATE TABLE routes (
    name TEXT PRIMARY KEY,
    pool INTEGER NOT NULL REFERENCES pools (pool),
    implicit INTEGER NOT NULL CHECK (implicit IN (0, 1)),
    seq INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`
  yield* sql`CREATE INDEX routes_pool ON routes (pool, seq)`
  yield* sql`CREATE TABLE servers (
    pool INTEGER NOT NULL REFERENCES pools (pool),
    slot INTEGER NOT NULL,
    ip TEXT NOT NULL,
    port INTEGER NOT NULL,
    weight INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('ready', 'drain', 'maint')),
    PRIMARY KEY (pool, slot)
  ) STRICT, WITHOUT ROWID`
  yield* sql`CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    change_id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    via TEXT NOT NULL,
    who TEXT NOT NULL,
    request_id TEXT NOT NULL,
    tool TEXT NOT NULL,
    summary TEXT NOT NULL,
    edits TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('pending', 'applied', 'reverted', 'unknown'))
  ) STRICT`
  yield* sql`CREATE INDEX changes_pending ON changes (id) WHERE outcome = 'pending'`
  yield* sql`INSERT INTO meta (id, lineage, commits, revision, next_seq) VALUES (1, ${crypto.randomUUID()}, 0, 0, 1)`
})
