/**
 * The note `<database>.remote`: that this database was published, and where to. It tells an installation that meets an empty
 * remote for the first time from one whose remote has lost everything (domain/StartChoice.ts).
 *
 * Guarantees: a note is whole or not there. It stands beside the database and not in it, so it never travels to the remote. It is
 * written before the first generation, so a missing one means: never published.
 */
import { randomBytes } from "node:crypto"
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** What is noted. */
export interface RemoteNote {
  /** The lineage that was published. */
  readonly lineage: string
  /** HAPROXY_REMOTE_DB_FILE with the host, for people: `edge:/var/lib/haproxy-mcp/haproxy_mcp.db`. */
  readonly remote: string
}

const noteFile = (file: string): string => `${file}.remote`

/** The note of a database; null without one that can be read. */
export const read = (file: string): RemoteNote | null => {
  try {
    const value: unknown = JSON.parse(readFileSync(noteFile(file), "utf8"))
    const { lineage, remote } = (value ?? {}) as Partial<Record<keyof RemoteNote, unknown>>
    return typeof lineage === "string" && typeof remote === "string" ? { lineage, remote } : null
  } catch {
    return null
  }
}

/** Makes the note durable. Throws the file system's errors. */
export const write = (file: string, note: RemoteNote): void => {
  const found = read(file)
  if (found?.lineage === note.lineage && found.remote === note.remote) return
  const temporary = `${noteFile(file)}.${randomBytes(6).toString("hex")}`
  try {
    writeFileSync(temporary, `${JSON.stringify(note)}\n`, { mode: 0o600, flush: true })
    renameSync(temporary, noteFile(file))
  } catch (cause) {
    rmSync(temporary, { force: true })
    throw cause
  }
  const folder = openSync(dirname(file), "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
