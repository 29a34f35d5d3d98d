/**
 * Puts a backup in the place of the database: first a look at it ({@link stage}), which changes nothing, then the exchange
 * ({@link exchange}).
 *
 * Guarantees: what is put in place is the very copy that was looked at: ours, whole (quick_check), of a schema that this
 * program knows, and equal to its checksum where there is one. The database that was there is kept. At every moment one of the
 * two is at the path, whole (Snapshot.ts). A token that was revoked since stays so (store/Tokens.ts), and the
 * audit chain has a record of the restore. A restored database is of a new lineage: it is no continuation of what copies on
 * a remote host hold, and never taken for one. HAProxy is brought to it by the next start of `serve`.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs"
import { open, readFile } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { ConfigInvalid, Conflict, InvalidInput, NotFound, StorageFailed } from "../../domain/Errors.ts"
import { codeOf, storageFailed } from "../../haproxy/DurableFile.ts"
import { copyOf } from "../../store/Copy.ts"
import { makerOf } from "../../store/Database.ts"
import { type Examination, examineCopy } from "../../store/Examination.ts"
import { startFailure } from "../../store/Failure.ts"
import { schemaVersion } from "../../store/Migrate.ts"
import { describeOwner, isAlive, readOwner } from "../../store/Owner.ts"
import { noteRestored } from "../../store/Replica.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { carryRevocations } from "../../store/Tokens.ts"
import { backupsIn, baseOf } from "./Backup.ts"
import { newestFirst, parseName, stamp, sumOf } from "./BackupName.ts"

/** A backup that was looked at. */
export interface Staged {
  /** Its path, symbolic links resolved. */
  readonly file: string
  readonly sha256: string
  /** Was there a checksum beside it? Where there was it is right. */
  readonly checksum: boolean
  /** When it was made: by its name, else by the file's time. Milliseconds since 1970. */
  readonly at: number
  readonly holds: Examination
  /** The database that would be replaced; null where there is none, a text where it cannot be read. */
  readonly present: Examination | string | null
  /** The copy that {@link exchange} puts in place. It goes with the scope. */
  readonly draft: string
}

/** Kind of the drafts beside the database. */
const drafts = "restore"

const refuse = (message: string, hint: string) => new InvalidInput({ message, hint, field: "FILE" })

/** Refuses while somebody uses the database. `serving`: the process behind the admin socket. */
export const refuseWhileHeld = (database: string, serving: number | null): Effect.Effect<void, Conflict> =>
  Effect.suspend(() => {
    const owner = readOwner(database)
    const held = owner !== null && isAlive(owner.pid) && owner.pid !== process.pid
    return serving === null && !held ? Effect.void : Effect.fail(
      new Conflict({
        message: serving === null
          ? `The database ${database} is held by ${describeOwner(database)}.`
          : `Process ${serving} serves with the database ${database}.`,
        hint:
          "Stop it first (`systemctl stop haproxy-mcp`, or stop the container); HAProxy goes on without it. Then repeat.",
        field: "HAPROXY_DB_FILE"
      })
    )
  })

/** Reads a backup's bytes; says what else a path leads to. */
const read = async (file: string, base: string): Promise<Buffer> => {
  const stats = statSync(file, { throwIfNoEntry: false })
  if (stats === undefined) {
    throw new NotFound({ message: `There is no file ${file}`, hint: "Name a backup that is there.", field: "FILE" })
  }
  if (stats.isDirectory()) {
    const [newest] = [...backupsIn(file, base)].sort(newestFirst)
    throw refuse(
      `${file} is a folder, not a backup`,
      newest === undefined
        ? "Name a file; there is no backup of this database in it."
        : `Name a file; the newest backup in it is ${join(file, newest.name)}`
    )
  }
  if (!stats.isFile()) throw refuse(`${file} is not a regular file`, "Name a backup.")
  if (stats.size === 0) throw refuse(`${file} is empty`, "It is no backup: name another file.")
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false })
  if (log !== undefined && log.size > 0) {
    throw refuse(
      `${file} has a log beside it, so it is a copy of a database that was in use, and not whole alone`,
      "Name a file that `haproxy-mcp backup` made."
    )
  }
  const handle = await open(file, "r")
  try {
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

/** Compares with the checksum beside it; false where there is none. */
const compareSum = async (file: string, sha256: string): Promise<boolean> => {
  const text = await readFile(sumOf(file), "utf8").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return null
    throw cause
  })
  if (text === null) return false
  const [, said] = /^\\?([0-9a-f]{64})[ \t]/.exec(text) ?? []
  if (said === sha256) return true
  throw refuse(
    said === undefined
      ? `${sumOf(file)} holds no checksum`
      : `${file} is not what its checksum says: it was changed or damaged`,
    "Restore another backup. To take it nevertheless, move its .sha256 away."
  )
}

/** Looks at a copy of the backup. */
const examine = (draft: string, file: string, bytes: Buffer): Examination => {
  const maker = makerOf(draft)
  if (maker === "no database" || maker === "new") throw refuse(`${file} is not an SQLite database`, "Name a backup.")
  if (maker !== "ours") throw refuse(`${file} is a database of another program`, "Name a backup of haproxy-mcp.")
  // sqlite.org/fileformat.html: `user_version` at 60, big-endian.
  const schema = bytes.readInt32BE(60)
  if (schema > schemaVersion) {
    throw refuse(
      `${file} has schema ${schema}; this program knows ${schemaVersion}`,
      "Restore it with the newer program that made it."
    )
  }
  let found: Examination | null
  try {
    found = examineCopy(draft)
  } catch (cause) {
    throw refuse(
      `${file} is damaged: ${cause instanceof Error ? cause.message : String(cause)}`,
      "Name another backup."
    )
  }
  if (found === null) throw refuse(`${file} is a database of another program`, "Name a backup of haproxy-mcp.")
  if (found.damage.length > 0) throw refuse(`${file} is damaged: ${found.damage[0]}`, "Name another backup.")
  return found
}

const examinePresent = (database: string): Effect.Effect<Examination | string | null> =>
  Effect.scoped(Effect.map(copyOf(database), (copy) => {
    try {
      const found = examineCopy(copy)
      return found === null ? "made by another program" : found.damage.length > 0 ? "damaged" : found
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause)
    }
  })).pipe(Effect.catch((why) => Effect.succeed(why === "absent" ? null : `it is ${why}`)))

const removeDraft = (draft: string) => {
  for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(`${draft}${end}`, { force: true })
}

/** Copies a backup beside the database and looks at it. */
export const stage = Effect.fnUntraced(function*(path: string, database: string): Effect.fn.Return<
  Staged,
  InvalidInput | NotFound | StorageFailed,
  Scope.Scope
> {
  const target = existsSync(database) ? realpathSync(database) : resolve(database)
  const draft = yield* Effect.acquireRelease(
    Effect.sync(() => Snapshot.draftBeside(target, drafts)),
    (draft) => Effect.sync(() => removeDraft(draft))
  )
  const staged = yield* Effect.tryPromise({
    try: async () => {
      const file = existsSync(path) ? realpathSync(path) : resolve(path)
      if (file === target) throw refuse(`${file} is the database itself`, "Name a backup of it.")
      const bytes = await read(file, baseOf(database))
      const sha256 = Snapshot.digestOf(bytes)
      const checksum = await compareSum(file, sha256)
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 })
      Snapshot.sweep(target, readdirSync(dirname(target)), drafts)
      await Snapshot.writeNew(draft, bytes)
      const holds = examine(draft, file, bytes)
      const name = parseName(baseOf(database), basename(file))
      return { file, sha256, checksum, at: name?.at ?? Math.floor(statSync(file).mtimeMs), holds }
    },
    catch: (cause) =>
      cause instanceof InvalidInput || cause instanceof NotFound ? cause : storageFailed("look at", path, cause)
  })
  return { ...staged, draft, present: yield* examinePresent(target) }
})

/** A copy of the database that goes; null where it is lost or cannot be read. */
const presentCopy = ({ present }: Staged, database: string): Effect.Effect<string | null, StorageFailed, Scope.Scope> =>
  present === null || typeof present === "string" ? Effect.succeed(null) : Effect.mapError(
    copyOf(database),
    (why) =>
      new StorageFailed({
        message: `Cannot read the tokens of ${database}: it is ${why}.`,
        hint: "Nothing was changed."
      })
  )

/**
 * What the database that goes leaves to the one that comes: no token comes back that was revoked since, and the audit chain
 * goes on with a record of the restore.
 */
const handOver = (staged: Staged, database: string, now: number): Effect.Effect<void, StorageFailed> =>
  Effect.scoped(Effect.flatMap(presentCopy(staged, database), (copy) =>
    Effect.try({
      try: () => {
        if (copy !== null) carryRevocations(copy, staged.draft, now)
        noteRestored(staged.draft, copy)
      },
      catch: (cause) => storageFailed("carry the revoked tokens and the audit chain over from", database, cause)
    })))

/** Puts a backup in place; answers where the old database is kept, null where there was none. */
export const exchange = (
  staged: Staged,
  database: string,
  now: number
): Effect.Effect<string | null, Conflict | ConfigInvalid | StorageFailed> =>
  Effect.andThen(handOver(staged, database, now), replace(staged.draft, database, now))

const replace = (draft: string, database: string, now: number) =>
  Effect.suspend((): Effect.Effect<string | null, Conflict | ConfigInvalid | StorageFailed> => {
    try {
      Snapshot.newLineage(draft)
      Snapshot.giveTo(draft, existsSync(database) ? database : dirname(resolve(database)))
      return Effect.succeed(Snapshot.install(draft, database, `.replaced-${stamp(now)}`))
    } catch (cause) {
      const code = codeOf(cause)
      return code.startsWith("E") && !code.startsWith("ERR_")
        ? Effect.fail(storageFailed("replace", database, cause))
        : startFailure(cause)
    }
  })
