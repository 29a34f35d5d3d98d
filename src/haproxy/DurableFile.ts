/**
 * Files that are there as a whole or as they were before, also after a power cut.
 *
 * A file is replaced by a temp file in the same folder, written, fsynced and renamed over it, and the folder is
 * fsynced: without the last step a power cut brings the old file back. {@link stage} and {@link publish} are apart
 * so that several files can be prepared first and then changed together. A symbolic link stays: the file that it
 * leads to is replaced. Mode, owner and group of an existing file are kept.
 * Not here: what to do about a change by someone else; {@link identify} tells that there was one.
 *
 * What waits for the disk (fsync, and a write of more than {@link writeAtOnce} bytes) runs in another thread. All
 * other calls are synchronous: on the local disk that these files belong on they take microseconds, a trip to
 * another thread takes several times as long, and a look and the rename after it cannot be torn apart.
 */
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { promisify } from "node:util"
import { StorageFailed } from "../domain/Errors.ts"

/** What tells one content of a file from another without reading it, and what a replacement keeps. */
export interface FileIdentity {
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** A complete, durable temp file that waits for its rename. */
export interface StagedFile {
  readonly target: string
  readonly temp: string
  /** Of the file that the rename will put in place. */
  readonly identity: FileIdentity
}

/** Readable by HAProxy's own user: for files without secrets. */
const publicMode = 0o644

const tempMark = ".haproxy-mcp-"
const tempPattern = /^\.(.+)\.haproxy-mcp-[0-9a-f]{12}$/

const hints: { readonly [code: string]: string } = {
  ENOSPC: "The disk is full: make room and repeat the call.",
  EDQUOT: "The disk quota is used up: make room and repeat the call.",
  EFBIG: "The file would be larger than this process may write: raise its file size limit.",
  EROFS: "The folder is mounted read-only: mount it writable.",
  EACCES: "Give the user of haproxy-mcp the right to write in the folder.",
  EPERM: "Give the user of haproxy-mcp the right to write in the folder and to keep the file's owner and group.",
  EIO: "The disk fails: check it.",
  ENOENT: "The folder does not exist: create or mount it.",
  ENOTDIR: "A part of the path is not a folder: correct the path.",
  EISDIR: "The path is a folder: name a file.",
  ENOTEMPTY: "The path is a folder: name a file.",
  EBUSY: "The file itself is a mount, which cannot be replaced: mount its folder instead.",
  EXDEV: "The file itself is a mount, which cannot be replaced: mount its folder instead.",
  ELOOP: "The path is a loop of symbolic links: correct it.",
  ENAMETOOLONG: "The name is too long for a file: choose a shorter one."
}

/** The error code of a failed system call, or the empty text. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" ? cause.code : ""

/** A failed file operation as the operator should see it; defects pass. */
export const storageFailed = (action: string, path: string, cause: unknown): StorageFailed => {
  if (cause instanceof StorageFailed) return cause
  const code = codeOf(cause)
  if (code === "") throw cause
  return new StorageFailed({
    message: `Cannot ${action} ${path} (${code}).`,
    hint: hints[code] ?? "Check the folder and its disk."
  })
}

const toIdentity = (stats: fs.BigIntStats): FileIdentity => ({
  ino: stats.ino,
  size: stats.size,
  mtimeNs: stats.mtimeNs,
  mode: Number(stats.mode & 0o7777n),
  uid: Number(stats.uid),
  gid: Number(stats.gid)
})

/** The identity of the file at a path (through symbolic links), or null when there is none. */
export const identify = (path: string): FileIdentity | null => {
  try {
    const stats = fs.statSync(path, { bigint: true })
    if (stats.isFile()) return toIdentity(stats)
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null
    throw storageFailed("look at", path, cause)
  }
  throw new StorageFailed({ message: `${path} is not a regular file.`, hint: "Name a regular file, or none yet." })
}

/** Are two files one and the same, unchanged? */
export const sameIdentity = (a: FileIdentity | null, b: FileIdentity | null): boolean =>
  a === null || b === null
    ? a === b
    : a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.mode === b.mode && a.uid === b.uid
      && a.gid === b.gid

/** For cleaning up: a failure changes nothing. */
const attempt = (run: () => void): void => {
  try {
    run()
  } catch {
    // A temp file that stays is removed by {@link sweep}.
  }
}

/** Calls `run`; false when it fails with one of `codes`. */
const unless = (codes: ReadonlyArray<string>, run: () => void): boolean => {
  try {
    run()
    return true
  } catch (cause) {
    if (codes.includes(codeOf(cause))) return false
    throw cause
  }
}

/** Where a path leads through symbolic links; the last part, or what it links to, need not exist. */
export const realTarget = (path: string): string => {
  let next = resolve(path)
  try {
    for (let links = 0; links < 40; links++) {
      const real = join(fs.realpathSync.native(dirname(next)), basename(next))
      let link = ""
      if (!unless(["EINVAL", "ENOENT"], () => link = fs.readlinkSync(real))) return real
      next = resolve(dirname(real), link)
    }
  } catch (cause) {
    throw storageFailed("find", path, cause)
  }
  throw new StorageFailed({ message: `Cannot find ${path} (ELOOP).`, hint: hints["ELOOP"]! })
}

const fsync = promisify(fs.fsync)
const writev = promisify(fs.writev)

/** Bytes: what is copied into the page cache in well under a millisecond, so that nobody notices the wait. */
const writeAtOnce = 1 << 20

const writeAll = async (fd: number, parts: ReadonlyArray<Uint8Array>): Promise<void> => {
  let rest = parts.filter((part) => part.byteLength > 0)
  const isSmall = rest.reduce((sum, part) => sum + part.byteLength, 0) <= writeAtOnce
  while (rest.length > 0) {
    // A short write is the last answer before an error, which the next one gets.
    let written = isSmall ? fs.writevSync(fd, rest) : (await writev(fd, rest)).bytesWritten
    let whole = 0
    for (; whole < rest.length && written >= rest[whole]!.byteLength; whole++) {
      written -= rest[whole]!.byteLength
    }
    rest = rest.slice(whole)
    if (written > 0) rest[0] = rest[0]!.subarray(written)
  }
}

/** Gives the temp file the owner and group of the file it replaces; fails where HAProxy might lose sight of it. */
const keepOwner = (fd: number, target: string, like: FileIdentity): void => {
  const change = (uid: number) => unless(["EPERM"], () => fs.fchownSync(fd, uid, like.gid))
  if (change(like.uid)) return
  const readable = change(-1) ? 0o044 : 0o004
  if ((like.mode & readable) === 0) {
    throw new StorageFailed({
      message: `Cannot keep owner and group of ${target}: HAProxy could no longer read it.`,
      hint: "Run haproxy-mcp as the file's owner, or make the file readable by everyone (mode 0644)."
    })
  }
}

/** A free name beside a path for a file that {@link sweep} removes. */
export const tempBeside = (path: string): string =>
  join(dirname(path), `.${basename(path)}${tempMark}${randomBytes(6).toString("hex")}`)

/** The name that a temp file was made for; null when it is none of ours. */
export const tempOf = (name: string): string | null => tempPattern.exec(name)?.[1] ?? null

/**
 * Writes a temp file beside `target` (a path that {@link realTarget} answered) and makes its content durable.
 * Mode, owner and group come from `like`, or, for a new file, from `newMode` and this process.
 * A failure leaves no temp file behind.
 */
export const stage = async (
  target: string,
  parts: ReadonlyArray<Uint8Array>,
  like: FileIdentity | null,
  newMode = publicMode
): Promise<StagedFile> => {
  const temp = tempBeside(target)
  const mode = like?.mode ?? newMode
  try {
    const fd = fs.openSync(temp, "wx", mode & 0o777)
    try {
      await writeAll(fd, parts)
      const made = toIdentity(fs.fstatSync(fd, { bigint: true }))
      const isOwned = like === null || (made.uid === like.uid && made.gid === like.gid)
      if (!isOwned) keepOwner(fd, target, like)
      // The umask may have taken bits away, and a change of owner clears some.
      if (!isOwned || made.mode !== mode) fs.fchmodSync(fd, mode)
      await fsync(fd)
      return { target, temp, identity: toIdentity(fs.fstatSync(fd, { bigint: true })) }
    } finally {
      fs.closeSync(fd)
    }
  } catch (cause) {
    attempt(() => fs.unlinkSync(temp))
    throw storageFailed("write", target, cause)
  }
}

/** Puts a staged file in place. Durable only after the folder's sync. On failure the old file stands. */
export const publish = ({ target, temp }: StagedFile): void => {
  try {
    fs.renameSync(temp, target)
  } catch (cause) {
    throw storageFailed("replace", target, cause)
  }
}

/** Removes a staged file that is not wanted; one that was published is gone already. */
export const discard = ({ temp }: StagedFile): void => attempt(() => fs.unlinkSync(temp))

/** Something held open. */
export interface Held {
  /** Lets go of it, in another thread. Nobody needs to wait for that. */
  readonly close: () => void
}

const held = (fd: number): Held => ({ close: () => fs.close(fd, () => {}) })

/**
 * Holds the file at a path that is to be replaced, so that the rename does not free its blocks: that can take longer
 * than a small write as a whole (ext4 with `discard`: 0.4 ms for a small file, 4 ms for 3 MB). Let go after the sync.
 */
export const holdOld = (path: string): Held => {
  try {
    // Not to wait for a writer, should a pipe have come into its place.
    return held(fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK))
  } catch {
    return { close: () => {} }
  }
}

/** A folder, opened before its names change, so that making them durable is one step. */
export interface OpenFolder extends Held {
  /** Makes the names in the folder durable. */
  readonly sync: () => Promise<void>
}

/** Opens a folder for {@link OpenFolder.sync}. */
export const openFolder = (path: string): OpenFolder => {
  const failed = (cause: unknown): never => {
    throw storageFailed("make durable what was written in", path, cause)
  }
  try {
    const fd = fs.openSync(path, "r")
    return { ...held(fd), sync: () => fsync(fd).catch(failed) }
  } catch (cause) {
    return failed(cause)
  }
}

/** Removes temp files that a crashed run left beside the file at a path; never fails. */
export const sweep = (path: string): void =>
  attempt(() => {
    const target = realTarget(path)
    for (const name of fs.readdirSync(dirname(target))) {
      if (tempOf(name) === basename(target)) attempt(() => fs.unlinkSync(join(dirname(target), name)))
    }
  })
