/**
 * One file of ours: where it really lies, what we last knew of it, and whether the disk holds what memory holds.
 * It only keeps the books; FileSet.ts writes.
 *
 * Over SFTP two contents of the same second and length look alike (domain/Disk.ts). A file that somebody else wrote is
 * therefore not taken for known before it was read {@link settles} after that time of change was first seen: until
 * then its bytes are compared, as git does with its index. A file that we wrote has a time of its own (DurableFile.ts).
 */
import type { Disk, FileStat } from "../../domain/Disk.ts"
import * as DurableFile from "../DurableFile.ts"

/** What a file holds: what memory renders, something we cannot tell, or these bytes. */
export type Held = "same" | "unknown" | Buffer

/** Books on one file. Mutable: the one writer owns it. */
export interface TrackedFile {
  /** As configured. */
  readonly path: string
  /** Behind symbolic links. */
  real: string
  /** Null: it was not there. */
  identity: FileStat | null
  holds: Held
  /** When this identity was first seen (`performance.now`); null: it tells the content for sure. */
  doubtful: number | null
}

/** Milliseconds: more than the second that a time of change is cut to, and the other host's clock is not ours. */
const settles = 2_000

/** Nothing known yet; `reread` comes first. */
export const make = (path: string): TrackedFile => ({
  path,
  real: path,
  identity: null,
  holds: "unknown",
  doubtful: null
})

/**
 * Reads the file; null when there is none. Books and bytes are of one moment: a file that changes while it is read
 * is read again.
 */
export const reread = async (disk: Disk, file: TrackedFile): Promise<Buffer | null> => {
  for (let attempt = 0;; attempt++) {
    const began = performance.now()
    const real = await DurableFile.realTarget(disk, file.path)
    const identity = await DurableFile.identify(disk, real)
    const bytes = identity === null ? null : await read(disk, real)
    const unchanged = DurableFile.sameIdentity(identity, await DurableFile.identify(disk, real))
    if (!unchanged && attempt < 10) continue
    const known = DurableFile.sameIdentity(identity, file.identity)
    file.real = real
    file.identity = identity
    file.holds = bytes ?? "unknown"
    if (disk.isLocal || (known && (file.doubtful === null || began - file.doubtful > settles))) file.doubtful = null
    else if (!known) file.doubtful = began
    return bytes
  }
}

const read = async (disk: Disk, path: string): Promise<Buffer | null> => {
  try {
    return await disk.readFile(path)
  } catch (cause) {
    throw DurableFile.fileFailed("read", path, cause)
  }
}

/**
 * Did someone else change, replace or remove the file, or make its link lead elsewhere? `expected` is what it should
 * hold, for the case that only the bytes can tell; null: then it counts as changed.
 */
export const isChanged = async (
  disk: Disk,
  file: TrackedFile,
  expected: ReadonlyArray<Buffer> | null
): Promise<boolean> => {
  const identity = await DurableFile.identify(disk, file.path)
  if (!DurableFile.sameIdentity(file.identity, identity)) return true
  if (identity === null || file.doubtful === null) return false
  if (expected === null) return true
  const began = performance.now()
  const bytes = await read(disk, file.real)
  if (bytes === null || !sameBytes([bytes], expected)) return true
  if (began - file.doubtful > settles) file.doubtful = null
  return false
}

/** Do two lists of pieces hold the same bytes? */
export const sameBytes = (a: ReadonlyArray<Buffer>, b: ReadonlyArray<Buffer>): boolean => {
  let i = 0
  let j = 0
  let fromA = 0
  let fromB = 0
  for (;;) {
    while (i < a.length && fromA === a[i]!.length) [i, fromA] = [i + 1, 0]
    while (j < b.length && fromB === b[j]!.length) [j, fromB] = [j + 1, 0]
    if (i === a.length || j === b.length) return i === a.length && j === b.length
    const left = a[i]!
    const right = b[j]!
    const length = Math.min(left.length - fromA, right.length - fromB)
    const whole = left === right && fromA === 0 && fromB === 0
    if (!whole && left.compare(right, fromB, fromB + length, fromA, fromA + length) !== 0) return false
    fromA += length
    fromB += length
  }
}
