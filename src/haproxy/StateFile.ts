/**
 * The file of the legacy tools that save and restore servers: the text of `show servers state`, as HAProxy's own
 * `server-state-file` has it. Written as a whole or not at all (DurableFile.ts). HAProxy does not read it in our setups,
 * and nothing here depends on it: the desired state is in the database.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { readFile, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { StorageFailed } from "../domain/Errors.ts"
import { discard, identify, openFolder, publish, realTarget, stage, storageFailed } from "./DurableFile.ts"

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
  readonly write: (text: string) => Effect.Effect<void, StorageFailed>
  /** Null when there is none. */
  readonly read: Effect.Effect<SavedText | null, StorageFailed>
}

const writeFile = async (path: string, text: string): Promise<void> => {
  mkdirSync(dirname(path), { recursive: true })
  const target = realTarget(path)
  const staged = await stage(target, [Buffer.from(text)], identify(path))
  try {
    const folder = openFolder(dirname(target))
    try {
      publish(staged)
      await folder.sync()
    } finally {
      folder.close()
    }
  } finally {
    discard(staged)
  }
}

const readText = async (path: string): Promise<SavedText | null> => {
  if (identify(path) === null) return null
  const { mtimeMs, size } = await stat(path)
  if (size > longest) {
    throw new StorageFailed({
      message: `${path} has ${size} bytes, which is no state file of HAProxy's`,
      hint: "Correct HAPROXY_STATE_FILE."
    })
  }
  return { text: await readFile(path, "utf8"), savedAt: Math.round(mtimeMs) }
}

/** The state file at a path. */
export const make = (path: string): StateFile => ({
  path,
  write: (text) =>
    Effect.tryPromise({ try: () => writeFile(path, text), catch: (cause) => storageFailed("write", path, cause) }),
  read: Effect.tryPromise({ try: () => readText(path), catch: (cause) => storageFailed("read", path, cause) })
})
