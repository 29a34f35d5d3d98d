/**
 * File systems of their own for one process: a tmpfs that can be filled, a mount that can be made read-only. They live
 * in the process's mount namespace and go away with it; from outside they are reached through /proc.
 */
import { spawnSync } from "node:child_process"
import { closeSync, copyFileSync, openSync, readdirSync, rmSync, statfsSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"

/** A command in a mount namespace of its own, after `mount` has run there. `$1` in `mount` is the folder. */
const inNamespace = (mount: string, folder: string, command: ReadonlyArray<string>): [string, ...Array<string>] => [
  "unshare",
  "-Urm",
  "sh",
  "-c",
  `${mount} && shift && exec "$@"`,
  "sh",
  folder,
  ...command
]

/** Runs a command with a tmpfs of so many KB over a folder. */
export const withSmallDisk = (folder: string, size: number, command: ReadonlyArray<string>) =>
  inNamespace(`mount -t tmpfs -o size=${size}k none "$1"`, folder, command)

/** Runs a command with a folder as a mount of its own, for {@link remount}. */
export const withOwnMount = (folder: string, command: ReadonlyArray<string>) =>
  inNamespace("mount --bind \"$1\" \"$1\"", folder, command)

/** Makes the folder of {@link withOwnMount} read-only (`ro`) or writable (`rw`). */
export const remount = (pid: number, folder: string, mode: "ro" | "rw"): void => {
  const args = ["-t", String(pid), "-U", "-m", "--preserve-credentials", "mount", "-o", `remount,bind,${mode}`, folder]
  const { status, stderr } = spawnSync("nsenter", args, { encoding: "utf8", timeout: 10_000 })
  if (status !== 0) throw new Error(`nsenter: ${stderr}`)
}

/** A folder as a process sees it. */
export const seenBy = (pid: number, folder: string): string => join("/proc", String(pid), "root", folder)

const ballast = "ballast"

/** Fills a disk but for so many KB. */
export const fill = (folder: string, spare: number, name = ballast): void => {
  const file = openSync(join(folder, name), "w")
  const page = Buffer.alloc(4096, 1)
  try {
    for (let size = 0;; size += page.length) {
      try {
        if (writeSync(file, page) < page.length) throw Object.assign(new Error(), { code: "ENOSPC" })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error
        closeSync(file)
        truncate(join(folder, name), Math.max(0, size - spare * 1024))
        return
      }
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** Fills a disk to the last page, and what is given back late (a file that somebody still had open) as well. */
export const fillWhole = async (folder: string, name = ballast): Promise<void> => {
  for (let quiet = 0; quiet < 5; quiet++) {
    if (quiet === 0 || statfsSync(folder).bavail > 0) {
      rmSync(join(folder, name), { force: true })
      fill(folder, 0, name)
      quiet = 1
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const truncate = (path: string, size: number) => {
  const { status } = spawnSync("truncate", ["-s", String(size), path])
  if (status !== 0) throw new Error(`truncate ${path}`)
}

/** Makes room again. */
export const makeRoom = (folder: string): void => rmSync(join(folder, ballast))

/** Keeps what is in a folder reachable after the process that mounted it has ended. */
export const hold = (folder: string) => {
  const file = openSync(folder, "r")
  const path = `/proc/self/fd/${file}`
  return {
    names: () => readdirSync(path).sort(),
    /** Copies its files, and lets go. */
    rescue: (to: string): void => {
      for (const name of readdirSync(path)) {
        if (statSync(join(path, name)).isFile()) copyFileSync(join(path, name), join(to, name))
      }
      closeSync(file)
    }
  }
}
