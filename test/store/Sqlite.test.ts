import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as SqlClient from "effect/sql/SqlClient"
import { join } from "node:path"
import { Database } from "../../src/store/Database.ts"
import * as Sqlite from "../../src/store/Sqlite.ts"
import { folder } from "./support/Fixture.ts"

const withSql = <A, E>(program: (sql: SqlClient.SqlClient, db: Database) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.gen(function*() {
    const db = Database.open(join(yield* folder, "plain.db"))
    yield* Effect.addFinalizer(() => Effect.sync(() => db.close()))
    db.exec("CREATE TABLE parent (id INTEGER PRIMARY KEY) STRICT")
    db.exec("CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER UNIQUE, p INTEGER REFERENCES parent (id)) STRICT")
    return yield* Effect.flatMap(SqlClient.SqlClient, (sql) => program(sql, db)).pipe(Effect.provide(Sqlite.layer(db)))
  }))

describe("the driver for effect/sql", () => {
  it.live("gives rows as plain objects", () =>
    withSql((sql) =>
      Effect.gen(function*() {
        yield* sql`INSERT INTO t ${sql.insert({ id: "a", n: 1 })}`
        const rows = yield* sql<{ id: string }>`SELECT id, n, p FROM t WHERE id = ${"a"}`
        assert.deepStrictEqual(rows, [{ id: "a", n: 1, p: null }] as never)
        assert.strictEqual(Object.getPrototypeOf(rows[0]), Object.prototype)
        assert.deepStrictEqual(yield* sql`SELECT id, n FROM t`.values, [["a", 1]])
      })
    ))

  it.live("tells broken constraints and bad statements apart", () =>
    withSql((sql) =>
      Effect.gen(function*() {
        yield* sql`INSERT INTO t (id, n) VALUES ('a', 1)`
        const reason = <A, E extends { readonly reason: unknown }, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.map(Effect.flip(effect), (error) => error.reason as { readonly _tag: string; constraint?: string })
        const primary = yield* reason(sql`INSERT INTO t (id, n) VALUES ('a', 2)`)
        assert.strictEqual(primary._tag, "UniqueViolation")
        assert.strictEqual(primary.constraint, "t.id")
        const unique = yield* reason(sql`INSERT INTO t (id, n) VALUES ('b', 1)`)
        assert.strictEqual(unique._tag, "UniqueViolation")
        assert.strictEqual(unique.constraint, "t.n")
        assert.strictEqual((yield* reason(sql`INSERT INTO t (id, p) VALUES ('c', 9)`))._tag, "ConstraintError")
        assert.strictEqual((yield* reason(sql`SELEC`))._tag, "UnknownError")
      })
    ))

  it.live("does not keep a statement that could not be prepared", () =>
    withSql((sql) =>
      Effect.gen(function*() {
        const query = sql`SELECT * FROM later`
        assert.isTrue(Exit.isFailure(yield* Effect.exit(query)))
        yield* sql`CREATE TABLE later (x INTEGER) STRICT`
        assert.deepStrictEqual(yield* query, [])
      })
    ))

  it.live("keeps what a transaction did, without what its savepoint took back", () =>
    withSql((sql, db) =>
      Effect.gen(function*() {
        yield* sql.withTransaction(Effect.gen(function*() {
          assert.isTrue(db.isTransaction)
          yield* sql`INSERT INTO t (id) VALUES ('kept')`
          yield* Effect.exit(sql.withTransaction(Effect.andThen(
            sql`INSERT INTO t (id) VALUES ('undone')`,
            Effect.fail("no")
          )))
        }))
        yield* Effect.exit(sql.withTransaction(Effect.andThen(
          sql`INSERT INTO t (id) VALUES ('rolled back')`,
          Effect.fail("no")
        )))
        assert.isFalse(db.isTransaction)
        assert.deepStrictEqual(yield* sql`SELECT id FROM t`.values, [["kept"]])
      })
    ))
})
