/**
 * Takes the writing from another process that may be in the middle of it.
 *
 * Who wants to write has to read the log and to make a generation after the newest one; one that writes fifty times a second
 * has made the next ones long before. So the number comes first and the work after: a {@link Claim} is some hundred bytes
 * without a content, and is renamed to number after number until one is free. A number that was lost costs one try, while a
 * generation costs its writer several steps, so that the claim wins within a few.
 *
 * Guarantees
 * - It has what every generation has: one winner for the number, by the rename that never replaces.
 * - Nobody else makes a generation below it afterwards (all those numbers are given) nor one above it on an older content (its
 *   own number is not the next one any more): so what is read after {@link takeNumber} has answered is all that was ever
 *   acknowledged, and stays so.
 * - It ends: after {@link mostTries} numbers or {@link longest} milliseconds, between two of the disk's calls.
 */
import { DiskError } from "../domain/Disk.ts"
import { fileMode, list, type Place } from "./Folder.ts"
import { manifestName, tempName } from "./Manifest.ts"

/** Numbers that are tried, and the milliseconds in which a try may begin. */
export const mostTries = 256
const longest = 5_000

/** Gives a claim's bytes the first number from `next` on that is free, and makes it durable; null: others took each before. */
export const takeNumber = async (
  place: Place,
  { bytes, id, next }: { readonly bytes: Uint8Array; readonly id: string; readonly next: number }
): Promise<number | null> => {
  const { disk } = place
  const until = performance.now() + longest
  const first = Math.max(next, (await list(place)).highest + 1)
  // Files of attempts are swept once their number is given: this one has the last of those that it may get.
  const temp = place.at(tempName(first + mostTries, id))
  await disk.writeNew(temp, [bytes], { mode: fileMode })
  for (let gen = first; gen < first + mostTries && performance.now() < until; gen++) {
    try {
      await disk.renameNew(temp, place.at(manifestName(gen)))
    } catch (cause) {
      if (cause instanceof DiskError && cause.code === "EEXIST") continue
      disk.unlink(temp).catch(() => undefined)
      throw cause
    }
    await disk.syncFolder(place.folder)
    return gen
  }
  disk.unlink(temp).catch(() => undefined)
  return null
}
