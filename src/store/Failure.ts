/**
 * What can go wrong with the database file, in words an operator can act on.
 *
 * SQLite's result codes of the disk (full, read-only, I/O error, corrupt, locked, out of memory) become
 * {@link StorageFailed}. Anything else that SQLite says (a syntax error, a broken constraint) is a mistake of
 * ours and stays a defect. Codes: sqlite.org/rescode.html; `node:sqlite` gives the extended one as `errcode`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { ConfigInvalid, Conflict, StorageFailed } from "../domain/Errors.ts"

/** The commit's fate is not known: the disk failed under it and the file could not be compared afterwards. */
export class CommitUncertain extends Schema.TaggedError<CommitUncertain>()("CommitUncertain", {
  message: Schema.String
}) {}

/** The primary result codes that speak of the file or the machine, not of the statement. */
const causes = new Map<number, { readonly what: string; readonly hint: string }>([
  [5, { what: "the database is locked", hint: "Another process has the database open: stop it, or ask it instead." }],
  [6, { what: "the database is locked", hint: "Another process has the database open: stop it, or ask it instead." }],
  [7, { what: "out of memory", hint: "Give the process more memory." }],
  [8, {
    what: "the database is read-only",
    hint:
      "Make the database file and its directory writable for this user, and check that the disk is not mounted read-only."
  }],
  [9, { what: "the statement was interrupted", hint: "Repeat the call." }],
  [10, {
    what: "the disk reported an I/O error",
    hint: "Check the disk and the kernel log; if it persists, restore the database on a healthy disk."
  }],
  [11, {
    what: "the database file is damaged",
    hint: "Stop the control plane and restore the newest good copy of the database."
  }],
  [13, { what: "the disk is full", hint: "Free space on the disk that holds the database, then repeat the call." }],
  [14, {
    what: "the database file cannot be opened",
    hint: "Check that the path exists and that this user may read and write the file and its directory."
  }],
  [15, {
    what: "the file locking protocol failed",
    hint: "Keep the database on a local disk, not on a network share."
  }],
  [22, { what: "the file system lacks a needed feature", hint: "Keep the database on a local disk." }],
  [26, {
    what: "the file is not a database",
    hint: "Stop the control plane and restore the newest good copy of the database."
  }]
])

/** SQLite's extended result code of a thrown value, or null when SQLite did not throw it. */
export const resultCode = (cause: unknown): number | null =>
  typeof cause === "object" && cause !== null && "errcode" in cause && typeof cause.errcode === "number"
    ? cause.errcode
    : null

/** Is it SQLITE_BUSY in any of its forms: another connection holds the lock? */
export const isBusy = (cause: unknown): boolean => ((resultCode(cause) ?? 0) & 0xff) === 5

/** The typed failure of a thrown value; null for a defect. `operation` completes "Cannot …". */
export const storageFailure = (operation: string, cause: unknown): StorageFailed | null => {
  if (cause instanceof StorageFailed) return cause
  // The file went to somebody else, or away, while it was being reopened.
  if (cause instanceof Conflict || cause instanceof ConfigInvalid) {
    return new StorageFailed({ message: `Cannot ${operation}: ${cause.message}`, hint: cause.hint })
  }
  const code = resultCode(cause)
  if (code === null) return null
  const known = causes.get(code & 0xff)
  return known === undefined
    ? null
    : new StorageFailed({ message: `Cannot ${operation}: ${known.what} (SQLite code ${code}).`, hint: known.hint })
}

/** Runs synchronous database work: failures of the disk are typed, everything else that is thrown is a defect. */
export const attempt = <A>(operation: string, run: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (cause) {
      const failure = storageFailure(operation, cause)
      return failure === null ? Effect.die(cause) : Effect.fail(failure)
    }
  })

/** The failure of a start: the refusals of Database.ts as they are, failures of the disk typed. */
export const startFailure = (cause: unknown): Effect.Effect<never, ConfigInvalid | Conflict | StorageFailed> => {
  if (cause instanceof ConfigInvalid || cause instanceof Conflict) return Effect.fail(cause)
  const failure = storageFailure("open the database", cause)
  return failure === null ? Effect.die(cause) : Effect.fail(failure)
}
