/**
 * Takes away what nobody needs any more.
 *
 * Kept: the newest {@link newest} generations with all that they build on, down to the second whole copy below them; and for
 * {@link hours} hours the last whole copy of each hour. Swept: what attempts left that did not win.
 *
 * Guarantees
 * - Names of the chain go from the oldest upwards, one after the other: what is there is always the newest part of the chain
 *   without a hole, which is how a writer of long ago finds out that its number was pruned (GenerationLog.ts).
 * - Whether an attempt's files are garbage is decided without a clock: its number was given to another. Where time decides
 *   (the hours, a checkpoint that was never finished) it is the remote's, of a file that was written there just now.
 * - Two that prune at the same time, or one that wakes up in the middle, take away nothing else: each name is of a file that
 *   was not needed any more when it was listed, and what is not needed never is again.
 */
import { DiskError, type FolderEntry } from "../domain/Disk.ts"
import { sweepTemps } from "./Exposed.ts"
import { fileMode, type Listing, listingOf, type Place } from "./Folder.ts"
import { decodeCheckpoint, keptName, largestManifest, manifestName, tempName } from "./Manifest.ts"
import { Reader } from "./Reading.ts"

/** Generations that are always there. */
const newest = 10
/** Hours of which the last whole copy is there. */
const hours = 48
/** Milliseconds after which a checkpoint's data without its manifest is garbage. */
const abandoned = 3_600_000
/** Names that one call takes away, so that it ends soon. */
const most = 512

export interface Pruned {
  /** Files that were taken away. */
  readonly removed: number
}

/** Takes a name away; false when somebody else did. */
const remove = async (place: Place, name: string): Promise<boolean> => {
  try {
    await place.disk.unlink(place.at(name))
    return true
  } catch (cause) {
    if (cause instanceof DiskError && cause.code === "ENOENT") return false
    throw cause
  }
}

/** Milliseconds since 1970 by the remote's clock. */
const clockOf = async (place: Place, writer: string): Promise<number> => {
  // A name that is swept with the attempts of number 1.
  const name = tempName(1, `${writer}-${Date.now() % 1e9}`)
  const { mtimeNs } = await place.disk.writeNew(place.at(name), [], { mode: fileMode })
  await remove(place, name)
  return Number(mtimeNs / 1_000_000n)
}

/** Whole copies at or below a generation, as their manifests say, newest first; at most `limit`. */
const basesBelow = async (
  place: Place,
  listing: Listing,
  gen: number,
  limit: number
): Promise<ReadonlyArray<number>> => {
  const reader = new Reader(place, listing)
  const names = new Set([...listing.data.values()].flat())
  const checkpointData = new Set(listing.checkpointData.map(({ name }) => name))
  const found: Array<number> = []
  for (const each of listing.manifests) {
    if (each > gen) continue
    if (found.length >= limit) break
    const checkpoints = listing.checkpoints.filter((checkpoint) => checkpoint.gen === each)
    const hasFull = listing.data.get(each)?.some((name) => name.endsWith(".db")) === true
    if (!hasFull && checkpoints.length === 0) continue
    const manifest = hasFull ? await reader.shown(each) : null
    if (manifest?.kind === "full" && names.has(manifest.data)) {
      found.push(each)
      continue
    }
    for (const { name } of checkpoints) {
      const bytes = await place.disk.readFile(place.at(name), largestManifest)
      const checkpoint = bytes === null ? null : decodeCheckpoint(bytes, each)
      if (checkpoint !== null && checkpointData.has(checkpoint.data)) {
        found.push(each)
        break
      }
    }
  }
  return found
}

/** Of those with a time, the last of each hour that is still young enough. */
const hourly = <A>(items: ReadonlyArray<A>, timeOf: (item: A) => number, now: number): ReadonlySet<A> => {
  const byHour = new Map<number, A>()
  for (const item of items) {
    const hour = Math.floor((now - timeOf(item)) / 3_600_000)
    const there = byHour.get(hour)
    if (hour < hours && (there === undefined || timeOf(there) <= timeOf(item))) byHour.set(hour, item)
  }
  return new Set(byHour.values())
}

/** A whole copy below the chain's part that stays. */
interface Old {
  readonly gen: number
  /** A checkpoint's manifest, or null for a generation. */
  readonly checkpoint: string | null
}

export const prune = async (place: Place, writer: string): Promise<Pruned> => {
  const entries: ReadonlyArray<FolderEntry> = await place.disk.list(place.folder)
  const times = new Map(entries.map(({ name, stat }) => [name, Number(stat.mtimeNs / 1_000_000n)]))
  const listing = listingOf([...times.keys()])
  const { checkpointData, checkpoints, data, highest, kept, manifests, temps } = listing
  // A claim has no data, and does not count.
  const oldestNeeded = manifests.filter((gen) => data.has(gen))[newest - 1]
  let removed = 0
  const drop = async (name: string) => {
    if (removed < most && await remove(place, name)) removed += 1
  }
  const now = await clockOf(place, writer)

  // Attempts whose number was given.
  for (const { gen, name } of temps) if (gen <= highest) await drop(name)
  const reader = new Reader(place, listing)
  for (const [gen, names] of data) {
    if (names.length < 2 || !manifests.includes(gen)) continue
    const manifest = await reader.shown(gen)
    for (const name of manifest === null ? [] : names) if (name !== manifest!.data) await drop(name)
  }
  const finished = new Set(checkpoints.map(({ name }) => name.replace(/json$/, "db")))
  for (const { name } of checkpointData) {
    if (!finished.has(name) && now - times.get(name)! > abandoned) await drop(name)
  }
  await sweepTemps(place)

  const bases = oldestNeeded === undefined ? [] : await basesBelow(place, listing, oldestNeeded, 2)
  const floor = bases[1] ?? bases[0] ?? 0
  const timeOf = ({ checkpoint, gen }: Old) =>
    times.get(checkpoint ?? manifestName(gen)) ?? times.get(keptName(gen)) ?? 0
  const old: ReadonlyArray<Old> = [
    ...manifests.filter((gen) => gen < floor && data.get(gen)?.some((name) => name.endsWith(".db")) === true)
      .map((gen) => ({ gen, checkpoint: null })),
    ...kept.map((gen) => ({ gen, checkpoint: null })),
    ...checkpoints.filter(({ gen }) => gen < floor).map(({ gen, name }) => ({ gen, checkpoint: name }))
  ]
  const stays = hourly(old, timeOf, now)
  const gens = new Set([...stays].filter(({ checkpoint }) => checkpoint === null).map(({ gen }) => gen))
  const names = new Set([...stays].map(({ checkpoint }) => checkpoint))

  // The chain: from the oldest upwards, one after the other.
  for (const gen of manifests.toReversed()) {
    if (gen >= floor || removed >= most) break
    if (!gens.has(gen) || kept.includes(gen)) {
      await drop(manifestName(gen))
      continue
    }
    await place.disk.renameNew(place.at(manifestName(gen)), place.at(keptName(gen))).catch((cause: unknown) => {
      // Somebody else prunes as well.
      if (!(cause instanceof DiskError) || (cause.code !== "ENOENT" && cause.code !== "EEXIST")) throw cause
    })
  }
  if (removed >= most) return { removed }
  for (const gen of kept) if (!gens.has(gen)) await drop(keptName(gen))
  // Their data, now that no manifest names it any more.
  for (const [gen, files] of data) {
    if (gen >= floor) continue
    for (const name of files) if (!gens.has(gen) || !name.endsWith(".db")) await drop(name)
  }
  for (const { gen, name } of checkpoints) {
    if (gen >= floor || names.has(name)) continue
    await drop(name)
    await drop(name.replace(/json$/, "db"))
  }
  return { removed }
}
