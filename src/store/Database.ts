/**
 * One SQLite file, opened for one process.
 *
 * Guarantees: WAL with `synchronous=FULL`, foreign keys and an exclusive lock, each read back; SQLite of 3.51.3 or
 * later (older ones can corrupt a WAL); file mode 0600. A file that is not ours, or of a newer schema, is never
 * written. Everything here is synchronous, as `node:sqlite` is, and throws: {@link ConfigInvalid},
 * {@link Conflict}, or SQLite's own error (see Failure.ts). No transactions and no tables of ours: see
 * Transactions.ts and migrations/.
 */
import { chmodSync, closeSync, existsSync, openSync, readSync, realpathSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Session, SQLInputValue, StatementSync } from "node:sqlite"
import { DatabaseSync } from "node:sqlite"
import { ConfigInvalid, Conflict } from "../domain/Errors.ts"
import { isBusy } from "./Failure.ts"
import * as NewDatabase from "./NewDatabase.ts"
import { describeOwner, removeOwner, writeOwner } from "./Owner.ts"

/** `PRAGMA application_id` of our databases: "HAPM". */
export const applicationId = 0x48_41_50_4d

/** Before 3.51.3 two connections could corrupt a WAL when it was reset (sqlite.org/releaselog). */
const minimumSqlite = [3, 51, 3] as const

/** How long an open waits for another process that is just going away, in milliseconds. Blocks the process. */
const lockTimeout = 1000

/** Prepared statements to keep. Ours are some dozens of constants; the bound is for texts that vary. */
const maxStatements = 256

/** Files that this process has open: reading their header would drop the POSIX locks that SQLite holds on them. */
const openHere = new Set<string>()

/** Values that can be bound to a statement. */
export type Value = SQLInputValue
/** A row as SQLite gives it: no prototype. */
export type Row = Readonly<Record<string, string | number | null>>
/** A row as the array of its columns. */
export type Columns = ReadonlyArray<string | number | null>

const invalid = (file: string, what: string, hint: string) =>
  new ConfigInvalid({ message: `The database ${file} ${what}`, hint, field: "HAPROXY_DB_FILE" })

const held = (file: string) =>
  new Conflict({
    message: `The database ${file} is held by ${describeOwner(file)}.`,
    hint: "Only one process may have it open: use that one, stop it, or choose another HAPROXY_DB_FILE.",
    field: "HAPROXY_DB_FILE"
  })

/** A statement that SQLite must answer with a certain value, else the file is not what we rely on. */
const setPragma = (db: DatabaseSync, file: string, name: string, value: string | number, expected: string | number) => {
  db.exec(`PRAGMA ${name} = ${value}`)
  const row = db.prepare(`PRAGMA ${name}`).get()
  const found = row === undefined ? undefined : Object.values(row)[0]
  if (found !== expected) {
    throw invalid(
      file,
      `does not take the setting ${name} = ${value} (it answers ${String(found)}).`,
      "Keep it on a local disk whose file system supports locks."
    )
  }
}

/** Whose database a file is: nobody's yet, ours, another program's, one without a mark; or it is no database. */
export type Maker = "new" | "ours" | "another" | "unmarked" | "no database"

/**
 * What lies at a path, judged by the file's header without opening it as a database: opening one that is not ours
 * could already write to it (recovery of its WAL). Throws the file system's own errors.
 */
export const makerOf = (path: string): Maker => {
  const file = resolve(path)
  if (!existsSync(file)) return "new"
  // Reading its header would drop the locks.
  if (openHere.has(realpathSync(file))) return "ours"
  if (!statSync(file).isFile()) throw invalid(file, "is not a regular file.", "Name a file in HAPROXY_DB_FILE.")
  const header = Buffer.alloc(100)
  const fd = openSync(file, "r")
  let length: number
  try {
    length = readSync(fd, header, 0, 100, 0)
  } finally {
    closeSync(fd)
  }
  if (length === 0) return "new"
  // sqlite.org/fileformat.html: the magic at 0, the application id at 68, big-endian.
  const magic = header.toString("latin1", 0, 16)
  if (length < 100 || magic !== "SQLite format 3\0") return "no database"
  const mark = header.readInt32BE(68)
  return mark === applicationId ? "ours" : mark === 0 ? "unmarked" : "another"
}

/** Refuses what is not ours. */
const inspect = (file: string): void => {
  const maker = makerOf(file)
  if (maker === "new" || maker === "ours") return
  throw maker === "no database"
    ? invalid(file, "is not an SQLite database.", "It was left as it is. Move it away or name another file.")
    : invalid(
      file,
      "was made by another program.",
      maker === "unmarked"
        ? "It was left as it is. `haproxy-mcp serve` takes it over if it is the Python version's; else move it away or name "
          + "another file in HAPROXY_DB_FILE."
        : "It was left as it is. Move it away or name another file in HAPROXY_DB_FILE."
    )
}

/** Refuses an SQLite that is too old. */
export const checkVersion = (version: string): void => {
  const parts = version.split(".").map(Number)
  for (const [index, least] of minimumSqlite.entries()) {
    const part = parts[index] ?? 0
    if (part > least) return
    if (part < least) {
      throw new ConfigInvalid({
        message: `SQLite ${version} can corrupt a database in WAL mode; ${
          minimumSqlite.join(".")
        } is the oldest that works.`,
        hint: "Run with Node 24.18 or later."
      })
    }
  }
}

const openExclusive = (file: string): DatabaseSync => {
  checkVersion(process.versions["sqlite"] ?? "0")
  const db = new DatabaseSync(file, { timeout: lockTimeout, enableForeignKeyConstraints: true })
  try {
    // Before anything else touches the file (any SELECT does): then a WAL gets no shared-memory file, and the lock is
    // held until close.
    setPragma(db, file, "locking_mode", "EXCLUSIVE", "exclusive")
    setPragma(db, file, "busy_timeout", lockTimeout, lockTimeout)
    // Before the switch to WAL, so that it stands in the main file, where `inspect` looks. Set again where a process was
    // killed while it made the file: its journal takes the mark back.
    if (db.prepare("PRAGMA application_id").get()?.["application_id"] !== applicationId) {
      setPragma(db, file, "application_id", applicationId, applicationId)
    }
    setPragma(db, file, "journal_mode", "WAL", "wal")
    setPragma(db, file, "synchronous", "FULL", 2)
    setPragma(db, file, "foreign_keys", "ON", 1)
    // A large import must not leave a large WAL behind for ever.
    db.exec("PRAGMA journal_size_limit = 67108864")
    db.exec("BEGIN IMMEDIATE; COMMIT")
    writeOwner(file)
    return db
  } catch (cause) {
    db.close()
    throw isBusy(cause) ? held(file) : cause
  }
}

export class Database {
  readonly file: string
  #db: DatabaseSync
  readonly #key: string
  readonly #statements = new Map<string, StatementSync>()
  /** Those of {@link Database.arrays}, by their text without its mark. */
  readonly #asArrays = new Map<string, StatementSync>()

  private constructor(file: string, key: string, db: DatabaseSync) {
    this.file = file
    this.#key = key
    this.#db = db
  }

  /** Opens the file, or makes it, and takes it for this process. */
  static open(path: string): Database {
    const file = resolve(path)
    try {
      NewDatabase.make(file, applicationId)
      const key = realpathSync(file)
      if (openHere.has(key)) throw held(file)
      inspect(file)
      if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
      openHere.add(key)
      try {
        return new Database(file, key, openExclusive(file))
      } catch (cause) {
        openHere.delete(key)
        throw cause
      }
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code
      if (code !== undefined && /^E[A-Z]+$/.test(code)) {
        throw invalid(file, `cannot be used: ${code}.`, `Check ${dirname(file)} and the rights of this user on it.`)
      }
      throw cause
    }
  }

  /** Is a transaction open? SQLite ends one by itself after some errors. */
  get isTransaction(): boolean {
    return this.#db.isOpen && this.#db.isTransaction
  }

  /** Runs statements that give no rows. */
  exec(sql: string): void {
    this.#db.exec(sql)
  }

  /** All rows. */
  all(sql: string, ...values: ReadonlyArray<Value>): Array<Row> {
    return this.prepare(sql).all(...values) as Array<Row>
  }

  /** All rows as arrays of their columns: two to four times as fast as {@link Database.all}. */
  arrays(sql: string, ...values: ReadonlyArray<Value>): Array<Columns> {
    let statement = this.#asArrays.get(sql)
    if (statement === undefined) {
      // A text of its own, as the form of the rows is a property of the prepared statement.
      statement = this.prepare(`${sql} -- arrays`)
      statement.setReturnArrays(true)
      if (this.#asArrays.size >= maxStatements) this.#asArrays.clear()
      this.#asArrays.set(sql, statement)
    }
    return statement.all(...values) as unknown as Array<Columns>
  }

  /** The first row. */
  get(sql: string, ...values: ReadonlyArray<Value>): Row | undefined {
    return this.prepare(sql).get(...values) as Row | undefined
  }

  /** Runs a statement and tells how many rows it changed. */
  run(sql: string, ...values: ReadonlyArray<Value>): number {
    return Number(this.prepare(sql).run(...values).changes)
  }

  /** A prepared statement, kept for the next time. One that cannot be prepared is not kept. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#db.prepare(sql)
      if (this.#statements.size >= maxStatements) {
        const oldest = this.#statements.keys().next()
        if (oldest.done !== true) this.#statements.delete(oldest.value)
      }
      this.#statements.set(sql, statement)
    }
    return statement
  }

  /** Listens to what is written to all tables from now on. */
  session(): Session {
    return this.#db.createSession()
  }

  /** The committed content as the bytes of a file, what is still in the log included. Not inside a transaction. */
  serialize(): Uint8Array {
    return this.#db.serialize()
  }

  /** Closes without giving the file up, and opens it again: what is read then is what the disk holds. */
  reopen(): void {
    this.#closeHandle()
    const file = this.file
    if (!existsSync(file)) throw invalid(file, "is gone.", "Restore it, or restart to begin with an empty one.")
    this.#db = openExclusive(file)
  }

  /** Gives the file back. Failures of the disk at this point change nothing that was committed. */
  close(): void {
    // Before the lock is given back, and not when it was lost: then the file names somebody else.
    if (this.#db.isOpen) removeOwner(this.file)
    this.#closeHandle()
    openHere.delete(this.#key)
  }

  #closeHandle(): void {
    this.#statements.clear()
    this.#asArrays.clear()
    if (this.#db.isOpen) this.#db.close()
  }
}
