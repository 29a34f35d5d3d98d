/**
 * Records in which order a piece of work in this process flushes files and folders and gives names, by `node:fs`: a lost flush shows
 * without cutting any power. Files are told by their inodes, since names change.
 */
import fs, { type PathLike } from "node:fs"
import { open } from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { dirname } from "node:path"

/** `flush`: an fsync has ended. `name`: a name for a file has been made; `path` is the new one. */
export type DiskStep =
  | { readonly what: "flush"; readonly ino: bigint }
  | { readonly what: "name"; readonly ino: bigint; readonly path: string }

/** The inode at a path. */
export const inodeOf = (path: PathLike): bigint => fs.lstatSync(path, { bigint: true }).ino

/** Runs the work, whose calls go through; answers its steps. Nothing else may work with files meanwhile. */
export const recordDiskSteps = async (work: () => Promise<unknown>): Promise<ReadonlyArray<DiskStep>> => {
  const steps: Array<DiskStep> = []
  const { fsyncSync, linkSync, renameSync } = fs
  const handle = await open(import.meta.filename)
  const prototype = Object.getPrototypeOf(handle) as { sync: (this: { readonly fd: number }) => Promise<void> }
  await handle.close()
  const { sync } = prototype
  const flushed = (fd: number) => steps.push({ what: "flush", ino: fs.fstatSync(fd, { bigint: true }).ino })
  const named = (path: PathLike) => steps.push({ what: "name", ino: inodeOf(path), path: String(path) })
  fs.fsyncSync = (fd) => {
    fsyncSync(fd)
    flushed(fd)
  }
  fs.renameSync = (from, to) => {
    renameSync(from, to)
    named(to)
  }
  fs.linkSync = (from, to) => {
    linkSync(from, to)
    named(to)
  }
  prototype.sync = async function() {
    await sync.call(this)
    flushed(this.fd)
  }
  syncBuiltinESMExports()
  try {
    await work()
  } finally {
    Object.assign(fs, { fsyncSync, linkSync, renameSync })
    prototype.sync = sync
    syncBuiltinESMExports()
  }
  return steps
}

/**
 * The names in a folder that were given to what was not flushed before, or were not flushed with the folder after; in words. Marks
 * of who owns a database (`.owner`) mean nothing after a power cut.
 */
export const notDurable = (steps: ReadonlyArray<DiskStep>, folder: string): ReadonlyArray<string> => {
  const at = inodeOf(folder)
  return steps.flatMap((step, index) => {
    if (step.what !== "name" || dirname(step.path) !== folder || step.path.endsWith(".owner")) return []
    const flushes = (from: number, to: number, ino: bigint) =>
      steps.slice(from, to).some((other) => other.what === "flush" && other.ino === ino)
    return [
      ...(flushes(0, index, step.ino) ? [] : [`${step.path} was named before its content was flushed`]),
      ...(flushes(index + 1, steps.length, at) ? [] : [`${step.path} was named, and its folder was not flushed after`])
    ]
  })
}
