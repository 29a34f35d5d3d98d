/**
 * Bearer tokens, so that they travel with the database. Of a token only its hash is here.
 *
 * - `id`: the public part of the token. `hash`: SHA-256 of the whole token, hexadecimal.
 * - `scopes`, `domains`: JSON arrays; `domains` is null for a token without that limit.
 * - Times are milliseconds since 1970; `last_used` is coarse. A revoked row stays, so that it is never good again.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export const tokens = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    domains TEXT,
    created INTEGER NOT NULL,
    expires INTEGER,
    revoked_at INTEGER,
    last_used INTEGER
  ) STRICT, WITHOUT ROWID`
})
