/**
 * HAPROXY_REMOTE_DB_FILE itself: always the newest whole copy, for people and for other programs. It is a second name of a data
 * file of the log, so renewing it sends no bytes; where the file system has no second names it is copied.
 *
 * Guarantees: what is at the path is a whole copy. What was there before the log was, of whatever origin, stays beside it.
 */
import { basename, dirname } from "node:path"
import { DiskError } from "../domain/Disk.ts"
import { fileMode, type Place } from "./Folder.ts"

/** Bytes of a file that is copied for want of links. */
const largest = 2 ** 30

/** Gives a file a second name, or a copy under it. */
const nameAs = async ({ disk }: Place, existing: string, added: string): Promise<void> => {
  try {
    await disk.link(existing, added)
  } catch (cause) {
    if (!(cause instanceof DiskError) || !["ENOTSUP", "EOPNOTSUPP", "EPERM", "EMLINK"].includes(cause.code)) throw cause
    const bytes = await disk.readFile(existing, largest)
    if (bytes === null) throw cause
    await disk.writeNew(added, [bytes], { mode: fileMode })
  }
}

/** Puts a data file at the path. `id`: used for nothing else. */
export const expose = async (place: Place, data: string, id: string): Promise<void> => {
  const { disk, path } = place
  const temp = `${path}.${id}.tmp`
  await nameAs(place, place.at(data), temp)
  await Promise.all([disk.rename(temp, path), disk.syncFolder(dirname(path))])
}

/** Keeps what is at the path before there is a log, as `<path>.before`. */
export const keepForeign = async (place: Place): Promise<void> => {
  const { disk, path } = place
  if (await disk.lstat(path) === null) return
  for (let number = 1;; number++) {
    try {
      await nameAs(place, path, number === 1 ? `${path}.before` : `${path}.before-${number}`)
      return
    } catch (cause) {
      if (!(cause instanceof DiskError) || cause.code !== "EEXIST" || number >= 100) throw cause
    }
  }
}

/** Removes what a death between two steps of {@link expose} left. */
export const sweepTemps = async ({ disk, path }: Place): Promise<void> => {
  const start = `${basename(path)}.`
  for (const name of await disk.readdir(dirname(path))) {
    if (name.startsWith(start) && /^[0-9a-f]{8}-\d+\.tmp$/.test(name.slice(start.length))) {
      await disk.unlink(`${dirname(path)}/${name}`).catch(() => undefined)
    }
  }
}
