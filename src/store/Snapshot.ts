/**
 * Whole copies of the database: taken from the open one, written, examined and put in the place of another. The one
 * implementation for backups on this machine and for copies on a remote host.
 *
 * Guarantees: a copy holds every commit acknowledged before it was asked for and no half of one ({@link imageOf}); it needs
 * no log beside it; a written one is durable in content, and durable in name after {@link syncFolder}; `install` leaves the
 * old database or the new one at the path, whole, also when the process is killed or the power fails at any step, and keeps
 * the old one under another name. Not here: what copies are called, how many are kept, and what a restore asks first.
 */
import { createHash, randomBytes } from "node:crypto"
import {
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync
} from "node:fs"
import { open, rm } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { ConfigInvalid, Conflict } from "../domain/Errors.ts"
import { type Database, makerOf } from "./Database.ts"
import { isBusy, resultCode } from "./Failure.ts"
import { describeOwner, isAlive } from "./Owner.ts"

/** The database as one file, and the revision that it is of. */
export interface Image {
  readonly revision: number
  readonly bytes: Uint8Array
}

/** Milliseconds that an installation waits for a process that is just letting the old database go. */
const lockTimeout = 1_000

/**
 * The database as one file. Nothing else runs meanwhile: 100,000 domains (9 MB) take some 40 ms of CPU time. Never inside a
 * transaction, as it would hold rows that may be taken back: see `Store.image`.
 */
export const imageOf = (db: Pick<Database, "isTransaction" | "serialize">): Uint8Array => {
  if (db.isTransaction) throw new Error("an image of the database inside a transaction")
  const bytes = db.serialize()
  // sqlite.org/fileformat.html, 18 and 19: 1 says that there is no log, so that reading the copy makes none. Opening it
  // as a database of ours turns the log on again.
  bytes[18] = 1
  bytes[19] = 1
  return bytes
}

/** SHA-256 in hex, as `sha256sum` prints it. */
export const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** A name beside `file` that {@link sweep} knows as a draft of this process. `kind` is a word. */
export const draftBeside = (file: string, kind: string, pid = process.pid): string =>
  join(dirname(file), `${basename(file)}.${kind}-${pid}-${randomBytes(6).toString("hex")}`)

/** Removes the drafts of a kind that processes left behind which are gone. Those of other processes stay. Never fails. */
export const sweep = (file: string, names: ReadonlyArray<string>, kind: string): void => {
  const start = `${basename(file)}.${kind}-`
  for (const name of names) {
    const [, pid] = name.startsWith(start) ? /^(\d+)-[0-9a-f]{12}$/.exec(name.slice(start.length)) ?? [] : []
    if (pid === undefined || isAlive(Number(pid))) continue
    rmSync(join(dirname(file), name), { force: true })
  }
}

/** Writes a file that is not there yet, mode 0600, and makes its content durable. Nothing stays of one that failed. */
export const writeNew = async (path: string, bytes: Uint8Array | string): Promise<void> => {
  const handle = await open(path, "wx", 0o600)
  try {
    try {
      await handle.writeFile(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (cause) {
    await rm(path, { force: true })
    throw cause
  }
}

/** Gives a path the owner and group of another one, as far as this process may: root works for the user of the service. */
export const giveTo = (path: string, like: string): void => {
  const [has, wants] = [statSync(path), statSync(like)]
  if (has.uid === wants.uid && has.gid === wants.gid) return
  try {
    chownSync(path, wants.uid, wants.gid)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") throw cause
  }
}

/** Makes the names in a folder durable. */
export const syncFolder = (folder: string): void => {
  const fd = openSync(folder, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

const flush = (path: string): void => {
  const fd = openSync(path, "r+")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Gives a copy a lineage of its own: it is no longer the continuation of what it was made from. Answers the lineage. */
export const newLineage = (copy: string): string => {
  const lineage = crypto.randomUUID()
  const db = new DatabaseSync(copy)
  try {
    db.prepare("UPDATE meta SET lineage = ? WHERE id = 1").run(lineage)
  } finally {
    db.close()
  }
  flush(copy)
  return lineage
}

const held = (file: string) =>
  new Conflict({
    message: `The database ${file} is held by ${describeOwner(file)}.`,
    hint: "Stop that process first (`systemctl stop haproxy-mcp`), then repeat.",
    field: "HAPROXY_DB_FILE"
  })

/**
 * Takes the old database, alone, and brings its log into the file, so that the file can be replaced: a log that is left
 * beside another file would be replayed into it. Null when SQLite cannot read the old one.
 */
const takeOver = (file: string): DatabaseSync | null => {
  let db: DatabaseSync | null = null
  try {
    db = new DatabaseSync(file, { timeout: lockTimeout })
    db.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT")
    db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").all()
    const mode = Object.values(db.prepare("PRAGMA journal_mode = DELETE").get() ?? {})[0]
    if (mode !== "delete") throw new Error(`the log of ${file} cannot be closed (${String(mode)})`)
    return db
  } catch (cause) {
    db?.close()
    if (isBusy(cause)) throw held(file)
    const code = (resultCode(cause) ?? 0) & 0xff
    // SQLITE_CORRUPT, SQLITE_NOTADB: kept as it is, with its log.
    if (code === 11 || code === 26) return null
    throw cause
  }
}

/** Gives a file a second name, which must be free: by a link, or where there are none by a durable copy. */
const keepAs = (file: string, kept: string): void => {
  try {
    linkSync(file, kept)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? ""
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code)) throw cause
    copyFileSync(file, kept)
    flush(kept)
  }
}

const freeName = (wanted: string): string => {
  for (let index = 1;; index++) {
    const name = index === 1 ? wanted : `${wanted}-${index}`
    if (!existsSync(name)) return name
  }
}

/**
 * Puts `made`, a durable and examined file in the same folder, in the place of the database at `path`. Answers the name
 * under which the old one is kept; null when there was none. Fails with {@link Conflict} while a process holds the old one
 * and with {@link ConfigInvalid} when that is not ours; else throws what the system or SQLite throws. `suffix` begins with
 * a dot.
 *
 * Only an old database that SQLite cannot read has a moment without its log at the path; both are kept.
 */
export const install = (made: string, path: string, suffix: string): string | null => {
  const file = existsSync(path) ? realpathSync(path) : resolve(path)
  const maker = makerOf(file)
  if (maker === "another" || maker === "unmarked") {
    throw new ConfigInvalid({
      message: `The database ${file} was made by another program.`,
      hint: "It was left as it is. Move it away, or name another file in HAPROXY_DB_FILE.",
      field: "HAPROXY_DB_FILE"
    })
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // SQLite would throw the log of one away that it does not recognise.
  const old = maker === "ours" ? takeOver(file) : null
  try {
    let kept: string | null = null
    if (existsSync(file)) {
      kept = freeName(`${file}${suffix}`)
      keepAs(file, kept)
    }
    for (const end of ["-wal", "-journal", "-shm"]) {
      if (!existsSync(file + end)) continue
      // Of one that SQLite has read nothing is in them any more.
      if (old === null && end !== "-shm") keepAs(file + end, freeName(`${kept ?? file + suffix}${end}`))
      syncFolder(dirname(file))
      rmSync(file + end)
    }
    syncFolder(dirname(file))
    renameSync(made, file)
    syncFolder(dirname(file))
    return kept
  } finally {
    old?.close()
  }
}
