/**
 * The files that HAProxy starts from, on its host, and the folders of ours: can they be replaced, who else may write or
 * read them, is there room (on this machine). Rights are those of the user who asks, or of the SSH user there.
 */
import { stat, statfs } from "node:fs/promises"
import { dirname } from "node:path"
import type { SettingsShape } from "../Config.ts"
import { DiskError, type FileStat } from "../domain/Disk.ts"
import { checkFile } from "../haproxy/files/FileCheck.ts"
import { localDisk } from "../haproxy/files/LocalDisk.ts"
import { type Check, checkNow, error, type Found, ok, warning } from "./Finding.ts"
import { checkThere, type HaproxyDisk } from "./HaproxyDisk.ts"

/** The bits of a mode as `chmod` takes them. */
export const modeText = (mode: number): string => `0${(mode & 0o777).toString(8)}`

/** What is at a path, or why that cannot be told. Throws RemoteUnreachable. */
export const seen = async ({ disk }: Pick<HaproxyDisk, "disk">, path: string): Promise<FileStat | string> => {
  try {
    return await disk.stat(path) ?? "ENOENT"
  } catch (cause) {
    if (cause instanceof DiskError) return cause.code
    throw cause
  }
}

/** Of a file that HAProxy loads: there, replaceable, written by nobody else. */
const startFile = async (there: HaproxyDisk, name: string, path: string): Promise<ReadonlyArray<Found>> => {
  const { disk, user } = there
  const stats = await seen(there, path)
  if (typeof stats === "string") {
    return [
      stats === "ENOENT"
        ? warning(
          name,
          `${path} is not there yet; HAProxy does not start without it`,
          `Start \`haproxy-mcp serve\` once, or \`install -m 644 /dev/null ${path}\`.`
        )
        : error(name, `${path} cannot be read (${stats})`, `Let ${user} read and write it.`)
    ]
  }
  const { kind, mode } = stats
  if (kind !== "file") return [error(name, `${path} is not a regular file`, "Move it away; it is made anew.")]
  const { ok: replaceable, reason } = await checkFile(disk, path)
  if (!replaceable) {
    // A link that was lost meanwhile is no fault of the file: this throws then.
    await seen(there, path)
    return [error(name, reason, `\`chown ${user} ${dirname(path)}\`, ${there.role}.`)]
  }
  return [
    (mode & 0o002) !== 0
      ? error(name, `${path} has mode ${modeText(mode)}: every user may send sites elsewhere`, `\`chmod o-w ${path}\``)
      : ok(name, `${path}, mode ${modeText(mode)}`)
  ]
}

const folder = async (
  there: Pick<HaproxyDisk, "disk">,
  name: string,
  path: string
): Promise<ReadonlyArray<Found>> => {
  const stats = await seen(there, path)
  if (typeof stats === "string") {
    return [warning(name, `${path} cannot be looked at (${stats})`, `\`install -d -m 750 ${path}\``)]
  }
  return (stats.mode & 0o002) !== 0 && (stats.mode & 0o1000) === 0
    ? [
      error(name, `${path} has mode ${modeText(stats.mode)}: every user may replace its files`, `\`chmod o-w ${path}\``)
    ]
    : []
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

export const checks = (settings: SettingsShape, there: HaproxyDisk): ReadonlyArray<Check> => {
  const mapFolder = dirname(settings.haproxyMapFile)
  const dbFolder = dirname(settings.haproxyDbFile)
  const looks: ReadonlyArray<readonly [name: string, look: () => Promise<ReadonlyArray<Found>>]> = [
    ["domains.map", () => startFile(there, "domains.map", settings.haproxyMapFile)],
    ["wildcards.map", () => startFile(there, "wildcards.map", settings.wildcardsFile)],
    ...(settings.haproxyPoolsFile === null
      ? []
      : [["pools.cfg", () => startFile(there, "pools.cfg", settings.haproxyPoolsFile!)] as const]),
    ["Folder", () => folder(there, "Folder", mapFolder)]
  ]
  const isLocal = there.host === null
  return [
    // One that is not reached is said once, and not once for each file.
    ...(isLocal
      ? looks.map(([name, look]) => checkThere("files", name, there, look))
      : [
        checkThere(
          "files",
          "HAProxy's files",
          there,
          async () => [
            ...(await Promise.all(looks.map(([, look]) => look()))).flat(),
            ok("Free space", "not looked at there")
          ]
        )
      ]),
    ...(isLocal && mapFolder === dbFolder
      ? []
      : [checkNow("files", "Folder", () => folder({ disk: localDisk }, "Folder", dbFolder))]),
    checkNow("files", "Free space", () => space([...new Set(isLocal ? [mapFolder, dbFolder] : [dbFolder])]))
  ]
}
