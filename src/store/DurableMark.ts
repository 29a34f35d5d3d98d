/**
 * The mark `<database>.durable`: up to which commit all of this database is known to be durable on the remote, and which life got it
 * there in strict mode. What that life committed after it was never acknowledged, so a start may put it aside when another control plane went on
 * from the mark (domain/StartChoice.ts).
 *
 * Guarantees: it is written before anything up to it is acknowledged, and survives the end of the process, whatever ends it. It is
 * not flushed: after a power cut here it may be an older one, which matters only where the remote has lost generations, too. One
 * that is torn counts as none, and then an operator decides. Its size is fixed and it is overwritten in place: some 20 µs.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from "node:fs"
import type { State } from "../domain/Lineage.ts"

export interface DurableMark {
  /** HAPROXY_REMOTE_DB_FILE with the host, as in the note (RemoteNote.ts): what another remote holds says nothing. */
  readonly remote: string
  /** The life of the process that published in strict mode. */
  readonly by: string
  readonly state: State
}

const markFile = (file: string): string => `${file}.durable`

/** Bytes of the file; longer paths have no mark. */
const size = 1_024

/** The mark of a database; null without one that can be read. */
export const read = (file: string): DurableMark | null => {
  try {
    const value: unknown = JSON.parse(readFileSync(markFile(file), "utf8"))
    const { by, commits, life, lineage, remote } = (value ?? {}) as Readonly<Record<string, unknown>>
    return typeof remote === "string" && typeof by === "string" && typeof lineage === "string" &&
        typeof life === "string"
        && Number.isSafeInteger(commits)
      ? { remote, by, state: { lineage, life, commits: commits as number } }
      : null
  } catch {
    return null
  }
}

/** Overwrites the mark. Throws the file system's errors. */
export const write = (file: string, { by, remote, state }: DurableMark): void => {
  const { commits, life, lineage } = state
  const text = `${JSON.stringify({ remote, by, lineage, life, commits })}`
  const bytes = Buffer.alloc(size, " ")
  if (bytes.write(text) < Buffer.byteLength(text)) return
  bytes[size - 1] = 10
  const opened = openSync(markFile(file), constants.O_WRONLY | constants.O_CREAT, 0o600)
  try {
    writeSync(opened, bytes, 0, size, 0)
  } finally {
    closeSync(opened)
  }
}
