/**
 * Who has the database open. SQLite's exclusive lock is the truth; the file `<database>.owner` beside it only says
 * whose lock it is, so that a refused second process can name the first. It is written after the lock was taken
 * and removed when it is given back; after a crash it stays, and is recognised as stale because the lock is free.
 */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { basename } from "node:path"

/** The process that holds a database. */
export interface Owner {
  readonly pid: number
  readonly host: string
  /** When the process started, ISO 8601. */
  readonly startedAt: string
  /** Program and verb only: the other arguments may be nobody's business. */
  readonly command: string
}

/** The owner file of a database. */
export const ownerFile = (file: string): string => `${file}.owner`

/** This process. */
const self = (): Owner => ({
  pid: process.pid,
  host: hostname(),
  startedAt: new Date(Date.now() - process.uptime() * 1000).toISOString(),
  command: [
    basename(process.argv[1] ?? process.execPath),
    ...process.argv.slice(2, 3).filter((word) => /^[a-z-]+$/.test(word))
  ].join(" ")
})

/** Notes this process as the owner, mode 0600, whole or not at all. A full disk costs the note, not the start. */
export const writeOwner = (file: string): void => {
  const temporary = `${ownerFile(file)}.${process.pid}`
  try {
    writeFileSync(temporary, `${JSON.stringify(self())}\n`, { mode: 0o600 })
    // A leftover of the same pid keeps its own mode.
    chmodSync(temporary, 0o600)
    renameSync(temporary, ownerFile(file))
  } catch {
    rmSync(temporary, { force: true })
    removeOwner(file)
  }
}

/** Removes the owner file. */
export const removeOwner = (file: string): void => rmSync(ownerFile(file), { force: true })

/** Who says to hold a database; null without a note that can be read. */
export const readOwner = (file: string): Owner | null => {
  try {
    const value: unknown = JSON.parse(readFileSync(ownerFile(file), "utf8"))
    if (typeof value !== "object" || value === null) return null
    const { command, host, pid, startedAt } = value as Partial<Record<keyof Owner, unknown>>
    return typeof pid === "number" && typeof host === "string" && typeof startedAt === "string"
        && typeof command === "string"
      ? { pid, host, startedAt, command }
      : null
  } catch {
    return null
  }
}

/** Does a process of this machine run? */
export const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Names the holder of a locked database, for a message: "process 4711 (haproxy-mcp serve, since …)". */
export const describeOwner = (file: string): string => {
  const owner = readOwner(file)
  if (owner === null || (owner.host === hostname() && !isAlive(owner.pid))) return "another process"
  const where = owner.host === hostname() ? "" : ` on ${owner.host}`
  return `process ${owner.pid}${where} (${owner.command}, since ${owner.startedAt})`
}
