/**
 * Listening on a unix socket, for the admin socket and for MCP itself.
 *
 * The socket file appears with its mode, never with a wider one for a moment: it is bound and restricted under a
 * name of its own and linked to the real one. A file that a dead process left is replaced; one that somebody
 * listens on is never touched. At the end only our own file is removed. A folder that others may write to is
 * refused (they could put their own socket there), but for one with the sticky bit.
 */
import * as Effect from "effect/Effect"
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs"
import { connect, type Server } from "node:net"
import { dirname } from "node:path"
import { ConfigInvalid, Conflict } from "../domain/Errors.ts"

/** Longest path of a unix socket on Linux: sun_path has 108 bytes with its end (unix(7)). */
const longestPath = 107

const errorCode = (error: unknown): string => String((error as NodeJS.ErrnoException).code ?? "UNKNOWN")

const invalid = (path: string, message: string, hint: string) =>
  new ConfigInvalid({ message: `Unix socket ${path} ${message}`, hint })

/** Does somebody listen there? `stale`: a file that nobody listens on. */
const probe = (path: string): Effect.Effect<"live" | "stale" | "absent"> =>
  Effect.callback((resume) => {
    const socket = connect(path)
    const end = (state: "live" | "stale" | "absent") => {
      socket.destroy()
      resume(Effect.succeed(state))
    }
    socket.once("connect", () => end("live"))
    // A full backlog (EAGAIN) or a socket that we may not open (EACCES) is somebody's.
    socket.once("error", (error) =>
      end(errorCode(error) === "ECONNREFUSED" ? "stale" : errorCode(error) === "ENOENT" ? "absent" : "live"))
  })

const inode = (path: string): number | null => {
  try {
    return statSync(path).ino
  } catch {
    return null
  }
}

const prepareFolder = (path: string): ConfigInvalid | null => {
  const folder = dirname(path)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { mode } = statSync(folder)
    return (mode & 0o022) !== 0 && (mode & 0o1000) === 0
      ? invalid(path, "lies in a folder that others may write to", `Use a folder of your own, or chmod go-w ${folder}`)
      : null
  } catch (error) {
    return invalid(
      path,
      `lies in a folder that cannot be used (${errorCode(error)})`,
      "Make the folder, or name another."
    )
  }
}

/** Gives the bound file its real name, unless somebody listens there. */
const takeName = Effect.fnUntraced(function*(
  bound: string,
  path: string
): Effect.fn.Return<void, ConfigInvalid | Conflict> {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      linkSync(bound, path)
      return
    } catch (error) {
      if (errorCode(error) !== "EEXIST") {
        return yield* invalid(path, `cannot be made (${errorCode(error)})`, "Check the folder's permissions.")
      }
    }
    const before = inode(path)
    if ((yield* probe(path)) === "live") {
      return yield* new Conflict({
        message: `Unix socket ${path} is in use by a running process`,
        hint: "Stop that process, or name another socket."
      })
    }
    // Moved aside first: if another process put a live one there meanwhile, it goes back.
    const aside = `${bound}.old`
    try {
      renameSync(path, aside)
      if (inode(aside) !== before) linkSync(aside, path)
      rmSync(aside, { force: true })
    } catch {
      // Somebody else was faster; look again.
    }
  }
  return yield* invalid(path, "is being taken by another process", "Start one process only.")
})

/** Listens on a path with a mode. The server's own close removes nothing of others. */
export const listenUnix = Effect.fnUntraced(
  function*(server: Server, path: string, mode: number): Effect.fn.Return<void, ConfigInvalid | Conflict> {
    const bound = `${path}.${process.pid}`
    if (Buffer.byteLength(`${bound}.old`) > longestPath) {
      return yield* invalid(path, "has too long a path", `Use at most ${longestPath - 12} characters.`)
    }
    const unusable = prepareFolder(path)
    if (unusable !== null) return yield* unusable
    rmSync(bound, { force: true })
    yield* Effect.callback<void, ConfigInvalid>((resume) => {
      const failed = (error: Error) =>
        resume(
          Effect.fail(invalid(path, `cannot be listened on (${errorCode(error)})`, "Check the folder's permissions."))
        )
      server.once("error", failed)
      // Bound within this call, so nobody ever sees a wider mode.
      const umask = process.umask(0o777 & ~mode)
      server.listen({ path: bound, backlog: 256 }, () => {
        server.off("error", failed)
        resume(Effect.void)
      })
      process.umask(umask)
    })
    chmodSync(bound, mode)
    const own = inode(bound)
    server.once("close", () => {
      if (inode(path) === own) rmSync(path, { force: true })
    })
    yield* Effect.onError(takeName(bound, path), () => Effect.sync(() => server.close()))
    rmSync(bound, { force: true })
  }
)
