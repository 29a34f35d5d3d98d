/**
 * The local database file, while nobody has it open: looked at, and replaced by a copy that came from elsewhere.
 *
 * Guarantees: those of Snapshot.ts. What is replaced stays as `<file>.before-<n>`, the newest {@link kept} of them, with its
 * log where it had one that could not be read: an operator's way back. What is put aside because it holds what nothing else does
 * stays as `<file>.aside-<n>`, and is never removed.
 */
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, rmSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ConfigInvalid, Conflict, StorageFailed } from "../domain/Errors.ts"
import { copyOf } from "./Copy.ts"
import { makerOf } from "./Database.ts"
import { storageFailure } from "./Failure.ts"
import { type Examined, examineOpen } from "./Replica.ts"
import * as Snapshot from "./Snapshot.ts"
import { draftBeside, imageOf, sweep, writeNew } from "./Snapshot.ts"

/** Replaced databases that stay. */
const kept = 5

/** The word in the names of files that are to take the database's place. */
const draft = "coming"

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

/** The whole of a database file with its log, as one file without one (through a copy; the file stays as it is). */
export const readWhole = (file: string): Effect.Effect<Uint8Array, StorageFailed> =>
  Effect.gen(function*() {
    const copy = yield* Effect.mapError(
      copyOf(file),
      (why) => new StorageFailed({ message: `Cannot read the database ${file}: it is ${why}.`, hint })
    )
    return yield* Effect.try({
      try: () => {
        const db = new DatabaseSync(copy)
        try {
          return imageOf(db)
        } finally {
          db.close()
        }
      },
      catch: (cause) => failed(`read the database ${file}`, cause)
    })
  }).pipe(Effect.scoped)

/** How the one that goes is kept. */
export type Kept = "before" | "aside"

/** Numbers of the databases that were replaced, oldest first. */
const replaced = (file: string, as: Kept): ReadonlyArray<number> => {
  const pattern = as === "before" ? /^\.before-(\d+)(?:-wal)?$/ : /^\.aside-(\d+)(?:-wal)?$/
  const numbers = readdirSync(dirname(file)).flatMap((name) => {
    const match = name.startsWith(basename(file)) ? pattern.exec(name.slice(basename(file).length)) : null
    return match === null ? [] : [Number(match[1])]
  })
  return [...new Set(numbers)].sort((a, b) => a - b)
}

const replace = async (file: string, bytes: Uint8Array, as: Kept): Promise<string | null> => {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  sweep(file, readdirSync(dirname(file)), draft)
  const coming = draftBeside(file, draft)
  const earlier = replaced(file, as)
  try {
    await writeNew(coming, bytes)
    const old = Snapshot.install(coming, file, `.${as}-${(earlier.at(-1) ?? 0) + 1}`)
    for (
      const number of old === null || as === "aside"
        ? []
        : earlier.slice(0, Math.max(0, earlier.length + 1 - kept))
    ) {
      for (const suffix of ["-wal", ""]) rmSync(`${file}.before-${number}${suffix}`, { force: true })
    }
    return old
  } finally {
    rmSync(coming, { force: true })
  }
}

/** Puts a whole database in place, durably; answers where the old one is kept, null when there was none. */
export const install = (
  path: string,
  bytes: Uint8Array,
  as: Kept = "before"
): Effect.Effect<string | null, StorageFailed | Conflict | ConfigInvalid> => {
  const file = resolve(path)
  return Effect.uninterruptible(Effect.tryPromise({
    try: () => replace(file, bytes, as),
    catch: (cause) =>
      cause instanceof Conflict || cause instanceof ConfigInvalid
        ? cause
        : storageFailure(`replace the database ${file}`, cause) ?? failed(`replace the database ${file}`, cause)
  }))
}
