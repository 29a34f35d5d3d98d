/**
 * The verb behind `haproxy-mcp backup` while a control plane runs: it alone has the database open, so it writes a copy
 * beside it, and the asking process takes that copy, checks it and puts it where it belongs. Beside the database, because
 * that is a folder in which a confined service may write.
 *
 * Guarantees: the copy holds every write acknowledged before; writes wait only for the reading of the database (Snapshot.ts
 * says how long), not for the disk. A copy that nobody fetched (its asker was killed) goes with the next one.
 */
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { ControlError } from "../../domain/Errors.ts"
import { storageFailed } from "../../haproxy/DurableFile.ts"
import * as Snapshot from "../../store/Snapshot.ts"
import { Store } from "../../store/Store.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import type { ProgramServices } from "../Services.ts"

export interface CopyDatabaseInput {
  /** The asking process: while it lives the copy stays. */
  readonly pid: number
}

export interface CopyDatabaseAnswer extends Answer {
  /** Path of the copy; the asker removes it. */
  readonly file: string
  readonly revision: number
  readonly bytes: number
}

/** Kind of the drafts that hold such copies. */
export const copies = "copy"

/** Writes a copy beside the database. */
export const copyDatabase = Tracing.fn("copyDatabase")(function*(
  { pid }: CopyDatabaseInput
): Effect.fn.Return<CopyDatabaseAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const database = resolve(store.path)
  const { bytes, revision } = yield* store.image
  const file = Snapshot.draftBeside(database, copies, pid)
  yield* Effect.tryPromise({
    try: async () => {
      Snapshot.sweep(database, readdirSync(dirname(database)), copies)
      await Snapshot.writeNew(file, bytes)
    },
    catch: (cause) => storageFailed("write a copy of the database,", file, cause)
  })
  return { summary: `A copy of revision ${revision} is in ${file}`, file, revision, bytes: bytes.byteLength }
})
