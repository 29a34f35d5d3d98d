/** The folder of the log: what is in it by name, and how failures in it are told. */
import { type Disk, DiskError } from "../domain/Disk.ts"
import { RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import { entryOf } from "./Manifest.ts"

/** Mode of the folder and of the files: the database holds addresses and, in its log, names of people. */
export const folderMode = 0o700
export const fileMode = 0o600

/** Where the log is. */
export interface Place {
  readonly disk: Disk
  /** HAPROXY_REMOTE_DB_FILE: the newest whole copy. */
  readonly path: string
  /** `<path>.generations` */
  readonly folder: string
  readonly at: (name: string) => string
}

/** What the names say. Numbers are descending. */
export interface Listing {
  readonly manifests: ReadonlyArray<number>
  readonly kept: ReadonlyArray<number>
  /** Names of data files by number. */
  readonly data: ReadonlyMap<number, ReadonlyArray<string>>
  /** Names of checkpoints' manifests, those of the highest number first. */
  readonly checkpoints: ReadonlyArray<{ readonly gen: number; readonly name: string }>
  readonly checkpointData: ReadonlyArray<{ readonly gen: number; readonly name: string }>
  readonly temps: ReadonlyArray<{ readonly gen: number; readonly name: string }>
  /** The highest number of all: it and those below are given away. 0 when there is none. */
  readonly highest: number
}

const descending = (a: number, b: number) => b - a
const byGen = (a: { readonly gen: number }, b: { readonly gen: number }) => b.gen - a.gen

/** Sorts names. */
export const listingOf = (names: ReadonlyArray<string>): Listing => {
  const manifests: Array<number> = []
  const kept: Array<number> = []
  const data = new Map<number, Array<string>>()
  const checkpoints: Array<{ gen: number; name: string }> = []
  const checkpointData: Array<{ gen: number; name: string }> = []
  const temps: Array<{ gen: number; name: string }> = []
  for (const name of names) {
    const entry = entryOf(name)
    if (entry.kind === "manifest") manifests.push(entry.gen)
    else if (entry.kind === "kept") kept.push(entry.gen)
    else if (entry.kind === "data") data.set(entry.gen, [...data.get(entry.gen) ?? [], name])
    else if (entry.kind === "checkpoint") checkpoints.push({ gen: entry.gen, name })
    else if (entry.kind === "checkpoint data") checkpointData.push({ gen: entry.gen, name })
    else if (entry.kind === "temp") temps.push({ gen: entry.gen, name })
  }
  manifests.sort(descending)
  return {
    manifests,
    kept: kept.sort(descending),
    data,
    checkpoints: checkpoints.sort(byGen),
    checkpointData: checkpointData.sort(byGen),
    temps: temps.sort(byGen),
    highest: manifests[0] ?? 0
  }
}

/** Lists the folder; empty where it is not there. */
export const list = async ({ disk, folder }: Place): Promise<Listing> => {
  try {
    return listingOf(await disk.readdir(folder))
  } catch (cause) {
    if (cause instanceof DiskError && cause.code === "ENOENT") return listingOf([])
    throw cause
  }
}

const hints: { readonly [code: string]: string } = {
  ENOSPC: "The remote host's disk is full: make room there.",
  EDQUOT: "The quota on the remote host is used up.",
  EROFS: "The remote folder is mounted read-only: mount it writable.",
  EACCES: "Give the SSH user the right to write in the folder of HAPROXY_REMOTE_DB_FILE.",
  EPERM: "Give the SSH user the right to write in the folder of HAPROXY_REMOTE_DB_FILE.",
  ENOENT: "Check HAPROXY_REMOTE_DB_FILE.",
  ENOTDIR: "A part of HAPROXY_REMOTE_DB_FILE is not a folder.",
  EIO: "The remote host's disk fails: check it."
}

/** A failed step as the operator should see it; defects pass. `what` completes "Cannot …". */
export const typed = (what: string, cause: unknown): RemoteUnreachable | StorageFailed => {
  if (cause instanceof RemoteUnreachable || cause instanceof StorageFailed) return cause
  if (!(cause instanceof DiskError)) throw cause
  return new StorageFailed({
    message: `Cannot ${what} on the remote host: ${cause.path}: ${cause.code}.`,
    hint: hints[cause.code] ?? "Check the remote host's disk."
  })
}

/** Runs work on many things, some at a time, and keeps their order. */
export const inParallel = async <A, B>(
  items: ReadonlyArray<A>,
  atOnce: number,
  work: (item: A) => Promise<B>
): Promise<ReadonlyArray<B>> => {
  const results: Array<B> = []
  let next = 0
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index]!)
    }
  }))
  return results
}
