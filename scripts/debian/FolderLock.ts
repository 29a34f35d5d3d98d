/**
 * A lock between processes, named by a file. The kernel holds it (flock(2), through the `flock` of util-linux, an
 * essential Debian package), so there is no stale lock: it is gone with the process that held it, however that died.
 * The empty file stays; removing it would let two holders lock two different files of one name.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { programMissing } from "./Command.ts"
import { FetchFailure } from "./FetchFailure.ts"

/** Runs `body` while holding the lock on `file`; waits for other holders up to `waitSeconds`, then fails `Locked`. */
export const withFolderLock = async <A>(file: string, waitSeconds: number, body: () => Promise<A>): Promise<A> => {
  // `cat` ends when our end of its stdin closes: at release, or when this process dies.
  // Not `flock -c`, which takes the user's shell: bash with a socket as its input reads ~/.bashrc, whatever that does.
  const holder = spawn("flock", ["-w", String(waitSeconds), file, "sh", "-c", "echo held; exec cat > /dev/null"], {
    stdio: ["pipe", "pipe", "pipe"]
  })
  const ended = new Promise<void>((resolve) => holder.on("close", () => resolve()))
  // The child may be gone already when its stdin is closed below.
  holder.stdin.on("error", () => {})
  let complaint = ""
  holder.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  const held = await Promise.race([
    once(holder.stdout, "data").then(() => true),
    once(holder, "error").catch((cause: unknown) => cause).then(() => false),
    ended.then(() => false)
  ])
  if (!held) {
    throw holder.pid === undefined
      ? programMissing("flock", undefined)
      : new FetchFailure(
        "Locked",
        `the lock ${file} was not to be had within ${waitSeconds} s${complaint === "" ? "" : `: ${complaint.trim()}`}`,
        "Another run is fetching into the same folder. Wait for it, or end it, and try again."
      )
  }
  try {
    return await body()
  } finally {
    holder.stdin.end()
    await ended
  }
}
