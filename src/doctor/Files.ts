/**
 * The files that HAProxy starts from and the folders of ours: can they be replaced, who else may write or read them,
 * is there room. Rights are those of the user who asks.
 */
import { stat, statfs } from "node:fs/promises"
import { userInfo } from "node:os"
import { dirname } from "node:path"
import type { SettingsShape } from "../Config.ts"
import { checkFile } from "../haproxy/files/FileCheck.ts"
import { localDisk } from "../haproxy/files/LocalDisk.ts"
import { type Check, checkNow, error, type Found, ok, warning } from "./Finding.ts"

/** The bits of a mode as `chmod` takes them. */
export const modeText = (mode: number): string => `0${(mode & 0o777).toString(8)}`

const codeOf = (cause: unknown): string => (cause as NodeJS.ErrnoException).code ?? "unknown"

/** Of a file that HAProxy loads: there, replaceable, written by nobody else. */
const startFile = async (name: string, path: string): Promise<ReadonlyArray<Found>> => {
  let mode: number
  try {
    const stats = await stat(path)
    if (!stats.isFile()) return [error(name, `${path} is not a regular file`, "Move it away; it is made anew.")]
    mode = stats.mode
  } catch (cause) {
    return [
      codeOf(cause) === "ENOENT"
        ? warning(
          name,
          `${path} is not there yet; HAProxy does not start without it`,
          `Start \`haproxy-mcp serve\` once, or \`install -m 644 /dev/null ${path}\`.`
        )
        : error(name, `${path} cannot be read (${codeOf(cause)})`, `Let ${userInfo().username} read and write it.`)
    ]
  }
  const { ok: replaceable, reason } = await checkFile(localDisk, path)
  if (!replaceable) {
    return [error(name, reason, `\`chown ${userInfo().username} ${dirname(path)}\`, for the user that runs serve.`)]
  }
  return [
    (mode & 0o002) !== 0
      ? error(name, `${path} has mode ${modeText(mode)}: every user may send sites elsewhere`, `\`chmod o-w ${path}\``)
      : ok(name, `${path}, mode ${modeText(mode)}`)
  ]
}

const folder = async (name: string, path: string): Promise<ReadonlyArray<Found>> => {
  try {
    const { mode } = await stat(path)
    return (mode & 0o002) !== 0 && (mode & 0o1000) === 0
      ? [error(name, `${path} has mode ${modeText(mode)}: every user may replace its files`, `\`chmod o-w ${path}\``)]
      : []
  } catch (cause) {
    return [warning(name, `${path} cannot be looked at (${codeOf(cause)})`, `\`install -d -m 750 ${path}\``)]
  }
}

/** Bytes below which there is an error, and a warning. The database, its log and the files need some of it each time. */
const least = { error: 32 * 1024 ** 2, warning: 256 * 1024 ** 2 }

/** File systems on which a commit is not what it seems (statfs(2)). */
const unsafe: Readonly<Record<number, string>> = {
  0x6969: "NFS: locks and flushes are not those of a local disk",
  0xff53_4d42: "CIFS: locks and flushes are not those of a local disk",
  0x0102_1994: "tmpfs: gone with the next reboot",
  0x794c_7630: "a container's own layer: gone with the container"
}

const sizeText = (bytes: number): string =>
  bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(1)} GiB` : `${Math.floor(bytes / 1024 ** 2)} MiB`

const space = async (paths: ReadonlyArray<string>): Promise<ReadonlyArray<Found>> => {
  const found: Array<Found> = []
  const disks = new Set<number>()
  for (const path of paths) {
    const { dev } = await stat(path).catch(() => ({ dev: -1 }))
    if (disks.has(dev)) continue
    disks.add(dev)
    const disk = await statfs(path).catch(() => null)
    if (disk === null) continue
    const free = disk.bavail * disk.bsize
    const name = "Free space"
    const words = `${sizeText(free)} free in ${path}`
    found.push(
      free < least.error
        ? error(name, words, "Make room: below this, writes are refused as STORAGE_FAILED.")
        : free < least.warning
        ? warning(name, words, "Make room before writes are refused as STORAGE_FAILED.")
        : ok(name, words)
    )
    const why = unsafe[disk.type]
    if (why !== undefined) {
      found.push(warning("File system", `${path} lies on ${why}`, "Name a folder on a local disk or a volume."))
    }
  }
  return found
}

export const checks = (settings: SettingsShape): ReadonlyArray<Check> => {
  const mapFolder = dirname(settings.haproxyMapFile)
  const dbFolder = dirname(settings.haproxyDbFile)
  return [
    checkNow("files", "domains.map", () => startFile("domains.map", settings.haproxyMapFile)),
    checkNow("files", "wildcards.map", () => startFile("wildcards.map", settings.wildcardsFile)),
    ...(settings.haproxyPoolsFile === null ? [] : [
      checkNow("files", "pools.cfg", () => startFile("pools.cfg", settings.haproxyPoolsFile!))
    ]),
    checkNow("files", "Folder", () => folder("Folder", mapFolder)),
    ...(mapFolder === dbFolder ? [] : [checkNow("files", "Folder", () => folder("Folder", dbFolder))]),
    checkNow("files", "Free space", () => space([...new Set([mapFolder, dbFolder])]))
  ]
}
