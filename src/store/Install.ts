/**
 * The local database file, while nobody has it open: looked at, and replaced by a copy that came from elsewhere.
 *
 * Guarantees: after a crash or a power cut at any point the path holds the old database, nothing, or the whole new one, and the
 * log of one database never lies beside another. What is replaced stays as `<file>.before-<n>`, the newest {@link kept} of
 * them, with its log: an operator's way back. Fails with {@link Conflict} when another process of this machine has the
 * file, with {@link StorageFailed} when the disk does not do its part.
 */
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Conflict, StorageFailed } from "../domain/Errors.ts"
import { copyOf } from "./Copy.ts"
import { makerOf } from "./Database.ts"
import { describeOwner, isAlive, readOwner } from "./Owner.ts"
import { type Examined, examineOpen } from "./Replica.ts"

/** Replaced databases that stay. */
const kept = 5

const hint = "Check the disk and the rights of this user on the folder."

const failed = (what: string, cause: unknown): StorageFailed => {
  const { code, message } = cause as NodeJS.ErrnoException
  return new StorageFailed({ message: `Cannot ${what}: ${code ?? message}.`, hint })
}

/** What lies at a path. "none": nothing, or an empty file. */
export type ExaminedFile = Examined | { readonly kind: "none" }

/** Looks at a database file through a copy of it and of its log: the file stays as it is, whatever is wrong with it. */
export const examineFile = (file: string): Effect.Effect<ExaminedFile, StorageFailed> =>
  Effect.gen(function*() {
    const maker = yield* Effect.try({
      try: () => makerOf(file),
      catch: (cause) => failed(`read the database ${file}`, cause)
    })
    if (maker === "new") return { kind: "none" as const }
    if (maker === "no database") return { kind: "damaged" as const, why: "it is not an SQLite database" }
    if (maker !== "ours") return { kind: "foreign" as const, why: "it was made by another program" }
    const copy = yield* Effect.mapError(
      copyOf(file),
      (why) => new StorageFailed({ message: `Cannot read the database ${file}: it is ${why}.`, hint })
    )
    return yield* Effect.sync((): Examined => {
      let db: DatabaseSync | undefined
      try {
        db = new DatabaseSync(copy)
        return examineOpen(db)
      } catch (cause) {
        return { kind: "damaged", why: cause instanceof Error ? cause.message : String(cause) }
      } finally {
        db?.close()
      }
    })
  }).pipe(Effect.scoped)

const flushFolder = (path: string): void => {
  const fd = openSync(path, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Numbers of the databases that were replaced, oldest first. */
const replaced = (file: string): ReadonlyArray<number> => {
  const pattern = /^\.before-(\d+)(?:-wal)?$/
  const numbers = readdirSync(dirname(file)).flatMap((name) => {
    const match = name.startsWith(basename(file)) ? pattern.exec(name.slice(basename(file).length)) : null
    return match === null ? [] : [Number(match[1])]
  })
  return [...new Set(numbers)].sort((a, b) => a - b)
}

const replace = (file: string, bytes: Uint8Array): string | null => {
  const folder = dirname(file)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // NewDatabase.ts sweeps names of this form.
  const coming = `${file}.new-${process.pid}-${randomBytes(6).toString("hex")}`
  const earlier = replaced(file)
  const old = `${file}.before-${(earlier.at(-1) ?? 0) + 1}`
  let isKept = false
  try {
    writeFileSync(coming, bytes, { mode: 0o600, flag: "wx", flush: true })
    // The log first: one that stays behind would be played into the next database of its name.
    for (const suffix of ["-wal", ""]) {
      if (!existsSync(`${file}${suffix}`)) continue
      renameSync(`${file}${suffix}`, `${old}${suffix}`)
      isKept = true
    }
    rmSync(`${file}-shm`, { force: true })
    rmSync(`${file}-journal`, { force: true })
    if (isKept) flushFolder(folder)
    renameSync(coming, file)
    flushFolder(folder)
  } finally {
    rmSync(coming, { force: true })
  }
  for (const number of earlier.slice(0, isKept ? Math.max(0, earlier.length + 1 - kept) : 0)) {
    for (const suffix of ["-wal", ""]) rmSync(join(`${file}.before-${number}${suffix}`), { force: true })
  }
  return isKept ? old : null
}

/** Puts a whole database in place, durably; answers where the old one is kept, null when there was none. */
export const install = (
  path: string,
  bytes: Uint8Array
): Effect.Effect<string | null, StorageFailed | Conflict> =>
  Effect.suspend((): Effect.Effect<string | null, StorageFailed | Conflict> => {
    const file = resolve(path)
    const owner = readOwner(file)
    if (owner !== null && owner.pid !== process.pid && isAlive(owner.pid)) {
      return Effect.fail(
        new Conflict({
          message: `The database ${file} is held by ${describeOwner(file)}.`,
          hint: "Only one process may have it open: stop that one.",
          field: "HAPROXY_DB_FILE"
        })
      )
    }
    return Effect.try({
      try: () => replace(file, bytes),
      catch: (cause) => failed(`replace the database ${file}`, cause)
    })
  })
