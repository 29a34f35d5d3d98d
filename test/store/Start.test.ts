import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ConfigInvalid, Conflict } from "../../src/domain/Errors.ts"
import { applicationId, checkVersion, Database } from "../../src/store/Database.ts"
import { describeOwner, ownerFile } from "../../src/store/Owner.ts"
import { startNode } from "../support/Process.ts"
import {
  folder,
  name,
  ownerEdit,
  pool,
  route,
  routeEdit,
  server,
  serverEdit,
  withStore,
  write
} from "./support/Fixture.ts"

const inFolder = <A, E>(program: (path: string) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(folder, program))
const refusal = (file: string) => Effect.flip(withStore(file, () => Effect.void))
const mode = (path: string) => statSync(path).mode & 0o777

describe("the files", () => {
  it.live("are for this user only, also when they were not before", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "conf", "desired.db")
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            assert.strictEqual(mode(join(path, "conf")), 0o700)
            yield* store.commit(write(store, []))
            // The lock is exclusive: no shared memory beside the WAL.
            assert.deepStrictEqual(readdirSync(join(path, "conf")).sort(), [
              "desired.db",
              "desired.db-wal",
              "desired.db.owner"
            ])
            for (const entry of readdirSync(join(path, "conf"))) {
              assert.strictEqual(mode(join(path, "conf", entry)), 0o600, entry)
            }
          }))
        assert.deepStrictEqual(readdirSync(join(path, "conf")), ["desired.db"])
        yield* withStore(
          file,
          () => Effect.sync(() => assert.notInclude(readdirSync(join(path, "conf")), "desired.db-shm"))
        )
        chmodSync(file, 0o644)
        yield* withStore(file, () => Effect.sync(() => assert.strictEqual(mode(file), 0o600)))
      })
    ))

  it.live("are opened with the settings that durability rests on", () =>
    inFolder((path) =>
      Effect.sync(() => {
        const db = Database.open(join(path, "desired.db"))
        const pragma = (key: string) => Object.values(db.get(`PRAGMA ${key}`) ?? {})[0]
        assert.deepStrictEqual(
          ["journal_mode", "synchronous", "locking_mode", "foreign_keys", "application_id"].map(pragma),
          ["wal", 2, "exclusive", 1, applicationId]
        )
        assert.isAbove(Number(pragma("busy_timeout")), 0)
        db.close()
      })
    ))

  it("need an SQLite without the WAL-reset bug", () => {
    for (const good of ["3.51.3", "3.51.10", "3.52.0", "4.0.0"]) checkVersion(good)
    for (const bad of ["3.51.2", "3.50.9", "3.9.99", "2.99.99"]) {
      assert.throws(() => checkVersion(bad), `SQLite ${bad} can corrupt`)
    }
  })
})

describe("a database that is not ours", () => {
  const untouched = (file: string, rule: RegExp) =>
    Effect.gen(function*() {
      const directory = join(file, "..")
      const before = [readdirSync(directory), readFileSync(file)]
      const error = yield* refusal(file)
      assert.instanceOf(error, ConfigInvalid)
      assert.match(error.message, rule)
      assert.include(error.message, file)
      assert.deepStrictEqual([readdirSync(directory), readFileSync(file)], before)
    })

  it.live("is refused and left as it is, even with a WAL to recover", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "other.db")
        const other = new DatabaseSync(file)
        other.exec("PRAGMA journal_mode = WAL; CREATE TABLE domains (name TEXT); INSERT INTO domains VALUES ('x')")
        // While its program runs, and after that was killed: here the files stay as a kill leaves them.
        yield* untouched(file, /another program/)
        other.close()
        yield* untouched(file, /another program/)
      })
    ))

  it.live("nor is any other file", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "notes.txt")
        writeFileSync(file, "remember the milk\n".repeat(10))
        yield* untouched(file, /not an SQLite database/)
        writeFileSync(file, "short")
        yield* untouched(file, /not an SQLite database/)
        mkdirSync(join(path, "directory"))
        assert.match((yield* refusal(join(path, "directory"))).message, /not a regular file/)
        assert.match((yield* refusal(join(file, "below.db"))).message, /cannot be used: E/)
      })
    ))

  it.live("nor one of a newer program", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        yield* withStore(file, () => Effect.void)
        const db = new DatabaseSync(file)
        db.exec("PRAGMA user_version = 1000")
        db.close()
        const before = readFileSync(file)
        const error = yield* refusal(file)
        assert.instanceOf(error, ConfigInvalid)
        assert.match(error.message, /schema 1000/)
        assert.deepStrictEqual(readFileSync(file), before)
      })
    ))

  it.live("but an empty file is taken", () =>
    inFolder((path) => {
      writeFileSync(join(path, "desired.db"), "")
      return withStore(join(path, "desired.db"), (store) =>
        Effect.map(store.revision, (revision) => assert.strictEqual(revision, 0)))
    }))
})

describe("a database that is held", () => {
  it.live("is refused to a second store of this process, which does not disturb the first", () =>
    inFolder((path) => {
      const file = join(path, "desired.db")
      return withStore(file, (store) =>
        Effect.gen(function*() {
          const error = yield* refusal(file)
          assert.instanceOf(error, Conflict)
          assert.include(error.message, `process ${process.pid} `)
          const child = startNode(join(import.meta.dirname, "support/child.ts"), ["hold", file])
          const ended = yield* Effect.promise(() => child.ended)
          assert.include(ended.stdout, `process ${process.pid} `)
          yield* store.commit(write(store, []))
        }))
    }))

  it.live("names the process that holds it, until that has gone", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const child = startNode(join(import.meta.dirname, "support/child.ts"), ["hold", file])
        yield* Effect.promise(() => child.until("open"))
        const error = yield* refusal(file)
        assert.instanceOf(error, Conflict)
        assert.match(error.message, new RegExp(`held by process ${child.pid} \\(child.ts hold, since 20`))
        assert.isFalse(error.retryable)
        child.signal("SIGKILL")
        yield* Effect.promise(() => child.ended)
        // The note is stale now, and does not count.
        assert.include(readFileSync(ownerFile(file), "utf8"), String(child.pid))
        assert.strictEqual(describeOwner(file), "another process")
        yield* withStore(file, () =>
          Effect.sync(() => {
            const owner = JSON.parse(readFileSync(ownerFile(file), "utf8")) as Record<string, unknown>
            assert.strictEqual(owner["pid"], process.pid)
            assert.strictEqual(owner["host"], hostname())
          }))
      })
    ))
})

describe("the declared pools", () => {
  it.live("grow and shrink with the settings; a used one is never dropped", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const file = join(path, "desired.db")
        const opened = (pools: number) =>
          withStore(
            file,
            (store) => Effect.all([store.freePools(0, 100), Effect.map(store.counts, (all) => all.poolsDeclared)]),
            { pools: { pools, slots: 4 } }
          )
        yield* withStore(file, (store) =>
          store.commit(write(store, [
            ownerEdit(4, null, "a.example.com"),
            routeEdit(null, route("a.example.com", 4, 1)),
            serverEdit(null, server(4, 1))
          ])), { pools: { pools: 5, slots: 4 } })
        assert.deepStrictEqual(yield* opened(5), [[1, 2, 3, 5].map(pool), 5])
        assert.deepStrictEqual(yield* opened(2), [[1, 2].map(pool), 2])
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            assert.strictEqual(yield* store.owner(pool(4)), name("a.example.com"))
            assert.deepStrictEqual(yield* store.servers(pool(4)), [server(4, 1)])
          }), { pools: { pools: 2, slots: 4 } })
        assert.deepStrictEqual(yield* opened(7), [[1, 2, 3, 5, 6, 7].map(pool), 7])
      })
    ))
})
