/**
 * The folder of one run of acme.sh, and what a dead control plane left of one.
 *
 * A run's folder lies below ACME_HOME, is its owner's alone and holds everything that acme.sh writes but the account.
 * Every process of a run has the folder's path in its environment ({@link mark}), so that each of them is found again
 * whatever became of its parent or its process group, and none is mistaken for another one that got its number.
 *
 * {@link sweep} ends and removes the runs whose control plane is gone: it is told from a living one by its process id
 * and the time that process started (/proc/PID/stat, field 22), which stand in the folder's name. A run of another PID namespace (a container that
 * shares the folder) cannot be judged that way; it is removed once it is older than any run may get.
 */
import { randomBytes } from "node:crypto"
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs"
import { basename, join } from "node:path"

/** The variable in the environment of every process of a run. */
export const mark = "HAPROXY_MCP_ACME_RUN"

/** Below ACME_HOME; no dot, or `acme.sh --list` takes it for a domain. */
const parentName = "haproxy-mcp-runs"
/** 16 digits of chance, then whose it is: process id, the time that process started, PID namespace. */
const folderName = /^[0-9a-f]{16}-(\d+-\d+-\d+)$/
/** Milliseconds: the longest ACME_TIMEOUT and some more. */
const oldestRun = 90 * 60_000

const ownerOf = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The second field is the program's name in parentheses and may hold anything.
  const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
  // `pid:[4026531836]`
  return `${pid}-${started}-${/\d+/.exec(readlinkSync(`/proc/${pid}/ns/pid`))?.[0] ?? 0}`
}

const tryOwnerOf = (pid: number): string | null => {
  try {
    return ownerOf(pid)
  } catch {
    return null
  }
}

/**
 * Makes a folder for a run. Its name says whose it is, so that there is no moment, neither while it is made nor while it
 * is removed, at which nobody could tell. Throws what the file system says.
 */
export const make = (home: string): string => {
  const parent = join(home, parentName)
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const owner = tryOwnerOf(process.pid) ?? `${process.pid}-0-0`
  const folder = join(parent, `${randomBytes(8).toString("hex")}-${owner}`)
  mkdirSync(folder, { mode: 0o700 })
  chmodSync(folder, 0o700)
  return folder
}

/** The processes of a run, by their environment. Linux; elsewhere none is found. */
export const processes = (folder: string): ReadonlyArray<number> => {
  const wanted = `${mark}=${folder}`
  try {
    return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/environ`, "latin1").split("\0").includes(wanted)
      } catch {
        return false
      }
    })
  } catch {
    return []
  }
}

/** Kills what still runs of a run. Those that were starting others are looked for again. */
export const killAll = (folder: string): void => {
  for (let round = 0; round < 10; round++) {
    const found = processes(folder)
    if (found.length === 0) return
    for (const pid of found) {
      try {
        process.kill(pid, "SIGKILL")
      } catch {
        // It has ended by itself.
      }
    }
  }
}

/** Removes a run's folder with the key in it. */
export const remove = (folder: string): void => {
  try {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  } catch {
    // The next sweep tries again.
  }
}

const isAbandoned = (folder: string): boolean => {
  const owner = folderName.exec(basename(folder))?.[1] ?? ""
  const [pid = "", , namespace = ""] = owner.split("-")
  const here = tryOwnerOf(process.pid)?.split("-")[2]
  if (namespace === here) return tryOwnerOf(Number(pid)) !== owner
  return Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0) > oldestRun
}

/** Ends and removes what control planes that are gone have left; answers how many runs that were. Never throws. */
export const sweep = (home: string): number => {
  let swept = 0
  try {
    const parent = join(home, parentName)
    for (const name of readdirSync(parent)) {
      const folder = join(parent, name)
      if (!folderName.test(name) || !isAbandoned(folder)) continue
      killAll(folder)
      remove(folder)
      swept++
    }
  } catch {
    // There is no such folder yet.
  }
  return swept
}
