/**
 * A copy of a database file to look at, without opening the file itself: opening could recover its log, migrate it or
 * take the lock of the process that serves.
 *
 * The write-ahead log holds commits, so it comes along. A copy counts only when neither file changed while it was made;
 * then it holds every commit acknowledged before. Not a backup: it lies in the system's folder for temporary files and
 * goes with the scope.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { copyFile, mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"

/** Why there is no copy. `busy`: it was written to at every attempt. */
export type NoCopy = "absent" | "busy" | "unreadable" | "too large"

/** Attempts while somebody writes. */
const attempts = 5

const stampOf = (path: string): Promise<string> =>
  stat(path, { bigint: true }).then(
    ({ ino, mtimeNs, size }) => `${ino} ${size} ${mtimeNs}`,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "absent"
      throw error
    }
  )

/** The path of a copy of at most `largest` bytes (log not counted). */
export const copyOf = (file: string, largest = Infinity): Effect.Effect<string, NoCopy, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-look-"))),
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  ).pipe(
    Effect.flatMap((folder) =>
      Effect.tryPromise({
        try: async (): Promise<{ readonly copy: string } | NoCopy> => {
          const files = [file, `${file}-wal`] as const
          const copy = join(folder, basename(file))
          for (let attempt = 0; attempt < attempts; attempt++) {
            const before = await Promise.all(files.map(stampOf))
            if (before[0] === "absent") return "absent"
            if ((await stat(file)).size > largest) return "too large"
            await copyFile(file, copy)
            if (before[1] === "absent") await rm(`${copy}-wal`, { force: true })
            else await copyFile(files[1], `${copy}-wal`).catch(() => undefined)
            const after = await Promise.all(files.map(stampOf))
            if (before.every((stamp, index) => stamp === after[index])) return { copy }
          }
          return "busy"
        },
        catch: (): NoCopy => "unreadable"
      })
    ),
    Effect.flatMap((made) => typeof made === "string" ? Effect.fail(made) : Effect.succeed(made.copy))
  )
