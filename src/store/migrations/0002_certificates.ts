/**
 * Certificates: what is known of each, and when it is tried again. The certificates themselves are files, and their
 * keys are nowhere but there.
 *
 * - `name`: the file without `.pem`. `names` is a JSON array of DNS names.
 * - `state`: `issuing` until the first file is there; its facts are empty then.
 * - Times are milliseconds since 1970.
 */
import * as Effect from "effect/Effect"
import * as SqlClient from "effect/sql/SqlClient"

export const certificates = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE certificates (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL CHECK (source IN ('acme', 'file')),
    state TEXT NOT NULL CHECK (state IN ('issuing', 'active')),
    names TEXT NOT NULL,
    issuer TEXT NOT NULL,
    serial TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    sha1 TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    key_type TEXT NOT NULL,
    chain INTEGER NOT NULL,
    renew_at INTEGER,
    next_attempt INTEGER,
    failures INTEGER NOT NULL DEFAULT 0,
    last_error TEXT
  ) STRICT, WITHOUT ROWID`
})
