/**
 * Files in few round trips: requests are sent without waiting for the answers to those before, since sftp-server runs
 * them in order. A new file costs two round trips whatever its size (its handle; everything else), reading one three (what
 * it is, its handle, its content). At most {@link window} bytes are under way, so a large file costs no memory beside its own.
 */
import { randomBytes } from "node:crypto"
import type { Stats } from "ssh2"
import { DiskError, type FileStat, type FolderEntry, type NewFile } from "../domain/Disk.ts"
import { RemoteUnreachable } from "../domain/Errors.ts"
import type { Link } from "./Link.ts"
import { meaning, refused, status, statusOf } from "./SftpError.ts"

/** Bytes of one READ or WRITE: what every server takes (draft-ietf-secsh-filexfer-02, §3). */
const chunk = 32_768
/** Requests under way for one file; with {@link chunk} this is the window of an SSH channel. */
const window = 64

/** The slowest disk that is waited for, in bytes per millisecond, when a file is made durable. */
const slowest = 4_000

const flags = { read: 0x01, write: 0x02, create: 0x08, exclusive: 0x20 }

/** What SFTP tells of a file. */
export const toStat = (stats: Stats): FileStat => {
  const type = stats.mode & 0o170_000
  return {
    kind: type === 0o100_000 ? "file" : type === 0o040_000 ? "folder" : type === 0o120_000 ? "link" : "other",
    size: BigInt(stats.size),
    ino: 0n,
    mtimeNs: BigInt(stats.mtime) * 1_000_000_000n,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid
  }
}

/** Runs `each` for the numbers below `count`, at most {@link window} at a time; ends when all have ended. */
const windowed = async (count: number, each: (index: number) => Promise<void>): Promise<void> => {
  let next = 0
  let failed = false
  const lane = async () => {
    while (next < count && !failed) {
      try {
        await each(next++)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(window, count) }, lane))
  for (const one of ended) if (one.status === "rejected") throw one.reason
}

/** The parts of a file as pieces that are sent in one request each. */
const piecesOf = (parts: ReadonlyArray<Uint8Array>) => {
  const pieces: Array<{ readonly data: Buffer; readonly at: number; readonly length: number; readonly place: number }> =
    []
  let place = 0
  for (const part of parts) {
    const data = Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    for (let at = 0; at < data.length; at += chunk) {
      const length = Math.min(chunk, data.length - at)
      pieces.push({ data, at, length, place })
      place += length
    }
  }
  return { pieces, size: place }
}

const open = (link: Link, path: string, how: number, mode?: number) =>
  link.ask<Buffer>((answer) =>
    mode === undefined ? link.sftp.open(path, how, answer) : link.sftp.open(path, how, { mode }, answer)
  )

const close = (link: Link, handle: Buffer) => link.ask((answer) => link.sftp.close(handle, answer))

/** Fsync of a handle; sftp-server answers nothing else before so many bytes are on the disk. */
const sync = (link: Link, handle: Buffer, bytes = 0) =>
  link.ask((answer) => link.sftp.ext_openssh_fsync(handle, answer), Math.ceil(bytes / slowest))

/** The first failure of several requests that were all sent; waits for every one of them. */
const settled = async (requests: ReadonlyArray<Promise<unknown>>): Promise<void> => {
  for (const one of await Promise.allSettled(requests)) if (one.status === "rejected") throw one.reason
}

/** As {@link Disk.writeNew}. */
export const writeNew = async (
  link: Link,
  path: string,
  parts: ReadonlyArray<Uint8Array>,
  { mode, mtime, owner }: NewFile
): Promise<FileStat> => {
  const { pieces, size } = piecesOf(parts)
  let handle: Buffer
  try {
    handle = await open(link, path, flags.write | flags.create | flags.exclusive, mode & 0o777)
  } catch (error) {
    throw await meaning(link, error, path, { taken: path })
  }
  const { sftp } = link
  let stats: Stats | undefined
  let notGiven = false
  try {
    const last = Math.max(0, pieces.length - window)
    const write = (index: number) => {
      const { at, data, length, place } = pieces[index]!
      return link.ask<unknown>((answer) => sftp.write(handle, data, at, length, place, answer)).then(() => {})
    }
    await windowed(last, write)
    await settled([
      ...pieces.slice(last).map((_, index) => write(last + index)),
      // A change of owner clears bits of the mode.
      ...(owner === undefined
        ? []
        : [
          link.ask((answer) => sftp.fsetstat(handle, owner, answer)).catch((error: unknown) => {
            notGiven = statusOf(error) === status.permissionDenied
            throw error
          })
        ]),
      link.ask((answer) =>
        sftp.fsetstat(handle, mtime === undefined ? { mode } : { mode, atime: mtime, mtime }, answer)
      ),
      sync(link, handle, size),
      link.ask<Stats>((answer) => sftp.fstat(handle, answer)).then((found) => void (stats = found)),
      close(link, handle)
    ])
    if (stats!.size !== size) throw refused("EIO", path)
    return toStat(stats!)
  } catch (error) {
    if (error instanceof RemoteUnreachable) throw error
    const cause = notGiven ? refused("EPERM", path) : await meaning(link, error, path, { bytes: size })
    // What stays has a temp name, which is swept.
    close(link, handle).catch(() => {})
    await link.ask((answer) => sftp.unlink(path, answer)).catch(() => {})
    throw cause
  }
}

/** As {@link Disk.readFile}. */
export const readFile = async (link: Link, path: string, largest: number): Promise<Buffer | null> => {
  const { sftp } = link
  let handle: Buffer
  let size: number
  try {
    // Before it is opened: sftp-server would wait for the other end of a pipe, and answer nobody meanwhile.
    const found = await link.ask<Stats>((answer) => sftp.stat(path, answer))
    const { kind } = toStat(found)
    if (kind !== "file") throw refused(kind === "folder" ? "EISDIR" : "EINVAL", path)
    size = found.size
    if (size > largest) throw new DiskError({ code: "EFBIG", path, message: `${path} has ${size} bytes` })
    handle = await open(link, path, flags.read)
  } catch (error) {
    if (statusOf(error) === status.noSuchFile) return null
    throw await meaning(link, error, path, { notFolder: path })
  }
  /** Reads so many bytes, or to the end of the file. */
  const read = async (into: Buffer, at: number, length: number, place: number): Promise<number> => {
    let got = 0
    while (got < length) {
      const count = await link.ask<number>((answer) =>
        sftp.read(handle, into, at + got, length - got, place + got, answer)
      )
      if (count === 0) break
      got += count
    }
    return got
  }
  try {
    const whole = Buffer.allocUnsafe(size)
    const beyond: Array<Buffer> = []
    let length = size
    // One piece more than its size: it may have grown, and files of /proc say that they have none.
    await windowed(Math.ceil(size / chunk) + 1, async (index) => {
      const place = index * chunk
      if (place < size) {
        const wanted = Math.min(chunk, size - place)
        const got = await read(whole, place, wanted, place)
        // It became shorter meanwhile: what is behind is not there.
        if (got < wanted) length = Math.min(length, place + got)
        return
      }
      for (let end = size;;) {
        const next = Buffer.allocUnsafe(chunk)
        const count = await link.ask<number>((answer) => sftp.read(handle, next, 0, chunk, end, answer))
        if (count === 0) return
        end += count
        if (end > largest) throw new DiskError({ code: "EFBIG", path, message: `${path} has ${end} bytes and more` })
        beyond.push(next.subarray(0, count))
      }
    })
    return length < size || beyond.length === 0 ? whole.subarray(0, length) : Buffer.concat([whole, ...beyond])
  } catch (error) {
    throw error instanceof DiskError ? error : await meaning(link, error, path)
  } finally {
    // Nobody needs to wait for this.
    close(link, handle).catch(() => {})
  }
}

/** As {@link Disk.syncFolder}: OpenSSH's sftp-server opens a folder like a file when it is opened for reading. */
export const syncFolder = async (link: Link, path: string): Promise<void> => {
  try {
    const handle = await open(link, path, flags.read)
    await settled([sync(link, handle), close(link, handle)])
  } catch (error) {
    throw await meaning(link, error, path)
  }
}

/** As {@link Disk.checkWritable}: SFTP has no `access`, so a file is made and removed. */
export const checkWritable = async (link: Link, folder: string): Promise<void> => {
  const path = `${folder}/.haproxy-mcp-${randomBytes(6).toString("hex")}.tmp`
  try {
    const handle = await open(link, path, flags.write | flags.create | flags.exclusive, 0o600)
    await settled([close(link, handle), link.ask((answer) => link.sftp.unlink(path, answer))])
  } catch (error) {
    throw await meaning(link, error, path)
  }
}

/** READDIRs under way for one folder; each answers about a hundred names. */
const pages = 4

/** As {@link Disk.list}: sftp-server answers each name with what `lstat` says of it. */
export const list = async (link: Link, path: string): Promise<ReadonlyArray<FolderEntry>> => {
  const { sftp } = link
  let handle: Buffer
  try {
    handle = await link.ask<Buffer>((answer) => sftp.opendir(path, answer))
  } catch (error) {
    throw await meaning(link, error, path)
  }
  try {
    const entries: Array<FolderEntry> = []
    const lane = async () => {
      for (;;) {
        try {
          const page = await link.ask<ReadonlyArray<{ readonly filename: string; readonly attrs: Stats }>>((answer) =>
            sftp.readdir(handle, answer as never)
          )
          for (const { attrs, filename: name } of page) {
            if (name !== "." && name !== "..") entries.push({ name, stat: toStat(attrs) })
          }
        } catch (error) {
          if (statusOf(error) === status.eof) return
          throw error
        }
      }
    }
    await settled(Array.from({ length: pages }, lane))
    return entries
  } catch (error) {
    throw await meaning(link, error, path)
  } finally {
    close(link, handle).catch(() => {})
  }
}
