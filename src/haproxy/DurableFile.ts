/**
 * Files that are there as a whole or as they were before, also after a power cut, on this machine's disk or on that of
 * HAProxy's host (domain/Disk.ts).
 *
 * A file is replaced by a temp file in the same folder, written, fsynced and renamed over it, and the folder is
 * fsynced: without the last step a power cut brings the old file back. {@link stage} and {@link publish} are apart
 * so that several files can be prepared first and then changed together. A symbolic link stays: the file that it
 * leads to is replaced. Mode, owner and group of an existing file are kept.
 *
 * Failures are {@link FileFailure}: a refusal of the file system, after which the step did not happen; or the loss of
 * the host, after which nobody knows. Not here: what to do about a change by someone else; {@link identify} tells that
 * there was one.
 *
 * Over SFTP a file's identity has no inode and whole seconds only. A file of ours therefore gets a time of change that
 * lies some seconds in the past ({@link stage}): whatever another program writes afterwards, even in the same second and
 * in the same length, has another one.
 */
import { randomBytes, randomInt } from "node:crypto"
import { basename, dirname, join, resolve } from "node:path"
import { type Disk, DiskError, type FileStat } from "../domain/Disk.ts"
import { type FileFailure, RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"

/** What a replacement keeps of the file before. */
export type Kept = Pick<FileStat, "mode" | "uid" | "gid">

/** A complete, durable temp file that waits for its rename. */
export interface StagedFile {
  readonly target: string
  readonly temp: string
  /** Of the file that the rename will put in place. */
  readonly identity: FileStat
}

/** How {@link stage} makes a file. */
export interface StageOptions {
  /** Of a new file. */
  readonly mode?: number
  /** Its time of change means something to somebody: it stays that of the write. */
  readonly keepTime?: boolean
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
  // SFTP has no word of its own for the next.
  EINVAL: "The name is too long for a file, or none that the disk takes: choose another.",
  ENAMETOOLONG: "The name is too long for a file: choose a shorter one."
}

/** The error code of a failed system call, or the empty text. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string" ? cause.code : ""

/** A failed file operation as the operator should see it; defects pass. */
export const fileFailed = (action: string, path: string, cause: unknown): FileFailure =>
  cause instanceof RemoteUnreachable ? cause : storageFailed(action, path, cause)

/** The same for a disk that is not lost, because it is this machine's. */
export const storageFailed = (action: string, path: string, cause: unknown): StorageFailed => {
  if (cause instanceof StorageFailed) return cause
  const code = codeOf(cause)
  if (code === "" || cause instanceof RemoteUnreachable) throw cause
  return new StorageFailed({
    message: `Cannot ${action} ${path} (${code}).`,
    hint: hints[code] ?? "Check the folder and its disk."
  })
}

/** The identity of the file at a path (through symbolic links), or null when there is none. */
export const identify = async (disk: Disk, path: string): Promise<FileStat | null> => {
  let found: FileStat | null
  try {
    found = await disk.stat(path)
  } catch (cause) {
    throw fileFailed("look at", path, cause)
  }
  if (found === null || found.kind === "file") return found
  throw new StorageFailed({ message: `${path} is not a regular file.`, hint: "Name a regular file, or none yet." })
}

/** Are two files one and the same, unchanged? */
export const sameIdentity = (a: FileStat | null, b: FileStat | null): boolean =>
  a === null || b === null
    ? a === b
    : a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs && a.mode === b.mode && a.uid === b.uid
      && a.gid === b.gid

/** Where a path leads through symbolic links; the last part, or what it links to, need not exist. */
export const realTarget = async (disk: Disk, path: string): Promise<string> => {
  let next = resolve(path)
  try {
    for (let links = 0; links < 40; links++) {
      const [folder, found] = await Promise.all([disk.realpath(dirname(next)), disk.lstat(next)])
      const real = join(folder, basename(next))
      if (found?.kind !== "link") return real
      next = resolve(dirname(real), await disk.readlink(real))
    }
  } catch (cause) {
    throw fileFailed("find", path, cause)
  }
  throw new StorageFailed({ message: `Cannot find ${path} (ELOOP).`, hint: hints["ELOOP"]! })
}

/** A free name beside a path for a file that {@link sweep} removes. */
export const tempBeside = (path: string): string =>
  join(dirname(path), `.${basename(path)}${tempMark}${randomBytes(6).toString("hex")}`)

/** The name that a temp file was made for; null when it is none of ours. */
export const tempOf = (name: string): string | null => tempPattern.exec(name)?.[1] ?? null

/** Seconds by which a file of ours is made to look older on another host, and up to as many more. */
const backdated = 10
const spread = 60

const isRefused = (cause: unknown): boolean => cause instanceof DiskError && cause.code === "EPERM"

/**
 * Writes a temp file that has the owner and group of the one it replaces, or as much of that as we may give; fails where
 * HAProxy might lose sight of it.
 */
const writeLike = async (
  disk: Disk,
  target: string,
  temp: string,
  parts: ReadonlyArray<Uint8Array>,
  like: Kept,
  mtime: { readonly mtime?: number }
): Promise<FileStat> => {
  const { gid, mode, uid } = like
  try {
    return await disk.writeNew(temp, parts, { mode, owner: { uid, gid }, ...mtime })
  } catch (cause) {
    if (!isRefused(cause)) throw cause
  }
  let made = await disk.writeNew(temp, parts, { mode, ...mtime })
  if (made.gid !== gid) {
    const group = { mode, owner: { uid: made.uid, gid }, ...mtime }
    await disk.unlink(temp)
    made = await disk.writeNew(temp, parts, group).catch((cause: unknown) => {
      if (!isRefused(cause)) throw cause
      return disk.writeNew(temp, parts, { mode, ...mtime })
    })
  }
  if ((mode & (made.gid === gid ? 0o044 : 0o004)) === 0) {
    throw new StorageFailed({
      message: `Cannot keep owner and group of ${target}: HAProxy could no longer read it.`,
      hint: "Run haproxy-mcp as the file's owner, or make the file readable by everyone (mode 0644)."
    })
  }
  return made
}

/**
 * Writes a temp file beside `target` (a path that {@link realTarget} answered) and makes its content durable.
 * Mode, owner and group come from `like`, or, for a new file, from the options and this process.
 * A failure leaves no temp file behind, as far as the host still answers.
 */
export const stage = async (
  disk: Disk,
  target: string,
  parts: ReadonlyArray<Uint8Array>,
  like: Kept | null,
  { keepTime = false, mode = publicMode }: StageOptions = {}
): Promise<StagedFile> => {
  const temp = tempBeside(target)
  const mtime = disk.isLocal || keepTime
    ? {}
    : { mtime: Math.floor(Date.now() / 1000) - backdated - randomInt(spread) }
  try {
    const identity = like === null
      ? await disk.writeNew(temp, parts, { mode, ...mtime })
      : await writeLike(disk, target, temp, parts, like, mtime)
    return { target, temp, identity }
  } catch (cause) {
    if (cause instanceof StorageFailed) await forget(disk, temp)
    throw fileFailed("write", target, cause)
  }
}

/** Puts a staged file in place. Durable only after {@link syncFolder}. On a refusal the old file stands. */
export const publish = async (disk: Disk, { target, temp }: StagedFile): Promise<void> => {
  try {
    await disk.rename(temp, target)
  } catch (cause) {
    throw fileFailed("replace", target, cause)
  }
}

/** Makes the names in a folder durable. */
export const syncFolder = async (disk: Disk, path: string): Promise<void> => {
  try {
    await disk.syncFolder(path)
  } catch (cause) {
    throw fileFailed("make durable what was written in", path, cause)
  }
}

/** Removes a file of ours that nobody needs; never fails. What stays has a temp name, which the next sweep removes. */
export const forget = async (disk: Disk, path: string): Promise<void> => {
  try {
    await disk.unlink(path)
  } catch {
    // It is gone already, or the next sweep removes it.
  }
}

/** Removes a staged file that is not wanted; one that was published is gone already. */
export const discard = (disk: Disk, { temp }: StagedFile): Promise<void> => forget(disk, temp)

/** All of {@link stage}, {@link publish} and {@link syncFolder} for one file, at a path that may be a symbolic link. */
export const replace = async (
  disk: Disk,
  path: string,
  parts: ReadonlyArray<Uint8Array>,
  { like, ...options }: StageOptions & { readonly like?: Kept } = {}
): Promise<void> => {
  const target = await realTarget(disk, path)
  const staged = await stage(disk, target, parts, like ?? await identify(disk, target), options)
  try {
    await publish(disk, staged)
  } catch (cause) {
    await discard(disk, staged)
    throw cause
  }
  await syncFolder(disk, dirname(target))
}

/** Removes temp files that a crashed run left beside the file at a path. */
export const sweep = async (disk: Disk, path: string): Promise<void> => {
  const target = await realTarget(disk, path)
  const names = await disk.readdir(dirname(target))
  const left = names.filter((name) => tempOf(name) === basename(target))
  await Promise.all(left.map((name) => forget(disk, join(dirname(target), name))))
}
