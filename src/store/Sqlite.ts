/**
 * A driver of effect/sql on `node:sqlite`, in the shape of @effect/sql-sqlite-node (which has no release for this
 * version of Effect), so that it can be swapped in later.
 *
 * Guarantees: `BEGIN IMMEDIATE`, one connection behind one permit, rows as plain objects, broken unique and primary
 * keys as `UniqueViolation`. Used where SQL is rare and its form matters (migrations). The store's own statements
 * take {@link Database} directly: a statement through effect/sql costs 5 to 20 µs, one there about 1 µs, and the
 * savepoint of each write is on the hot path.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import type { SqlErrorReason } from "effect/sql/SqlError"
import { classifySqliteError, SqlError, UniqueViolation } from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type { Database, Value } from "./Database.ts"
import { resultCode } from "./Failure.ts"

/** SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE and _ROWID (sqlite.org/rescode.html). */
const uniqueCodes = new Set([1555, 2067, 2579])

const classify = (cause: unknown): SqlErrorReason => {
  const code = resultCode(cause)
  const message = cause instanceof Error ? cause.message : String(cause)
  if (code !== null && uniqueCodes.has(code)) {
    const constraint = message.slice(message.indexOf(":") + 1).trim()
    return new UniqueViolation({ cause, message, operation: "execute", constraint })
  }
  // `node:sqlite` names its code `errcode`; Effect's classifier looks for `errno`.
  return classifySqliteError(code === null ? cause : { errno: code, message, cause }, {
    message,
    operation: "execute"
  })
}

const attempt = <A>(run: () => A): Effect.Effect<A, SqlError> =>
  Effect.try({ try: run, catch: (cause) => new SqlError({ reason: classify(cause) }) })

const connection = (db: Database): SqlConnection.Connection => {
  const execute: SqlConnection.Connection["execute"] = (sql, params, transformRows) =>
    attempt(() => {
      const rows = db.all(sql, ...params as ReadonlyArray<Value>).map((row) => ({ ...row }))
      return transformRows === undefined ? rows : transformRows(rows)
    })
  const values: SqlConnection.Connection["executeValues"] = (sql, params) =>
    attempt(() => db.all(sql, ...params as ReadonlyArray<Value>).map((row) => Object.values(row)))
  return {
    execute,
    executeUnprepared: execute,
    executeRaw: (sql, params) => attempt(() => db.all(sql, ...params as ReadonlyArray<Value>)),
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: () => Stream.die(new Error("streams are not needed on a synchronous, in-process database"))
  }
}

/** The client of an open database. Not to be used while a transaction of Transactions.ts is open. */
export const make = (db: Database): Effect.Effect<SqlClient.SqlClient, never, Reactivity.Reactivity> =>
  SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connection(db)),
      semaphore: Semaphore.makeUnsafe(1),
      isTransaction: () => db.isTransaction
    }),
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    spanAttributes: [["db.system.name", "sqlite"]],
    beginTransaction: "BEGIN IMMEDIATE",
    prepareTransactionControls: true,
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`
  })

/** {@link make} as a layer. */
export const layer = (db: Database): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(SqlClient.SqlClient, make(db)).pipe(Layer.provide(Reactivity.layer))
