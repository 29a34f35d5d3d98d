/**
 * Makes a backup of what {@link copyDatabase} or {@link imageAtRest} gave, in a folder, and prunes the folder.
 *
 * Guarantees: a file with a backup's name is whole: it was written under another name, made durable, checked by SQLite
 * (quick_check) and hashed before it got its name, and its checksum was there first. No existing file is replaced. Nothing is
 * pruned unless a backup was made, never that one, and nothing that is not called like ours. A process that is killed leaves
 * a draft, which the next backup removes.
 * Not in a backup: certificates and their keys, settings, tokens (files of their own).
 */
import * as Effect from "effect/Effect"
import { linkSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs"
import { basename, dirname, extname, join } from "node:path"
import { type ConfigInvalid, type Conflict, NotFound, StorageFailed } from "../../domain/Errors.ts"
import { codeOf, storageFailed } from "../../haproxy/DurableFile.ts"
import { Database, makerOf } from "../../store/Database.ts"
import { type Examination, examineCopy } from "../../store/Examination.ts"
import { startFailure } from "../../store/Failure.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { type BackupName, nameOf, parseName, prune, type Retention, sumOf } from "./BackupName.ts"

/** A backup that was made. */
export interface Backup {
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly revision: number
  readonly domains: number
  readonly schema: number
  readonly lineage: string
  /** Backups that were removed from the folder, by name. */
  readonly removed: ReadonlyArray<string>
  /** Backups in the folder now. */
  readonly kept: number
  readonly warnings: ReadonlyArray<string>
}

/** Kind of the drafts in a folder of backups. */
const drafts = "backup"

/** Milliseconds after which a checksum without its backup belongs to none that is being made. */
const orphaned = 3_600_000

/** `haproxy_mcp.db` → `haproxy_mcp` */
export const baseOf = (database: string): string => basename(database, extname(database))

/** The backups in a folder, in any order. */
export const backupsIn = (folder: string, base: string): ReadonlyArray<BackupName> =>
  readdirSync(folder).flatMap((name) => {
    const found = parseName(base, name)
    return found !== null && lstatSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true ? [found] : []
  })

/** The bytes of a database that nobody has open. The file is taken for as long as that takes. */
export const imageAtRest = (
  database: string
): Effect.Effect<Uint8Array, ConfigInvalid | Conflict | NotFound | StorageFailed> =>
  Effect.suspend((): Effect.Effect<Uint8Array, ConfigInvalid | Conflict | NotFound | StorageFailed> => {
    try {
      if (makerOf(database) === "new") {
        return Effect.fail(
          new NotFound({
            message: `There is no database at ${database}, so there is nothing to back up.`,
            hint: "Check HAPROXY_DB_FILE: it must be that of `haproxy-mcp serve`."
          })
        )
      }
      const db = Database.open(database)
      try {
        return Effect.succeed(Snapshot.imageOf(db))
      } finally {
        db.close()
      }
    } catch (cause) {
      return codeOf(cause).startsWith("E") && !codeOf(cause).startsWith("ERR_")
        ? Effect.fail(storageFailed("read", database, cause))
        : startFailure(cause)
    }
  })

const damaged = (why: string) =>
  new StorageFailed({
    message:
      `The copy of the database is damaged, and so the database is: ${why}. No backup was made, none was removed.`,
    hint: "Check the disk, and restore the newest backup: `haproxy-mcp restore FILE`."
  })

const examine = (draft: string): Examination => {
  let found: Examination | null
  try {
    found = examineCopy(draft)
  } catch (cause) {
    throw damaged(cause instanceof Error ? cause.message : String(cause))
  }
  if (found === null) throw damaged("it has lost its head")
  if (found.damage.length > 0) throw damaged(found.damage[0]!)
  return found
}

/** Gives a draft its name, unless that is taken. */
const place = (draft: string, file: string): boolean => {
  try {
    linkSync(draft, file)
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return false
    // A file system without hard links.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(codeOf(cause))) throw cause
    if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) return false
    renameSync(draft, file)
    return true
  }
  rmSync(draft)
  return true
}

/** Checksums whose backup is not there: left by one that was killed. */
const sweepSums = (folder: string, base: string, now: number): void => {
  for (const name of readdirSync(folder)) {
    const its = name.endsWith(".sha256") ? parseName(base, name.slice(0, -".sha256".length)) : null
    if (its === null || lstatSync(join(folder, its.name), { throwIfNoEntry: false }) !== undefined) continue
    const stats = lstatSync(join(folder, name), { throwIfNoEntry: false })
    if (stats?.isFile() === true && Math.abs(now - stats.mtimeMs) > orphaned) {
      rmSync(join(folder, name), { force: true })
    }
  }
}

const make = async (bytes: Uint8Array, folder: string, base: string, now: number) => {
  // Who may write beside the folder, the service's user, may write into it, and is given what root makes there.
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) Snapshot.giveTo(folder, dirname(folder))
  const like = join(folder, `${base}.db`)
  Snapshot.sweep(like, readdirSync(folder), drafts)
  sweepSums(folder, base, now)
  const [draft, sumDraft] = [Snapshot.draftBeside(like, drafts), Snapshot.draftBeside(like, drafts)]
  try {
    await Snapshot.writeNew(draft, bytes)
    Snapshot.giveTo(draft, folder)
    const found = examine(draft)
    const sha256 = Snapshot.digestOf(bytes)
    for (let index = 1;; index++) {
      const name = nameOf(base, now, found.revision, index)
      await Snapshot.writeNew(sumDraft, `${sha256}  ${name}\n`)
      Snapshot.giveTo(sumDraft, folder)
      if (!place(sumDraft, join(folder, sumOf(name)))) {
        rmSync(sumDraft)
        continue
      }
      Snapshot.syncFolder(folder)
      if (!place(draft, join(folder, name))) {
        rmSync(join(folder, sumOf(name)))
        continue
      }
      Snapshot.syncFolder(folder)
      return { name, sha256, found }
    }
  } finally {
    rmSync(draft, { force: true })
    rmSync(sumDraft, { force: true })
  }
}

/** Removes what the retention does not keep; what cannot be removed is a warning. */
const tidy = (folder: string, base: string, made: string, now: number, retention: Retention) => {
  const found = backupsIn(folder, base)
  const { future, remove } = prune(found, made, now, retention)
  const removed: Array<string> = []
  const warnings: Array<string> = []
  for (const name of remove) {
    try {
      // In this order: a backup is never without its checksum.
      rmSync(join(folder, name))
      rmSync(join(folder, sumOf(name)), { force: true })
      removed.push(name)
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") warnings.push(`${join(folder, name)} cannot be removed (${codeOf(cause)})`)
    }
  }
  if (removed.length > 0) Snapshot.syncFolder(folder)
  if (future.length > 0) {
    warnings.push(
      `${future.length} backups are from the future, so a clock is or was wrong; they are left alone: ${future[0]}`
    )
  }
  return { removed, kept: found.length - removed.length, warnings }
}

/** Makes a backup of these bytes. `now`: milliseconds since 1970. */
export const makeBackup = (
  bytes: Uint8Array,
  { database, folder, now, retention }: {
    readonly database: string
    readonly folder: string
    readonly now: number
    readonly retention: Retention
  }
): Effect.Effect<Backup, StorageFailed> =>
  Effect.tryPromise({
    try: async () => {
      const base = baseOf(database)
      const { found: { domains, lineage, revision, schema, size }, name, sha256 } = await make(bytes, folder, base, now)
      const file = join(folder, name)
      return {
        file,
        sha256,
        bytes: size,
        revision,
        domains,
        schema,
        lineage,
        ...tidy(folder, base, name, now, retention)
      }
    },
    catch: (cause) => storageFailed("make a backup in", folder, cause)
  })

/** Where backups go unless said otherwise: beside the database. */
export const defaultFolder = (database: string): string => join(dirname(database), "backups")
