/**
 * Brings a database to the schema of this program. The number of the last migration is kept in
 * `PRAGMA user_version`, where an older program finds it before it touches anything and refuses.
 * A migration that has been released is never edited; the next one is added below it.
 */
import * as Effect from "effect/Effect"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { ConfigInvalid } from "../domain/Errors.ts"
import type { Database } from "./Database.ts"
import { attempt, storageFailure } from "./Failure.ts"
import { desiredState } from "./migrations/0001_desired_state.ts"
import { certificates } from "./migrations/0002_certificates.ts"
import { lives } from "./migrations/0003_lives.ts"
import { tokens } from "./migrations/0004_tokens.ts"
import { audit } from "./migrations/0005_audit.ts"
import * as Sqlite from "./Sqlite.ts"

/** The schema that this program reads and writes. */
export const schemaVersion = 5

const migrations = {
  "0001_desired_state": desiredState,
  "0002_certificates": certificates,
  "0003_lives": lives,
  "0004_tokens": tokens,
  "0005_audit": audit
}

/** Sets `user_version` inside the migrations' own transaction: both are there, or neither. */
const stamped = Object.fromEntries(
  Object.entries(migrations).map(([name, migration]) => [
    name,
    Effect.andThen(
      migration,
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(`PRAGMA user_version = ${Number.parseInt(name, 10)}`))
    )
  ])
)

/** Finds the file's own error under the wrappings of the migrator. */
const rootCause = (error: unknown): unknown => {
  let cause = error
  while (typeof cause === "object" && cause !== null && !("errcode" in cause)) {
    if ("reason" in cause && typeof cause.reason === "object") cause = cause.reason
    else if ("cause" in cause && cause.cause !== undefined) cause = cause.cause
    else if ("errno" in cause) return { errcode: cause.errno }
    else return error
  }
  return cause
}

/** Runs the migrations that are missing; refuses a database of a newer program. */
export const migrate = Effect.fnUntraced(function*(db: Database) {
  const version = yield* attempt("read the schema", () => Number(db.get("PRAGMA user_version")?.["user_version"]))
  if (version > schemaVersion) {
    return yield* new ConfigInvalid({
      message: `The database ${db.file} has schema ${version}; this program knows ${schemaVersion}.`,
      hint: "It was left as it is. Run the newer program that made it, or restore an older copy.",
      field: "HAPROXY_DB_FILE"
    })
  }
  if (version === schemaVersion) return
  yield* Migrator.make({})({ loader: Migrator.fromRecord(stamped), table: "migrations" }).pipe(
    Effect.provide(Sqlite.layer(db)),
    Effect.catch((error) => {
      const failure = storageFailure("migrate the database", rootCause(error))
      return failure === null ? Effect.die(error) : Effect.fail(failure)
    })
  )
})
