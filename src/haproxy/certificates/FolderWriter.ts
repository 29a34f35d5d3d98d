/**
 * The folder of certificates itself: made when it is not there, and looked at whether it can be written. Private keys
 * lie in it, so nobody but its owner may look into one that is made here; where the folder above hands its group down
 * (setgid), that group may: HAProxy's own user is in it then.
 */
import * as fs from "node:fs"
import { access } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { StorageFailed } from "../../domain/Errors.ts"
import * as DurableFile from "../DurableFile.ts"

const setgid = 0o2000

const sync = async (path: string): Promise<void> => {
  const folder = DurableFile.openFolder(path)
  await folder.sync().finally(folder.close)
}

/** The mode of a new certificate file in a folder. */
export const fileMode = (folder: string): number => {
  try {
    return (fs.statSync(folder).mode & setgid) === 0 ? 0o600 : 0o640
  } catch (cause) {
    throw DurableFile.storageFailed("look at", folder, cause)
  }
}

/** Makes a folder durably, with those above it, which hold no keys and stay open to HAProxy's user. */
const make = async (folder: string, mode: number, groupMode: number): Promise<void> => {
  if (fs.existsSync(folder)) return
  const above = dirname(resolve(folder))
  if (above !== resolve(folder)) await make(above, 0o755, 0o755)
  try {
    fs.mkdirSync(folder, mode)
    if ((fs.statSync(folder).mode & setgid) !== 0) fs.chmodSync(folder, setgid | groupMode)
  } catch (cause) {
    if (
      DurableFile.codeOf(cause) === "EEXIST" && fs.statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true
    ) {
      return
    }
    throw DurableFile.storageFailed("make the folder", folder, cause)
  }
  await sync(above)
}

/** Makes the folder and those above it, durably, where they are not there. Throws StorageFailed. */
export const makeFolder = (folder: string): Promise<void> => make(folder, 0o700, 0o750)

/** Why the folder cannot be written, in one sentence with what to do; null when it can, or can be made. */
export const whyNot = async (folder: string): Promise<string | null> => {
  let path = resolve(folder)
  while (!fs.existsSync(path) && dirname(path) !== path) path = dirname(path)
  try {
    if (!fs.statSync(path).isDirectory()) {
      throw new StorageFailed({ message: `${path} is not a folder.`, hint: "Correct HAPROXY_CERT_DIR." })
    }
    await access(path, fs.constants.W_OK | fs.constants.X_OK)
    return null
  } catch (cause) {
    const { hint, message } = DurableFile.storageFailed("write in", path, cause)
    return `${message} ${hint}`
  }
}
