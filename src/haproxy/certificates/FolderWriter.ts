/**
 * The folder of certificates itself: made when it is not there, and looked at whether it can be written. Private keys
 * lie in it, so nobody but its owner may look into one that is made here; where the folder above hands its group down
 * (setgid), that group may: HAProxy's own user is in it then.
 */
import { dirname, resolve } from "node:path"
import type { Disk } from "../../domain/Disk.ts"
import { RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"

const setgid = 0o2000

/** The mode of a new certificate file in a folder. */
export const fileMode = async (disk: Disk, folder: string): Promise<number> => {
  try {
    const found = await disk.stat(folder)
    return ((found?.mode ?? 0) & setgid) === 0 ? 0o600 : 0o640
  } catch (cause) {
    throw DurableFile.fileFailed("look at", folder, cause)
  }
}

/** Makes a folder durably, with those above it, which hold no keys and stay open to HAProxy's user. */
const make = async (disk: Disk, folder: string, mode: number, groupMode: number): Promise<void> => {
  try {
    if (await disk.stat(folder) !== null) return
    const above = dirname(resolve(folder))
    if (above !== resolve(folder)) await make(disk, above, 0o755, 0o755)
    const inherited = ((await disk.stat(above))?.mode ?? 0) & setgid
    await disk.makeFolder(folder, inherited === 0 ? mode : setgid | groupMode)
    await DurableFile.syncFolder(disk, above)
  } catch (cause) {
    throw DurableFile.fileFailed("make the folder", folder, cause)
  }
}

/** Makes the folder and those above it, durably, where they are not there. Throws FileFailure. */
export const makeFolder = (disk: Disk, folder: string): Promise<void> => make(disk, folder, 0o700, 0o750)

/** Why the folder cannot be written, in one sentence with what to do; null when it can, or can be made. */
export const whyNot = async (disk: Disk, folder: string): Promise<string | null> => {
  let path = resolve(folder)
  try {
    let found = await disk.stat(path)
    while (found === null && dirname(path) !== path) {
      path = dirname(path)
      found = await disk.stat(path)
    }
    if (found?.kind !== "folder") {
      throw new StorageFailed({ message: `${path} is not a folder.`, hint: "Correct HAPROXY_CERT_DIR." })
    }
    await disk.checkWritable(path)
    return null
  } catch (cause) {
    const failure = DurableFile.fileFailed("write in", path, cause)
    if (failure instanceof RemoteUnreachable) return `${path} cannot be looked at: ${failure.message}`
    return `${failure.message} ${failure.hint}`
  }
}
