/**
 * Files that are there as a whole or as they were before, also after a power cut.
 *
 * A file is replaced by a temp file in the same folder, written, fsynced and renamed over it, and the folder is
 * fsynced: without the last step a power cut brings the old file back. {@link stage} and {@link publish} are apart
 * so that several files can be prepared first and then changed together. A symbolic link stays: the file that it
 * leads to is replaced. Mode, owner and group of an existing file are kept.
 * Not here: what to do about a change by someone else; {@link identify} tells that there was one.
 *
 * The functions answer promises, not effects: callers put a whole protocol of them under one uninterruptible effect.
 */
import { randomBytes } from "node:crypto"
import { type FileHandle, open, readdir, readlink, realpath, rename, stat, unlink } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
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
  /** The temp file is being closed, which costs a trip to another thread that nobody needs to wait for first. */
  readonly closed: Promise<void>
}

/** Readable by HAProxy's own user; maps and pools hold no secrets. */
export const publicMode = 0o644

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
  ELOOP: "The path is a loop of symbolic links: correct it."
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

const toIdentity = (stats: Awaited<ReturnType<typeof statExact>>): FileIdentity => ({
  ino: stats.ino,
  size: stats.size,
  mtimeNs: stats.mtimeNs,
  mode: Number(stats.mode & 0o7777n),
  uid: Number(stats.uid),
  gid: Number(stats.gid)
})

const statExact = (path: string) => stat(path, { bigint: true })

/** The identity of the file at a path (through symbolic links), or null when there is none. */
export const identify = async (path: string): Promise<FileIdentity | null> => {
  try {
    const stats = await statExact(path)
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

/** Where a path leads through symbolic links; the last part, or what it links to, need not exist. */
export const realTarget = async (path: string): Promise<string> => {
  let next = resolve(path)
  try {
    for (let links = 0; links < 40; links++) {
      const real = join(await realpath(dirname(next)), basename(next))
      const link = await readlink(real).catch((cause: unknown) => {
        if (codeOf(cause) === "EINVAL" || codeOf(cause) === "ENOENT") return null
        throw cause
      })
      if (link === null) return real
      next = resolve(dirname(real), link)
    }
  } catch (cause) {
    throw storageFailed("find", path, cause)
  }
  throw new StorageFailed({ message: `Cannot find ${path} (ELOOP).`, hint: hints["ELOOP"]! })
}

/** Waits for both, also when one fails: a file must not be closed under a running call. */
const both = async <A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> => {
  const [a, b] = await Promise.allSettled([first, second])
  if (a.status === "rejected") throw a.reason
  if (b.status === "rejected") throw b.reason
  return [a.value, b.value]
}

const writeAll = async (file: FileHandle, parts: ReadonlyArray<Uint8Array>): Promise<void> => {
  let rest = parts.filter((part) => part.byteLength > 0)
  while (rest.length > 0) {
    // A short write is the last answer before an error, which the next one gets.
    let { bytesWritten } = await file.writev(rest)
    let whole = 0
    for (; whole < rest.length && bytesWritten >= rest[whole]!.byteLength; whole++) {
      bytesWritten -= rest[whole]!.byteLength
    }
    rest = rest.slice(whole)
    if (bytesWritten > 0) rest[0] = rest[0]!.subarray(bytesWritten)
  }
}

/** Gives the temp file the owner and group of the file it replaces; fails where HAProxy might lose sight of it. */
const keepOwner = async (file: FileHandle, target: string, like: FileIdentity): Promise<void> => {
  const refused = (cause: unknown) => {
    if (codeOf(cause) !== "EPERM") throw cause
    return false
  }
  const owner = await file.chown(like.uid, like.gid).then(() => true, refused)
  if (owner) return
  const group = await file.chown(-1, like.gid).then(() => true, refused)
  const readable = group ? 0o044 : 0o004
  if ((like.mode & readable) === 0) {
    throw new StorageFailed({
      message: `Cannot keep owner and group of ${target}: HAProxy could no longer read it.`,
      hint: "Run haproxy-mcp as the file's owner, or make the file readable by everyone (mode 0644)."
    })
  }
}

/**
 * Writes a temp file beside `target` (a path that {@link realTarget} answered) and makes its content durable.
 * Mode, owner and group come from `like`, or, for a new file, from `mode` and this process.
 * A failure leaves no temp file behind.
 */
export const stage = async (
  target: string,
  parts: ReadonlyArray<Uint8Array>,
  like: FileIdentity | null,
  mode: number = publicMode
): Promise<StagedFile> => {
  const temp = join(dirname(target), `.${basename(target)}${tempMark}${randomBytes(6).toString("hex")}`)
  const wanted = like?.mode ?? mode
  let file: FileHandle | undefined
  try {
    file = await open(temp, "wx", wanted & 0o777)
    await writeAll(file, parts)
    let [stats] = await both(file.stat({ bigint: true }), file.sync())
    const isOwned = like === null || (stats.uid === BigInt(like.uid) && stats.gid === BigInt(like.gid))
    // The umask may have taken bits away, and a change of owner clears some.
    if (!isOwned || Number(stats.mode & 0o7777n) !== wanted) {
      if (!isOwned) await keepOwner(file, target, like)
      await file.chmod(wanted)
      await file.sync()
      stats = await file.stat({ bigint: true })
    }
    const closed = file.close()
    closed.catch(() => {})
    return { target, temp, identity: toIdentity(stats), closed }
  } catch (cause) {
    await file?.close().catch(() => {})
    await unlink(temp).catch(() => {})
    throw storageFailed("write", target, cause)
  }
}

/** Puts a staged file in place. Durable only after the folder's sync. On failure the old file stands. */
export const publish = async (staged: StagedFile): Promise<void> => {
  try {
    await both(rename(staged.temp, staged.target), staged.closed)
  } catch (cause) {
    await discard(staged)
    throw storageFailed("replace", staged.target, cause)
  }
}

/** Removes a staged file that is not wanted. */
export const discard = async (staged: StagedFile): Promise<void> => {
  await Promise.allSettled([unlink(staged.temp), staged.closed])
}

/** A folder, opened before its names change, so that making them durable is one step. */
export interface OpenFolder {
  /** Makes the names in the folder durable. */
  readonly sync: () => Promise<void>
  /** Lets go of it. Nobody needs to wait for that. */
  readonly close: () => void
}

/** Opens a folder for {@link OpenFolder.sync}. */
export const openFolder = async (path: string): Promise<OpenFolder> => {
  const failed = (cause: unknown) => {
    throw storageFailed("make durable what was written in", path, cause)
  }
  const handle = await open(path, "r").catch(failed)
  return {
    sync: () => handle.sync().catch(failed),
    close: () => void handle.close().catch(() => {})
  }
}

/** Makes the names in a folder durable. */
export const syncFolder = async (path: string): Promise<void> => {
  const folder = await openFolder(path)
  await folder.sync().finally(folder.close)
}

/** Replaces or creates one file durably; answers its new identity. `mode` is for a file that does not exist yet. */
export const replace = async (
  path: string,
  parts: ReadonlyArray<Uint8Array>,
  mode: number = publicMode
): Promise<FileIdentity> => {
  const target = await realTarget(path)
  const staged = await stage(target, parts, await identify(target), mode)
  await publish(staged)
  await syncFolder(dirname(target))
  return staged.identity
}

/** Removes temp files that a crashed run left beside `target`. Answers their names. */
export const sweep = async (target: string): Promise<ReadonlyArray<string>> => {
  const folder = dirname(target)
  const names = await readdir(folder).catch((): Array<string> => [])
  const left = names.filter((name) => tempPattern.exec(name)?.[1] === basename(target))
  for (const name of left) await unlink(join(folder, name)).catch(() => {})
  return left
}
