/** Backups and restores in folders of all kinds: bad files, bad disks, and processes that are killed at every step. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { backupsIn, imageAtRest, makeBackup } from "../../../src/program/backup/Backup.ts"
import { exchange, refuseWhileHeld, stage } from "../../../src/program/backup/Restore.ts"
import { examineCopy } from "../../../src/store/Examination.ts"
import { add, folder, withStore } from "../../store/support/Fixture.ts"
import { notDurable, recordDiskSteps } from "../../support/DiskSteps.ts"
import { startCommand, startNode } from "../../support/Process.ts"
import { program } from "../../support/Program.ts"
import { withSmallDisk } from "../../support/SmallDisk.ts"

const helper = join(import.meta.dirname, "SmallDiskChild.ts")
const killer = join(import.meta.dirname, "../../support/KillAt.ts")
const holder = join(import.meta.dirname, "../../store/support/child.ts")

/** Every step costs a process: CI takes every other one, EVERY_STEP=1 all. A restore is killed at all of them always. */
const stride = process.env["EVERY_STEP"] === "1" ? 1 : 2

interface Place {
  readonly path: string
  readonly database: string
  readonly folder: string
}

/** A database of three domains and a folder for backups that is not there yet. */
const inPlace = <A, E>(program: (place: Place) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(folder, (path) => {
    const database = join(path, "haproxy_mcp.db")
    return Effect.andThen(grow(database, 3), program({ path, database, folder: join(path, "deep", "backups") }))
  }))

const grow = (database: string, domains: number) =>
  withStore(database, (store) =>
    Effect.gen(function*() {
      const from = yield* store.revision
      for (let n = from; n < from + domains; n++) yield* store.commit(add(store, `d${n}.example.com`))
    }))

const revisionOf = (database: string) => withStore(database, (store) => store.revision)
/** The records of its audit chain. */
const chainOf = (database: string) =>
  withStore(database, (store) => store.auditRecords({ after: 0, from: 0, limit: 1_000 }))

const now = Date.parse("2026-11-28T13:45:00Z")

const backup = ({ database, folder }: Place, at = now, keep = 0) =>
  Effect.flatMap(
    imageAtRest(database),
    (bytes) => makeBackup(bytes, { database, folder, now: at, retention: { keep, days: 0 } })
  )

const restore = (file: string, { database }: Place) =>
  Effect.scoped(
    Effect.flatMap(stage(file, database), (staged) =>
      Effect.map(exchange(staged, database, now), (kept) => ({ staged, kept })))
  )

/** Why a file is refused; the database stays and nothing is left beside it. */
const refusal = Effect.fnUntraced(function*(file: string, place: Place) {
  const before = readFileSync(place.database)
  const beside = readdirSync(place.path).sort()
  const error = yield* Effect.flip(restore(file, place))
  assert.isTrue(before.equals(readFileSync(place.database)))
  assert.deepStrictEqual(readdirSync(place.path).sort(), beside)
  return `${error._tag}: ${error.message}. ${error.hint}`
})

describe("a backup", () => {
  it.effect("is flushed before it has its name, and the name after; so is what comes back", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const run = Effect.runPromiseWith(yield* Effect.context<never>())
        let file = ""
        const made = yield* Effect.promise(() =>
          recordDiskSteps(async () => {
            file = (await run(backup(place))).file
          })
        )
        // The copy and its checksum.
        const names = made.flatMap((step) => step.what === "name" ? [step.path] : [])
        assert.includeMembers(names, [file, `${file}.sha256`])
        assert.deepStrictEqual(notDurable(made, place.folder), [])
        yield* grow(place.database, 2)
        const back = yield* Effect.promise(() => recordDiskSteps(() => run(restore(file, place))))
        assert.isTrue(back.some((step) => step.what === "name" && step.path === place.database))
        // SQLite has flushed the one that goes by itself.
        const unseen = notDurable(back, place.path).filter((text) => !/\.replaced-.*before its content/.test(text))
        assert.deepStrictEqual(unseen, [])
        // It would be seen.
        for (const steps of [made, back]) {
          const last = steps.findLastIndex(({ what }) => what === "flush")
          const without = notDurable(steps.toSpliced(last, 1), steps === made ? place.folder : place.path)
          assert.match(without.join(), /its folder was not flushed after/)
        }
      })
    ))

  it.effect("is whole, private, what its checksum says, and comes back", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const made = yield* backup(place)
        assert.strictEqual(made.file, join(place.folder, "haproxy_mcp-20261128T134500Z-r3.db"))
        assert.deepInclude(made, { revision: 3, domains: 3, removed: [], kept: 1, warnings: [] })
        assert.deepStrictEqual(readdirSync(place.folder).sort(), [
          "haproxy_mcp-20261128T134500Z-r3.db",
          "haproxy_mcp-20261128T134500Z-r3.db.sha256"
        ])
        assert.strictEqual(statSync(place.folder).mode & 0o777, 0o700)
        for (const name of readdirSync(place.folder)) {
          assert.strictEqual(statSync(join(place.folder, name)).mode & 0o777, 0o600)
        }
        const sums = spawnSync("sha256sum", ["--check", "--strict", `${made.file}.sha256`], { cwd: place.folder })
        assert.strictEqual(sums.status, 0, String(sums.stderr))

        yield* grow(place.database, 2)
        const before = yield* chainOf(place.database)
        const link = join(place.path, "newest.db")
        symlinkSync(made.file, link)
        const { kept, staged } = yield* restore(link, place)
        assert.deepInclude(staged, { file: made.file, checksum: true, at: now, sha256: made.sha256 })
        assert.deepInclude(staged.present, { revision: 5, domains: 5 })
        assert.strictEqual(kept, `${place.database}.replaced-20261128T134500Z`)
        assert.deepInclude(examineCopy(kept!), { revision: 5, damage: [], lineage: made.lineage })
        yield* withStore(place.database, (store) =>
          Effect.gen(function*() {
            assert.strictEqual(yield* store.revision, 3)
            assert.notStrictEqual(store.lineage, made.lineage, "a restored database is no continuation")
            yield* store.commit(add(store, "after.example.com"))
            const { faults } = yield* store.verifyAudit
            assert.deepStrictEqual(faults, [])
          }))
        const after = (yield* chainOf(place.database)).find(({ kind }) => kind === "replaced")!
        const { hash, seq } = before.at(-1)!
        assert.deepInclude(JSON.parse(after.payload).replaced, { revision: 5, chain: { seq, hash } })
        assert.strictEqual(statSync(place.database).mode & 0o777, 0o600)
        // The database itself is lost.
        rmSync(place.database)
        assert.isNull((yield* restore(made.file, place)).kept)
        assert.strictEqual(yield* revisionOf(place.database), 3)
        const last = (yield* chainOf(place.database)).at(-1)!
        assert.deepInclude({ kind: last.kind, ...JSON.parse(last.payload) }, { kind: "replaced", replaced: null })
      })
    ))

  it.effect("prunes its own kind only, and never the newest, also when the clock was set back", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        mkdirSync(place.folder, { recursive: true })
        const others = ["haproxy_mcp.db", "haproxy_mcp-20200101T000000Z-r1.db.old", "notes.txt"]
        for (const name of others) writeFileSync(join(place.folder, name), "mine")
        mkdirSync(join(place.folder, "haproxy_mcp-20200101T000000Z-r1.db"))
        symlinkSync("notes.txt", join(place.folder, "haproxy_mcp-20200102T000000Z-r1.db"))
        const made: Array<string> = []
        for (const hours of [0, 1, 2, 3]) made.push((yield* backup(place, now + hours * 3_600_000, 2)).file)
        assert.deepStrictEqual(made.map((file) => existsSync(file)), [false, false, true, true])
        assert.deepStrictEqual(made.map((file) => existsSync(`${file}.sha256`)), [false, false, true, true])
        const back = yield* backup(place, now - 400 * 86_400_000, 2)
        assert.isTrue(existsSync(back.file))
        assert.deepStrictEqual(back.removed, [])
        assert.include(back.warnings[0], "2 backups are from the future")
        const again = yield* backup(place, now - 400 * 86_400_000, 2)
        assert.match(again.file, /-r3-2\.db$/)
        const beside = readdirSync(place.folder)
        assert.includeMembers(beside, [
          ...others,
          "haproxy_mcp-20200101T000000Z-r1.db",
          "haproxy_mcp-20200102T000000Z-r1.db"
        ])
      })
    ))

  it.effect("of a damaged database is none, and costs none", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        yield* grow(place.database, 12)
        yield* backup(place, now, 1)
        const bytes = readFileSync(place.database)
        bytes.fill(0x5a, 4096)
        writeFileSync(place.database, bytes)
        const error = yield* Effect.flip(backup(place, now + 1000, 1))
        assert.strictEqual(error._tag, "StorageFailed")
        assert.include(error.message, "damaged")
        assert.strictEqual(backupsIn(place.folder, "haproxy_mcp").length, 1)
        assert.strictEqual(readdirSync(place.folder).length, 2)
      })
    ))

  it.effect("is made by two at once, each its own", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const bytes = yield* imageAtRest(place.database)
        const make = makeBackup(bytes, { ...place, now, retention: { keep: 0, days: 0 } })
        const made = yield* Effect.all([make, make, make], { concurrency: 3 })
        assert.strictEqual(new Set(made.map(({ file }) => file)).size, 3)
        for (const { file } of made) {
          assert.isTrue(readFileSync(`${file}.sha256`, "utf8").includes(file.split("/").at(-1)!))
        }
        assert.strictEqual(readdirSync(place.folder).length, 6)
      })
    ))

  it.effect("says what a folder is in the way of it, and needs a database", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        writeFileSync(join(place.path, "file"), "")
        const inFile = yield* Effect.flip(backup({ ...place, folder: join(place.path, "file") }))
        assert.include(inFile.message, "Cannot make a backup in")
        const none = yield* Effect.flip(backup({ ...place, database: join(place.path, "none.db") }))
        assert.strictEqual(none._tag, "NotFound")
        assert.isFalse(existsSync(join(place.path, "none.db")))
        if (process.getuid?.() !== 0) {
          mkdirSync(place.folder, { recursive: true })
          chmodSync(place.folder, 0o500)
          assert.include((yield* Effect.flip(backup(place))).message, "EACCES")
        }
        const db = new DatabaseSync(join(place.path, "theirs.db"))
        db.exec("CREATE TABLE theirs (a)")
        db.close()
        assert.include(
          (yield* Effect.flip(backup({ ...place, database: join(place.path, "theirs.db") }))).message,
          "another"
        )
      })
    ))

  it.live(
    "on a full disk says so, leaves nothing, and works when there is room",
    () =>
      inPlace((place) =>
        Effect.gen(function*() {
          const small = join(place.path, "small")
          mkdirSync(small)
          const [command, ...args] = withSmallDisk(small, 1024, [process.execPath, helper, place.database])
          const { code, stderr, stdout } = yield* Effect.promise(() =>
            startCommand(command, args, { limit: 60_000 }).ended
          )
          if (/unshare: (?:unshare|write) failed/.test(stderr)) {
            return console.warn(`SKIPPED, NOT TESTED: a full disk: ${stderr}`)
          }
          assert.strictEqual(code, 0, stderr)
          const result = JSON.parse(stdout) as { readonly value?: { readonly refused: string } }
          assert.match(JSON.stringify(result), /StorageFailed: Cannot make a backup in .*\(ENOSPC\)\. The disk is full/)
        })
      ),
    60_000
  )

  it.live(
    "that is killed at any step leaves no half one, and the next sweeps what it left",
    () =>
      inPlace((place) =>
        Effect.gen(function*() {
          yield* backup(place, now)
          const run = (step: number) =>
            startCommand(process.execPath, ["--import", killer, program, "backup", place.folder, "--keep", "2"], {
              env: { KILL_AT: String(step), HAPROXY_DB_FILE: place.database }
            }).ended
          let kills = 0
          for (let step = 1;; step += stride) {
            const { code, signal, stderr } = yield* Effect.promise(() => run(step))
            for (const { name } of backupsIn(place.folder, "haproxy_mcp")) {
              const file = join(place.folder, name)
              assert.deepInclude(examineCopy(file), { damage: [], revision: 3 })
              assert.isTrue(existsSync(`${file}.sha256`), `killed at ${step}: ${name} without its checksum`)
            }
            if (code === 0) break
            assert.strictEqual(signal, "SIGKILL", stderr)
            kills += 1
          }
          assert.isAtLeast(kills, 6)
          // Checksums of those that never got their backup go after an hour.
          for (const name of readdirSync(place.folder)) utimesSync(join(place.folder, name), 1, 1)
          yield* backup(place, now + 1000)
          const names = readdirSync(place.folder)
          const whole = backupsIn(place.folder, "haproxy_mcp").flatMap(({ name }) => [name, `${name}.sha256`])
          assert.deepStrictEqual(names.sort(), whole.sort())
          console.log(`a backup killed at ${kills} steps`)
        })
      ),
    120_000
  )
})

describe("a restore", () => {
  it.effect("takes no file that is not a whole backup of ours", () =>
    inPlace((place) =>
      Effect.gen(function*() {
        const { file } = yield* backup(place)
        const bytes = readFileSync(file)
        const write = (name: string, content: Uint8Array | string) => {
          const path = join(place.folder, name)
          writeFileSync(path, content)
          return path
        }
        const changed = (change: (copy: Buffer) => void) => {
          const copy = Buffer.from(bytes)
          change(copy)
          return copy
        }
        const none = join(place.folder, "none.db")
        assert.include(yield* refusal(none, place), `NotFound: There is no file ${none}`)
        assert.include(yield* refusal(place.folder, place), `the newest backup in it is ${file}`)
        assert.include(yield* refusal(place.path, place), "there is no backup of this database in it")
        assert.include(yield* refusal(write("empty.db", ""), place), "is empty")
        assert.include(yield* refusal("/dev/null", place), "not a regular file")
        assert.include(yield* refusal(write("text.db", "domain,pool\n".repeat(50)), place), "not an SQLite database")
        assert.include(yield* refusal(place.database, place), "is the database itself")
        const newer = changed((copy) => copy.writeInt32BE(999, 60))
        assert.include(yield* refusal(write("newer.db", newer), place), "has schema 999; this program knows")
        const torn = changed((copy) => copy.fill(0x5a, 4096, 20_480))
        assert.include(yield* refusal(write("torn.db", torn), place), "is damaged")
        const short = write("short.db", bytes)
        truncateSync(short, bytes.length - 4096)
        assert.include(yield* refusal(short, place), "is damaged")
        const theirs = new DatabaseSync(join(place.folder, "theirs.db"))
        theirs.exec("CREATE TABLE theirs (a)")
        theirs.close()
        assert.include(yield* refusal(join(place.folder, "theirs.db"), place), "of another program")
        copyFileSync(file, join(place.folder, "live.db"))
        write("live.db-wal", "a log")
        assert.include(yield* refusal(join(place.folder, "live.db"), place), "has a log beside it")
        // A backup whose bytes are no longer those of its checksum, though SQLite finds nothing.
        appendFileSync(file, Buffer.alloc(4096))
        assert.include(yield* refusal(file, place), "not what its checksum says")
        rmSync(`${file}.sha256`)
        writeFileSync(file, bytes)
        assert.isFalse((yield* restore(file, place)).staged.checksum)
      })
    ))

  it.live(
    "is refused while somebody holds the database, at the first look and at the last",
    () =>
      inPlace((place) =>
        Effect.gen(function*() {
          const { file } = yield* backup(place)
          const other = startNode(holder, ["hold", place.database])
          yield* Effect.promise(() => other.until("open"))
          const first = yield* Effect.flip(refuseWhileHeld(place.database, null))
          assert.include(first.message, `held by process ${other.pid}`)
          assert.include((yield* Effect.flip(refuseWhileHeld(place.database, 4711))).message, "Process 4711 serves")
          assert.include(yield* refusal(file, place), "Conflict: ")
          const busy = yield* Effect.flip(backup(place))
          assert.strictEqual(busy._tag, "Conflict")
          other.closeInput()
          yield* Effect.promise(() => other.ended)
          yield* refuseWhileHeld(place.database, null)
        })
      ),
    60_000
  )

  it.live(
    "that is killed at any step leaves one of the two databases, whole",
    () =>
      inPlace((place) =>
        Effect.gen(function*() {
          const { file } = yield* backup(place)
          yield* grow(place.database, 2)
          // As after a crash: the newest rows stand in the log only.
          const whole = join(place.path, "whole")
          const copy = (from: string, to: string) => spawnSync("cp", [from, to])
          yield* withStore(place.database, (store) =>
            Effect.andThen(
              store.commit(add(store, "newest.example.com")),
              Effect.sync(() => ["", "-wal"].map((end) => copy(place.database + end, whole + end)))
            ))
          const ends = new Set<number>()
          for (let step = 1;; step++) {
            for (const end of ["", "-wal"]) copyFileSync(whole + end, place.database + end)
            const { code, signal, stderr } = yield* Effect.promise(() =>
              startCommand(process.execPath, ["--import", killer, program, "restore", "--yes", file], {
                env: { KILL_AT: String(step), HAPROXY_DB_FILE: place.database, TMPDIR: place.path }
              }).ended
            )
            const revision = yield* revisionOf(place.database)
            assert.include([3, 6], revision, `killed at step ${step}`)
            ends.add(revision)
            if (code === 0) break
            assert.strictEqual(signal, "SIGKILL", stderr)
          }
          assert.deepStrictEqual([...ends].sort(), [3, 6])
          assert.deepStrictEqual(readdirSync(place.path).filter((name) => name.includes(".restore-")), [])
        })
      ),
    120_000
  )
})
