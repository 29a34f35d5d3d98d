/**
 * Copies of the database: what is in them, and how one is put in the place of another. Killed at every step:
 * test/program/backup/Backup.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Database } from "../../src/store/Database.ts"
import { examineCopy } from "../../src/store/Examination.ts"
import { schemaVersion } from "../../src/store/Migrate.ts"
import { digestOf, draftBeside, imageOf, install, newLineage, sweep, writeNew } from "../../src/store/Snapshot.ts"
import { bundledScript } from "../support/BundledScript.ts"
import { startNode } from "../support/Process.ts"
import { add, folder, name, withStore } from "./support/Fixture.ts"

const child = await bundledScript(new URL("./support/child.ts", import.meta.url))
const inFolder = <A, E>(program: (path: string) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(folder, program))

/** A database of so many domains, closed. */
const made = (file: string, domains: number, prefix = "d") =>
  withStore(file, (store) =>
    Effect.gen(function*() {
      for (let n = 0; n < domains; n++) yield* store.commit(add(store, `${prefix}${n}.example.com`))
    }))

/** An image of a database in a file of its own. */
const imageIn = (file: string, path: string) =>
  withStore(file, (store) => Effect.flatMap(store.image, ({ bytes }) => Effect.promise(() => writeNew(path, bytes))))

describe("an image", () => {
  it.effect("holds what stands in the log only, can be read without a log and says what it is", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const copy = join(path, "copy.db")
        yield* withStore(join(path, "desired.db"), (store) =>
          Effect.gen(function*() {
            yield* store.commit(add(store, "a.example.com", { changeId: "one", outcome: "pending" }))
            yield* store.settle("one", "applied")
            const { bytes, revision } = yield* store.image
            assert.strictEqual(revision, 1)
            // Settled outcomes are a commit of their own, not a revision.
            yield* Effect.promise(() => writeNew(copy, bytes))
            assert.strictEqual(digestOf(bytes), digestOf(readFileSync(copy)))
          }))
        assert.strictEqual(statSync(copy).mode & 0o777, 0o600)
        const found = examineCopy(copy)!
        assert.deepInclude(found, { damage: [], journal: "rollback", revision: 1, domains: 1, schema: schemaVersion })
        assert.deepStrictEqual(readdirSync(path).filter((entry) => entry.startsWith("copy.db-")), [])
        yield* withStore(copy, (store) =>
          Effect.gen(function*() {
            assert.strictEqual(store.lineage, found.lineage)
            assert.strictEqual((yield* store.change("one"))?.outcome, "applied")
            yield* store.commit(add(store, "b.example.com"))
          }))
        assert.strictEqual(examineCopy(copy)?.journal, "wal")
      })
    ))

  it.effect("waits for the transaction that is open, and shows no row of one that is taken back", () =>
    inFolder((path) =>
      withStore(join(path, "desired.db"), (store) =>
        Effect.gen(function*() {
          const inside = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const writing = yield* Effect.forkChild(
            store.commit(
              Effect.gen(function*() {
                yield* add(store, "half.example.com")
                yield* Deferred.succeed(inside, undefined)
                yield* Deferred.await(goOn)
                return yield* Effect.fail("no" as const)
              })
            )
          )
          yield* Deferred.await(inside)
          const copying = yield* Effect.forkChild(store.image)
          yield* Effect.yieldNow
          yield* Deferred.succeed(goOn, undefined)
          yield* Fiber.await(writing)
          const { bytes } = yield* Fiber.join(copying)
          yield* Effect.promise(() => writeNew(join(path, "copy.db"), bytes))
          assert.deepInclude(examineCopy(join(path, "copy.db")), { revision: 0, domains: 0 })
        }))
    ))

  it.effect("is refused inside a transaction", () =>
    inFolder((path) =>
      Effect.sync(() => {
        const db = Database.open(join(path, "desired.db"))
        db.exec("BEGIN")
        assert.throws(() => imageOf(db), /inside a transaction/)
        db.close()
      })
    ))
})

describe("a draft", () => {
  it.effect("is swept when its process is gone, and stays while it lives", () =>
    inFolder((path) =>
      Effect.sync(() => {
        const file = join(path, "desired.db")
        const gone = spawnSync(process.execPath, ["-e", ""]).pid
        const [dead, own] = [draftBeside(file, "snapshot", gone), draftBeside(file, "snapshot")]
        const others = [`${file}.snapshot-x`, `${file}.snapshot-${gone}`, join(path, "other.db.snapshot-1")]
        for (const draft of [dead, own, ...others]) writeFileSync(draft, "")
        sweep(file, readdirSync(path), "snapshot")
        assert.deepStrictEqual([dead, own, ...others].map((draft) => existsSync(draft)), [
          false,
          true,
          true,
          true,
          true
        ])
      })
    ))
})

describe("an installation", () => {
  it.effect("keeps the old one under a name of its own and gives the new one a life of its own", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const [file, other, draft] = [join(path, "desired.db"), join(path, "other.db"), join(path, "draft.db")]
        yield* made(file, 3)
        yield* made(other, 1, "other")
        yield* imageIn(other, draft)
        const lineage = newLineage(draft)
        assert.notStrictEqual(lineage, examineCopy(draft) === null ? lineage : examineCopy(other)!.lineage)
        assert.strictEqual(install(draft, file, ".replaced"), `${file}.replaced`)
        yield* withStore(file, (store) =>
          Effect.gen(function*() {
            assert.strictEqual(store.lineage, lineage)
            assert.isNotNull(yield* store.route(name("other0.example.com")))
            assert.isNull(yield* store.route(name("d0.example.com")))
          }))
        assert.deepInclude(examineCopy(`${file}.replaced`), { domains: 3, damage: [] })
        yield* imageIn(other, draft)
        assert.strictEqual(install(draft, file, ".replaced"), `${file}.replaced-2`)
      })
    ))

  it.effect("needs no old one, and replaces a damaged one, which it keeps with its log", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const [file, other] = [join(path, "new", "desired.db"), join(path, "other.db")]
        mkdirSync(join(path, "new"))
        yield* made(other, 1)
        const draft = join(path, "new", "draft")
        yield* imageIn(other, draft)
        assert.isNull(install(draft, file, ".replaced"))
        assert.strictEqual(examineCopy(file)?.domains, 1)
        writeFileSync(file, "no database at all, but long enough to be looked at".repeat(4))
        writeFileSync(`${file}-wal`, "its log")
        yield* imageIn(other, draft)
        assert.strictEqual(install(draft, file, ".replaced"), `${file}.replaced`)
        assert.strictEqual(readFileSync(`${file}.replaced-wal`, "utf8"), "its log")
        assert.isFalse(existsSync(`${file}-wal`))
        yield* withStore(file, (store) => Effect.map(store.counts, ({ domains }) => assert.strictEqual(domains, 1)))
      })
    ))

  it.live("is refused while a process holds the old one, and beside another program's", () =>
    inFolder((path) =>
      Effect.gen(function*() {
        const [file, draft, foreign] = [join(path, "desired.db"), join(path, "draft"), join(path, "foreign.db")]
        yield* made(file, 2)
        yield* imageIn(file, draft)
        const holder = startNode(child, ["hold", file])
        yield* Effect.promise(() => holder.until("open"))
        assert.throws(() => install(draft, file, ".replaced"), `held by process ${holder.pid}`)
        holder.closeInput()
        yield* Effect.promise(() => holder.ended)
        const db = new DatabaseSync(foreign)
        db.exec("CREATE TABLE theirs (a)")
        db.close()
        assert.throws(() => install(draft, foreign, ".replaced"), "another program")
        assert.deepStrictEqual(readdirSync(path).sort(), ["desired.db", "draft", "foreign.db"])
      })
    ))
})
