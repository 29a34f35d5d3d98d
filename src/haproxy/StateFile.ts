/**
 * The file of the legacy tools that save and restore servers: the text of `show servers state`, as HAProxy's own
 * `server-state-file` has it. Written as a whole or not at all (DurableFile.ts). HAProxy does not read it in our setups,
 * and nothing here depends on it: the desired state is in the database.
 */
import * as Effect from "effect/Effect"
import { dirname } from "node:path"
import { type Disk, DiskError } from "../domain/Disk.ts"
import { type FileFailure, StorageFailed } from "../domain/Errors.ts"
import { fileFailed, identify, replace } from "./DurableFile.ts"

/** Bytes of a state file that is read: 100,000 servers fit. */
const longest = 32 * 1024 * 1024

/** A saved text and when it was saved. */
export interface SavedText {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly savedAt: number
}

/** The state file. */
export interface StateFile {
  readonly path: string
  /** Replaces it; durable when done. Its folder is made when it is not there. */
  readonly write: (text: string) => Effect.Effect<void, FileFailure>
  /** Null when there is none. */
  readonly read: Effect.Effect<SavedText | null, FileFailure>
}

const writeFile = async (disk: Disk, path: string, text: string): Promise<void> => {
  if (await disk.stat(dirname(path)) === null) await disk.makeFolder(dirname(path), 0o755)
  await replace(disk, path, [Buffer.from(text)], { keepTime: true })
}

const readText = async (disk: Disk, path: string): Promise<SavedText | null> => {
  const found = await identify(disk, path)
  try {
    const bytes = found === null ? null : await disk.readFile(path, longest)
    return found === null || bytes === null
      ? null
      : { text: bytes.toString("utf8"), savedAt: Number(found.mtimeNs / 1_000_000n) }
  } catch (cause) {
    if (!(cause instanceof DiskError) || cause.code !== "EFBIG") throw cause
    throw new StorageFailed({
      message: `${cause.message}, which is no state file of HAProxy's`,
      hint: "Correct HAPROXY_STATE_FILE."
    })
  }
}

/** The state file at a path. */
export const make = (disk: Disk, path: string): StateFile => ({
  path,
  write: (text) =>
    Effect.tryPromise({ try: () => writeFile(disk, path, text), catch: (cause) => fileFailed("write", path, cause) }),
  read: Effect.tryPromise({ try: () => readText(disk, path), catch: (cause) => fileFailed("read", path, cause) })
})
