/**
 * Files of this machine as a Disk. What waits for the disk (fsync, a write of more than {@link writeAtOnce} bytes) runs in
 * another thread; all other calls are synchronous: on the local disk that these files belong on they take microseconds,
 * a trip to another thread takes several times as long.
 */
import * as fs from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { type Disk, DiskError, type FileStat, type FolderEntry, type NewFile } from "../../domain/Disk.ts"

const fsync = promisify(fs.fsync)
const writev = promisify(fs.writev)
const readLarge = promisify(fs.readFile)

/** Bytes: what is copied into the page cache in well under a millisecond, so that nobody notices the wait. */
const writeAtOnce = 1 << 20
/** The same for what may have to come from the disk: a certificate, not a map. */
const readAtOnce = 64 << 10
/** Files that are looked at before others get their turn: a millisecond of work. */
const lookAtOnce = 500

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

/** Node's own `throwIfNoEntry` also takes a file in place of a folder for nothing. */
const ifThere = <A>(look: () => A): A | null => {
  try {
    return look()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null
    throw cause
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
    const made = fs.fstatSync(fd)
    const isOwned = how.owner === undefined || (made.uid === how.owner.uid && made.gid === how.owner.gid)
    if (!isOwned) fs.fchownSync(fd, how.owner.uid, how.owner.gid)
    // The umask may have taken bits away, and a change of owner clears some.
    if (!isOwned || (made.mode & 0o7777) !== how.mode) fs.fchmodSync(fd, how.mode)
    if (how.mtime !== undefined) fs.futimesSync(fd, how.mtime, how.mtime)
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

/**
 * Files that a rename replaced, held open by folder until its sync, so that the rename does not free their blocks: that
 * can take longer than a small write as a whole (ext4 with `discard`: 0.4 ms for a small file, 4 ms for 3 MB).
 */
const replaced = new Map<string, Array<number>>()

const close = (fd: number): void => fs.close(fd, () => {})

const letGo = (folder: string): void => {
  for (const fd of replaced.get(folder) ?? []) close(fd)
  replaced.delete(folder)
}

const rename = (from: string, to: string): void => {
  let old: number | null = null
  try {
    // Not to wait for a writer, should a pipe have come into its place.
    old = fs.openSync(to, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  } catch {
    // Nothing is replaced, or it cannot be held.
  }
  try {
    fs.renameSync(from, to)
  } catch (cause) {
    if (old !== null) close(old)
    throw cause
  }
  if (old === null) return
  const folder = dirname(to)
  const held = replaced.get(folder)
  if (held === undefined) replaced.set(folder, [old])
  else held.push(old)
}

const syncFolder = async (path: string): Promise<void> => {
  const fd = fs.openSync(path, "r")
  try {
    await fsync(fd)
  } finally {
    close(fd)
    letGo(path)
  }
}

const readFile = async (path: string, largest: number): Promise<Buffer | null> => {
  try {
    const found = fs.statSync(path)
    if (!found.isFile()) {
      throw new DiskError({
        code: found.isDirectory() ? "EISDIR" : "EINVAL",
        path,
        message: `${path} is not a regular file`
      })
    }
    if (found.size > largest) {
      throw new DiskError({ code: "EFBIG", path, message: `${path} has ${found.size} bytes` })
    }
    return found.size > readAtOnce ? await readLarge(path) : fs.readFileSync(path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null
    throw cause
  }
}

const list = async (folder: string): Promise<ReadonlyArray<FolderEntry>> => {
  const entries: Array<FolderEntry> = []
  let looked = 0
  for (const name of fs.readdirSync(folder)) {
    if (++looked % lookAtOnce === 0) await new Promise(setImmediate)
    const stats = fs.lstatSync(join(folder, name), { bigint: true, throwIfNoEntry: false })
    if (stats !== undefined) entries.push({ name, stat: toStat(stats) })
  }
  return entries
}

const makeFolder = (path: string, mode: number): void => {
  if (fs.mkdirSync(path, { recursive: true, mode: mode & 0o777 }) === undefined) return
  if ((fs.statSync(path).mode & 0o7777) !== mode) fs.chmodSync(path, mode)
}

/** The disk of this machine. */
export const localDisk: Disk = {
  isLocal: true,
  stat: (path) => attempt(path, () => ifThere(() => toStat(fs.statSync(path, { bigint: true })))),
  lstat: (path) => attempt(path, () => ifThere(() => toStat(fs.lstatSync(path, { bigint: true })))),
  realpath: (path) => attempt(path, () => fs.realpathSync.native(path)),
  readlink: (path) => attempt(path, () => fs.readlinkSync(path)),
  readFile: (path, largest = Infinity) => attempt(path, () => readFile(path, largest)),
  readdir: (path) => attempt(path, () => fs.readdirSync(path)),
  list: (path) => attempt(path, () => list(path)),
  checkWritable: (folder) => attempt(folder, () => fs.accessSync(folder, fs.constants.W_OK | fs.constants.X_OK)),
  writeNew: (path, parts, how) => attempt(path, () => writeNew(path, parts, how)),
  rename: (from, to) => attempt(to, () => rename(from, to)),
  renameNew: (from, to) =>
    attempt(to, () => {
      // There is no rename without replacing in Node: a second name, which the system refuses where one is, then one less.
      fs.linkSync(from, to)
      fs.unlinkSync(from)
    }),
  link: (existing, added) => attempt(added, () => fs.linkSync(existing, added)),
  unlink: (path) => attempt(path, () => fs.unlinkSync(path)),
  syncFolder: (path) => attempt(path, () => syncFolder(path)),
  makeFolder: (path, mode) => attempt(path, () => makeFolder(path, mode))
}
