/**
 * The port through which files of HAProxy's host are reached: the same few steps on this machine's disk
 * (haproxy/files/LocalDisk.ts) and over SFTP (remote/SftpDisk.ts). What a file is for, and in which order the steps keep
 * it whole, is decided above.
 *
 * Contract of every implementation: a step that has answered has happened; one that failed may have happened, unless its
 * error has a `code`. Errors are {@link DiskError}, or {@link RemoteUnreachable} where the host's link was lost before
 * the answer came. Every call ends. Steps reach the host in the order in which they are called, so that they can be sent
 * without waiting: `rename(a, b)` and at once `syncFolder(folder)` makes the new name durable, if both succeed.
 */
import * as Schema from "effect/Schema"

/** What a path leads to. `other`: a pipe, a socket, a device. */
export type FileKind = "file" | "folder" | "link" | "other"

/**
 * What tells one content of a file from another without reading it. SFTP (draft-ietf-secsh-filexfer-02, §5) knows no inode
 * and whole seconds only: there `ino` is 0 and `mtimeNs` ends with nine zeros.
 */
export interface FileStat {
  readonly kind: FileKind
  /** Bytes. */
  readonly size: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
  /** Permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** A refusal of the file system. `code` is the name of the system's error (`ENOENT`, `ENOSPC`, …). */
export class DiskError extends Schema.TaggedError<DiskError>()("DiskError", {
  code: Schema.String,
  path: Schema.String,
  message: Schema.String
}) {}

/** How a new file is made. */
export interface NewFile {
  /** Permission bits, whatever the umask. */
  readonly mode: number
  /** Owner and group, where they are not to be this user's; `EPERM` where they cannot be given. */
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** Time of its last change, whole seconds since 1970, where it is not to be now. */
  readonly mtime?: number
}

/** A name in a folder, and what it is itself: links are not followed. */
export interface FolderEntry {
  readonly name: string
  readonly stat: FileStat
}

/** The files of one host. Paths are absolute; all methods reject with {@link DiskError} or RemoteUnreachable. */
export interface Disk {
  /** Of this machine. */
  readonly isLocal: boolean
  /** Follows symbolic links; null when nothing is there. */
  readonly stat: (path: string) => Promise<FileStat | null>
  /** The path itself; null when nothing is there. */
  readonly lstat: (path: string) => Promise<FileStat | null>
  /** The path without symbolic links; all of it must exist. */
  readonly realpath: (path: string) => Promise<string>
  readonly readlink: (path: string) => Promise<string>
  /**
   * All of a file, to its end whatever size it is said to have (`/proc`); null when it is not there. `EFBIG` when it is
   * larger than `largest` bytes, `EISDIR` when it is a folder, `EINVAL` when it is a pipe, a socket or a device.
   */
  readonly readFile: (path: string, largest?: number) => Promise<Buffer | null>
  /** Names in a folder, in any order, without `.` and `..`. `ENOENT` when there is no such folder. */
  readonly readdir: (path: string) => Promise<ReadonlyArray<string>>
  /** The same with what each name is, without a question per name. */
  readonly list: (path: string) => Promise<ReadonlyArray<FolderEntry>>
  /** Fails as making a file in the folder would (`EACCES`, `EROFS`, …); nothing stays in it. */
  readonly checkWritable: (folder: string) => Promise<void>
  /**
   * Makes a file that is not there (`EEXIST` when it is), writes the parts and makes its content durable (fsync). On failure
   * nothing of it stays, as far as the host still answers.
   */
  readonly writeNew: (path: string, parts: ReadonlyArray<Uint8Array>, how: NewFile) => Promise<FileStat>
  /** Renames, over what is there. Durable only after {@link Disk.syncFolder}. */
  readonly rename: (from: string, to: string) => Promise<void>
  /** Renames where nothing is there (`EEXIST` when something is): of several at the same time one succeeds. */
  readonly renameNew: (from: string, to: string) => Promise<void>
  /** Gives a file a second name. `EEXIST` when that is taken; `ENOTSUP` where the file system has no links. */
  readonly link: (existing: string, added: string) => Promise<void>
  /** Removes a name. `ENOENT` when it is not there. */
  readonly unlink: (path: string) => Promise<void>
  /** Makes the names in a folder durable (fsync of the folder). */
  readonly syncFolder: (path: string) => Promise<void>
  /**
   * Makes a folder and those above it; nothing where it is there. Permission bits as given, whatever the umask and with
   * setgid where that is among them; those above get what the umask leaves of them.
   */
  readonly makeFolder: (path: string, mode: number) => Promise<void>
}
