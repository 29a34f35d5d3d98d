/**
 * The predecessor's database at our path: read, and moved aside under `<name>.predecessor`, never written.
 *
 * Guarantees: it is read from a private copy (opening the file itself could recover its log into it); a database whose
 * tables are not recognised stays where it is and stops the start; a rename moves the others with their log, and a
 * process that is killed between two renames finishes them at its next start. Bytes and times stay as they were.
 * Taking it over is Migration.ts' work, and is repeated until it is committed.
 */
import * as Effect from "effect/Effect"
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ConfigInvalid, Conflict, type StorageFailed } from "../domain/Errors.ts"
import type { LegacyDatabase } from "../domain/Legacy.ts"
import { makerOf } from "./Database.ts"
import { resultCode, startFailure } from "./Failure.ts"
import * as Tables from "./LegacyTables.ts"

/** Files that SQLite keeps beside a database: they belong to it. */
const companions = ["-wal", "-journal", "-shm"] as const
/** No database of the predecessor comes near this: 100,000 domains are 20 MB. */
export const largest = 512 * 1024 * 1024
/** How often a file that changes while it is copied is copied again. */
const attempts = 3

const refuse = (file: string, what: string, hint: string) =>
  new ConfigInvalid({ message: `The database ${file} ${what}`, hint, field: "HAPROXY_DB_FILE" })

const stop = "Nothing was changed. Move it away to begin without it, or name another file in HAPROXY_DB_FILE."

/** Tells one state of a file and its log from another. */
const stateOf = (file: string): string =>
  ["", "-wal", "-journal"].map((end) => {
    if (!existsSync(file + end)) return "-"
    const { ino, mtimeNs, size } = statSync(file + end, { bigint: true })
    return `${ino} ${size} ${mtimeNs}`
  }).join()

/** Copies a database with its log. Throws when somebody writes to it meanwhile. */
const copyTo = (file: string, folder: string): string => {
  const copy = join(folder, basename(file))
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = stateOf(file)
    for (const end of ["", "-wal", "-journal"]) {
      rmSync(copy + end, { force: true })
      if (existsSync(file + end)) copyFileSync(file + end, copy + end, constants.COPYFILE_FICLONE)
    }
    if (stateOf(file) === before) return copy
  }
  throw new Conflict({
    message: `The database ${file} is being written by another program.`,
    hint: "Stop the Python version, then start again.",
    field: "HAPROXY_DB_FILE"
  })
}

/** What a predecessor's database says. Throws {@link ConfigInvalid} when it is not one, or cannot be read. */
export const readFrom = (file: string): LegacyDatabase => {
  if (statSync(file).size > largest) throw refuse(file, "is larger than any of the Python version.", stop)
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-legacy-"))
  try {
    const db = new DatabaseSync(copyTo(file, folder))
    try {
      const tables = Tables.tablesOf(db)
      if (!Tables.isRecognised(tables)) {
        const found = [...tables].map(([name, columns]) => `${name} (${[...columns].join(", ")})`).join("; ")
        throw refuse(
          file,
          `was made by another program: it has no table domains with a name and a pool. Its tables: ${
            found === "" ? "none" : found.slice(0, 500)
          }.`,
          stop
        )
      }
      return {
        file,
        routes: Tables.routesOf(db, tables),
        servers: Tables.serversOf(db, tables),
        certificates: Tables.certificatesOf(db, tables)
      }
    } finally {
      db.close()
    }
  } catch (cause) {
    const code = resultCode(cause)
    if (code === null) throw cause
    throw refuse(file, `was made by another program and cannot be read (SQLite code ${code}).`, stop)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Where links lead: the files that SQLite keeps lie beside that. */
const realPath = (path: string): string => {
  const file = resolve(path)
  return existsSync(file) ? realpathSync(file) : join(existingFolder(dirname(file)), basename(file))
}

const existingFolder = (folder: string): string => existsSync(folder) ? realpathSync(folder) : folder

const keptName = (file: string, index: number): string => `${file}.predecessor${index === 1 ? "" : `-${index}`}`

/** The predecessor's database that was moved aside last. */
const newestKept = (file: string): string | null => {
  let newest: string | null = null
  for (let index = 1; existsSync(keptName(file, index)); index++) newest = keptName(file, index)
  return newest
}

const syncFolder = (folder: string): void => {
  const fd = openSync(folder, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** The log follows its database; only ever while there is no database at the old name. */
const moveCompanions = (file: string, kept: string): void => {
  for (const end of companions) {
    if (existsSync(file + end) && !existsSync(kept + end)) renameSync(file + end, kept + end)
  }
  syncFolder(dirname(file))
}

const setAside = (file: string): void => {
  let index = 1
  while (existsSync(keptName(file, index))) index++
  const kept = keptName(file, index)
  renameSync(file, kept)
  syncFolder(dirname(file))
  moveCompanions(file, kept)
}

/** The file system's own words as a refusal. */
const attempt = <A>(file: string, run: () => A): Effect.Effect<A, ConfigInvalid | Conflict | StorageFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code
      return code !== undefined && /^E[A-Z]+$/.test(code)
        ? Effect.fail(refuse(file, `of the Python version cannot be moved aside or read: ${code}.`, stop))
        : startFailure(cause)
    }
  })

/**
 * Makes way for our own database at a path: a predecessor's one is moved aside. Before the path is opened; nothing
 * happens where it is ours or free.
 */
export const makeWay = (path: string): Effect.Effect<void, ConfigInvalid | Conflict | StorageFailed> =>
  attempt(path, () => {
    const file = realPath(path)
    if (!existsSync(file)) {
      const kept = newestKept(file)
      if (kept !== null) moveCompanions(file, kept)
      return
    }
    if (makerOf(file) !== "unmarked") return
    // Only what can be taken over is moved.
    readFrom(file)
    setAside(file)
  })

/** What the predecessor's database says that was moved aside from this path; null when there is none. */
export const readKept = (
  path: string
): Effect.Effect<LegacyDatabase | null, ConfigInvalid | Conflict | StorageFailed> =>
  attempt(path, () => {
    const kept = newestKept(realPath(path))
    return kept === null ? null : readFrom(kept)
  })
