/**
 * Makes a database where there is none: without tables, with our mark, in WAL mode.
 *
 * Guarantees: what is at the path is nothing or a whole database, also after a power cut. While SQLite writes its first
 * page, a cut can leave a file that nothing recognises as a database, so it is made under another name and linked in
 * place when it is durable. Two processes that make one at the same time get one and the same.
 */
import { randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** Makes what was written to a file, or the names in a folder, durable. */
const flush = (path: string): void => {
  const fd = openSync(path, "r")
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Where a path leads through symbolic links, also when nothing is there. */
const behindLinks = (path: string): string => {
  let at = path
  for (let links = 0; links < 40; links++) {
    if (lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return at
    at = resolve(dirname(at), readlinkSync(at))
  }
  return at
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

/** Removes what processes left behind that were killed while they made one. */
const sweep = (file: string): void => {
  for (const name of readdirSync(dirname(file))) {
    if (!name.startsWith(`${basename(file)}.new-`)) continue
    const pid = Number(/^\d+/.exec(name.slice(basename(file).length + 5))?.[0] ?? NaN)
    if (pid === process.pid || (pid > 0 && !isAlive(pid))) rmSync(join(dirname(file), name), { force: true })
  }
}

/** Puts it in place, unless another process was faster. Never over a file that is there. */
const place = (made: string, file: string): void => {
  try {
    linkSync(made, file)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? ""
    if (code === "EEXIST") return
    // A file system without hard links.
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(code) || existsSync(file)) throw cause
    renameSync(made, file)
  }
}

/** Makes the folder (0700) and the database (0600), durably. Nothing where a file is there. Throws the system's errors. */
export const make = (path: string, applicationId: number): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  if (existsSync(path)) return
  const file = behindLinks(path)
  sweep(file)
  // The process's number alone may be another one's, too: that of a container's first process is always 1.
  const making = `${file}.new-${process.pid}-${randomBytes(6).toString("hex")}`
  closeSync(openSync(making, "wx", 0o600))
  try {
    const db = new DatabaseSync(making)
    try {
      db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA journal_mode = WAL`)
    } finally {
      db.close()
    }
    flush(making)
    place(making, file)
  } finally {
    rmSync(making, { force: true })
  }
  flush(dirname(file))
}
