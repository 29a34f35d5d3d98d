/**
 * One file of ours: where it really lies, what we last knew of it, and whether the disk holds what memory holds.
 * It only keeps the books; FileSet.ts writes.
 */
import { readFile } from "node:fs/promises"
import * as DurableFile from "../DurableFile.ts"

/** Content on disk: what memory renders, something we cannot tell, or these bytes. */
export type OnDisk = "same" | "unknown" | Buffer

/** Books on one file. Mutable: the one writer owns it. */
export interface TrackedFile {
  /** As configured. */
  readonly path: string
  /** Behind symbolic links. */
  real: string
  /** Null: it was not there. */
  identity: DurableFile.FileIdentity | null
  disk: OnDisk
}

/** Nothing known yet; `reread` comes first. */
export const make = (path: string): TrackedFile => ({ path, real: path, identity: null, disk: "unknown" })

/**
 * Reads the file; null when there is none. Books and bytes are of one moment: a file that changes while it is read
 * is read again.
 */
export const reread = async (file: TrackedFile): Promise<Buffer | null> => {
  for (let attempt = 0;; attempt++) {
    const real = DurableFile.realTarget(file.path)
    const identity = DurableFile.identify(real)
    const bytes = identity === null ? null : await read(real)
    const unchanged = DurableFile.sameIdentity(identity, DurableFile.identify(real))
    if (!unchanged && attempt < 10) continue
    file.real = real
    file.identity = identity
    file.disk = bytes ?? "unknown"
    return bytes
  }
}

const read = async (path: string): Promise<Buffer | null> => {
  try {
    return await readFile(path)
  } catch (cause) {
    if (DurableFile.codeOf(cause) === "ENOENT") return null
    throw DurableFile.storageFailed("read", path, cause)
  }
}

/** Did someone else change, replace or remove the file, or make its link lead elsewhere? */
export const isChanged = (file: TrackedFile): boolean =>
  !DurableFile.sameIdentity(file.identity, DurableFile.identify(file.path))

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
