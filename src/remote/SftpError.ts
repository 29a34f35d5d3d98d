/**
 * What a refusal of sftp-server means. SFTP version 3 has four words for all errors of a file system
 * (draft-ietf-secsh-filexfer-02, §7; OpenSSH's `errno_to_portable`), so where "failure" may mean several things the
 * host is asked: is something there, is the file system full or read-only.
 */
import { dirname } from "node:path"
import type { Stats } from "ssh2"
import { DiskError } from "../domain/Disk.ts"
import { RemoteUnreachable } from "../domain/Errors.ts"
import type { Link } from "./Link.ts"

/** Status codes of SFTP. */
export const status = { eof: 1, noSuchFile: 2, permissionDenied: 3, failure: 4, badMessage: 5, unsupported: 8 } as const

/** The status of a refusal; null for an error that is none. */
export const statusOf = (error: unknown): number | null => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return error instanceof Error && !(error instanceof DiskError) && typeof code === "number" ? code : null
}

/** What was tried, as far as it changes what a refusal means. */
export interface Attempted {
  /** A name that must be free. */
  readonly taken?: string
  /** A name that must not be a folder. */
  readonly notFolder?: string
  /** Bytes to be written. */
  readonly bytes?: number
}

const sentences: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EEXIST: "file already exists",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  EINVAL: "invalid argument, or a name that is too long",
  ENOTSUP: "operation not supported",
  EFBIG: "file too large",
  EIO: "failure (the SFTP server says no more)"
}

/** A DiskError with the usual sentence. */
export const refused = (code: string, path: string): DiskError =>
  new DiskError({ code, path, message: `${code}: ${sentences[code] ?? "refused"}, ${path} (SFTP)` })

/** Names for the bits of a file's type in its mode (stat(2)). */
const typeBits = 0o170_000
const folderType = 0o040_000

export const isFolder = ({ mode }: Stats): boolean => (mode & typeBits) === folderType

/** `statvfs@openssh.com` (OpenSSH PROTOCOL, 4.4). `f_bavail` counts fragments for users that are not root. */
interface FileSystem {
  readonly f_bavail: number | bigint
  readonly f_favail: number | bigint
  readonly f_files: number | bigint
  readonly f_frsize: number | bigint
  readonly f_flag: number | bigint
}
const readOnlyFlag = 1n

/** A write of SFTP is at most so large; less room than that fails it although some is left. */
const oneWrite = 32_768

const space = async (link: Link, folder: string, bytes: number): Promise<"EROFS" | "ENOSPC" | null> => {
  try {
    const found = await link.ask<FileSystem>((answer) => link.sftp.ext_openssh_statvfs(folder, answer))
    if ((BigInt(found.f_flag) & readOnlyFlag) !== 0n) return "EROFS"
    const room = BigInt(found.f_bavail) * BigInt(found.f_frsize)
    const noNames = BigInt(found.f_files) > 0n && BigInt(found.f_favail) === 0n
    return noNames || room < BigInt(Math.max(bytes, oneWrite)) ? "ENOSPC" : null
  } catch (error) {
    if (error instanceof RemoteUnreachable) throw error
    return null
  }
}

const whatIsThere = async (link: Link, path: string): Promise<Stats | null> => {
  try {
    return await link.ask<Stats>((answer) => link.sftp.lstat(path, answer))
  } catch (error) {
    if (error instanceof RemoteUnreachable) throw error
    return null
  }
}

/** The error of a refused request as a DiskError; anything else passes. */
export const meaning = async (link: Link, error: unknown, path: string, tried: Attempted = {}): Promise<unknown> => {
  switch (statusOf(error)) {
    case null:
      return error
    case status.noSuchFile:
      return refused("ENOENT", path)
    case status.permissionDenied:
      return refused("EACCES", path)
    case status.badMessage:
      return refused("EINVAL", path)
    case status.unsupported:
      return refused("ENOTSUP", path)
    default: {
      if (tried.taken !== undefined && await whatIsThere(link, tried.taken) !== null) return refused("EEXIST", path)
      if (tried.notFolder !== undefined) {
        const found = await whatIsThere(link, tried.notFolder)
        if (found !== null && isFolder(found)) return refused("EISDIR", path)
      }
      const full = await space(link, dirname(path), tried.bytes ?? 0)
      return refused(full ?? "EIO", path)
    }
  }
}
