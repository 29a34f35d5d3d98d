/**
 * Files of this machine as a Disk. What waits for the disk (fsync, a write of more than {@link writeAtOnce} bytes) runs in
 * another thread; all other calls are synchronous: on the local disk that these files belong on they take microseconds,
 * a trip to another thread takes several times as long.
 */
import * as fs from "node:fs"
import { promisify } from "node:util"
import { type Disk, DiskError, type FileStat, type NewFile } from "../../domain/Disk.ts"

const fsync = promisify(fs.fsync)
const writev = promisify(fs.writev)
const readFile = promisify(fs.readFile)

/** Bytes: what is copied into the page cache in well under a millisecond, so that nobody notices the wait. */
const writeAtOnce = 1 << 20

/** A failed system call as a DiskError; defects pass. */
const failed = (path: string, cause: unknown): unknown => {
  if (cause instanceof DiskError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? new DiskError({ code, path, message }) : cause
}

const attempt = async <A>(path: string, run: () => A | Promise<A>): Promise<A> => {
  try {
    return await run()
  } catch (cause) {
    throw failed(path, cause)
  }
}

const toStat = (stats: fs.BigIntStats): FileStat => ({
  kind: stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "other",
  size: stats.size,
  ino: stats.ino,
  mtimeNs: stats.mtimeNs,
  mode: Number(stats.mode & 0o7777n),
  uid: Number(stats.uid),
  gid: Number(stats.gid)
})

const writeAll = async (fd: number, parts: ReadonlyArray<Uint8Array>): Promise<void> => {
  let rest = parts.filter((part) => part.byteLength > 0)
  const isSmall = rest.reduce((sum, part) => sum + part.byteLength, 0) <= writeAtOnce
  while (rest.length > 0) {
    // A short write is the last answer before an error, which the next one gets.
    let written = isSmall ? fs.writevSync(fd, rest) : (await writev(fd, rest)).bytesWritten
    let whole = 0
    for (; whole < rest.length && written >= rest[whole]!.byteLength; whole++) written -= rest[whole]!.byteLength
    rest = rest.slice(whole)
    if (written > 0) rest[0] = rest[0]!.subarray(written)
  }
}

const writeNew = async (path: string, parts: ReadonlyArray<Uint8Array>, how: NewFile): Promise<FileStat> => {
  const fd = fs.openSync(path, "wx", how.mode & 0o777)
  try {
    await writeAll(fd, parts)
    if (how.owner !== undefined) fs.fchownSync(fd, how.owner.uid, how.owner.gid)
    // The umask may have taken bits away, and a change of owner clears some.
    if ((fs.fstatSync(fd).mode & 0o7777) !== how.mode) fs.fchmodSync(fd, how.mode)
    await fsync(fd)
    return toStat(fs.fstatSync(fd, { bigint: true }))
  } catch (cause) {
    try {
      fs.unlinkSync(path)
    } catch {
      // What stays has a temp name, which is swept.
    }
    throw cause
  } finally {
    fs.closeSync(fd)
  }
}

const syncFolder = async (path: string): Promise<void> => {
  const fd = fs.openSync(path, "r")
  try {
    await fsync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** The disk of this machine. */
export const localDisk: Disk = {
  isLocal: true,
  stat: (path) =>
    attempt(path, () => {
      const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
      return stats === undefined ? null : toStat(stats)
    }),
  lstat: (path) =>
    attempt(path, () => {
      const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
      return stats === undefined ? null : toStat(stats)
    }),
  realpath: (path) => attempt(path, () => fs.realpathSync.native(path)),
  readlink: (path) => attempt(path, () => fs.readlinkSync(path)),
  readFile: (path, largest = Infinity) =>
    attempt(path, async () => {
      try {
        const { size } = fs.statSync(path)
        if (size > largest) throw new DiskError({ code: "EFBIG", path, message: `${path} has ${size} bytes` })
        return await readFile(path)
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null
        throw cause
      }
    }),
  readdir: (path) => attempt(path, () => fs.readdirSync(path)),
  writeNew: (path, parts, how) => attempt(path, () => writeNew(path, parts, how)),
  rename: (from, to) => attempt(to, () => fs.renameSync(from, to)),
  renameNew: (from, to) =>
    attempt(to, () => {
      // There is no rename without replacing in Node: a second name, which the system refuses where one is, then one less.
      fs.linkSync(from, to)
      fs.unlinkSync(from)
    }),
  link: (existing, added) => attempt(added, () => fs.linkSync(existing, added)),
  unlink: (path) => attempt(path, () => fs.unlinkSync(path)),
  syncFolder: (path) => attempt(path, () => syncFolder(path)),
  makeFolder: (path, mode) => attempt(path, () => void fs.mkdirSync(path, { recursive: true, mode }))
}
