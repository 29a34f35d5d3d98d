/**
 * The predecessor's database on HAProxy's host, when that is another one: fetched with its log into a private folder of
 * this machine, and read there as one of our own disk is (Legacy.ts).
 *
 * Guarantees: nothing is changed on that host. Files that change while they are fetched are fetched again, and a writer
 * that goes on is refused. A copy of our own database, or another program's, is none of the predecessor's.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { type Disk, DiskError } from "../domain/Disk.ts"
import { ConfigInvalid, Conflict, type FileFailure, RemoteUnreachable } from "../domain/Errors.ts"
import type { LegacyDatabase } from "../domain/Legacy.ts"
import { makerOf } from "./Database.ts"
import { startFailure } from "./Failure.ts"
import { largest, readFrom } from "./Legacy.ts"

/** The database and what SQLite needs beside it. */
const parts = ["", "-wal", "-journal"] as const
/** How often files that change meanwhile are fetched again. */
const attempts = 3

/**
 * Where it may lie, with its companions: at its path, or where it was kept when a copy of our own came there
 * (remote/Exposed.ts), which has none.
 */
const candidates = (file: string): ReadonlyArray<ReadonlyArray<string>> => [
  parts.map((part) => file + part),
  [`${file}.before`, ...parts.slice(1).map((part) => file + part)]
]

const stateOf = async (disk: Disk, files: ReadonlyArray<string>): Promise<string> => {
  const stats = await Promise.all(files.map((file) => disk.stat(file)))
  return stats.map((found) => found === null ? "-" : `${found.size} ${found.mtimeNs} ${found.ino}`).join()
}

/** Fetches the files; false when there is nothing. */
const fetch = async (disk: Disk, files: ReadonlyArray<string>, copy: string): Promise<boolean> => {
  const file = files[0]!
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = await stateOf(disk, files)
    if ((await disk.stat(file))?.kind !== "file") return false
    for (const [index, part] of parts.entries()) {
      rmSync(copy + part, { force: true })
      const bytes = await disk.readFile(files[index]!, largest)
      if (bytes !== null) writeFileSync(copy + part, bytes, { mode: 0o600 })
    }
    if (await stateOf(disk, files) === before) return true
  }
  throw new Conflict({
    message: `The database ${file} on HAProxy's host is being written by another program.`,
    hint: "Stop the Python version there, then start again.",
    field: "HAPROXY_REMOTE_DB_FILE"
  })
}

const read = async (disk: Disk, file: string): Promise<LegacyDatabase | null> => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-legacy-"))
  try {
    const copy = join(folder, basename(file))
    for (const files of candidates(file)) {
      if (await fetch(disk, files, copy) && makerOf(copy) === "unmarked") return { ...readFrom(copy), file: files[0]! }
    }
    return null
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

type Failure = ConfigInvalid | Conflict | FileFailure

const failureOf = (file: string, cause: unknown): Effect.Effect<never, Failure> => {
  if (cause instanceof RemoteUnreachable) return Effect.fail(cause)
  if (!(cause instanceof DiskError)) return startFailure(cause)
  return Effect.fail(
    new ConfigInvalid({
      message: `The database ${file} on HAProxy's host cannot be read (${cause.code})`,
      hint: "Let the SSH user read it, or move it away to begin without it.",
      field: "HAPROXY_REMOTE_DB_FILE"
    })
  )
}

/** What the predecessor's database at a path of a host says; null when there is none. */
export const readFar = (disk: Disk, file: string): Effect.Effect<LegacyDatabase | null, Failure> =>
  Effect.tryPromise({ try: () => read(disk, file), catch: (cause) => cause }).pipe(
    Effect.catch((cause) => failureOf(file, cause))
  )
