/**
 * The folder of one run of acme.sh, and what a dead control plane left of one.
 *
 * A run's folder lies below ACME_HOME, is its owner's alone and holds everything that acme.sh writes but the account.
 * Every process of a run has the folder's path in its environment ({@link mark}), so that each of them is found again
 * whatever became of its parent or its process group, and none is mistaken for another one that got its number.
 *
 * {@link sweep} ends and removes the runs whose control plane is gone: it is told from a living one by its process id
 * and the time that process started (/proc/PID/stat, field 22). A run of another PID namespace (a container that
 * shares the folder) cannot be judged that way; it is removed once it is older than any run may get.
 */
import { randomBytes } from "node:crypto"
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** The variable in the environment of every process of a run. */
export const mark = "HAPROXY_MCP_ACME_RUN"

/** Below ACME_HOME; no dot, or `acme.sh --list` takes it for a domain. */
const parentName = "haproxy-mcp-runs"
const ownerName = "owner"
/** Milliseconds: the longest ACME_TIMEOUT and some more. */
const oldestRun = 90 * 60_000

const ownerOf = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // The second field is the program's name in parentheses and may hold anything.
  const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
  return `${pid} ${started} ${readlinkSync(`/proc/${pid}/ns/pid`)}`
}

const tryOwnerOf = (pid: number): string | null => {
  try {
    return ownerOf(pid)
  } catch {
    return null
  }
}

/** Makes a folder for a run. Throws what the file system says. */
export const make = (home: string): string => {
  const parent = join(home, parentName)
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const folder = join(parent, randomBytes(8).toString("hex"))
  mkdirSync(folder, { mode: 0o700 })
  chmodSync(folder, 0o700)
  writeFileSync(join(folder, ownerName), `${tryOwnerOf(process.pid) ?? process.pid}\n`, { mode: 0o600 })
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
  try {
    const owner = readFileSync(join(folder, ownerName), "utf8").trim()
    const [pid = "", , namespace = ""] = owner.split(" ")
    const here = tryOwnerOf(process.pid)?.split(" ")[2] ?? ""
    if (namespace !== "" && namespace === here) return tryOwnerOf(Number(pid)) !== owner
    return Date.now() - statSync(folder).mtimeMs > oldestRun
  } catch {
    // It was killed between making the folder and saying whose it is, or is being made at this moment.
    return Date.now() - (statSync(folder, { throwIfNoEntry: false })?.ctimeMs ?? 0) > 10_000
  }
}

/** Ends and removes what control planes that are gone have left; answers how many runs that were. Never throws. */
export const sweep = (home: string): number => {
  let swept = 0
  try {
    const parent = join(home, parentName)
    for (const name of readdirSync(parent)) {
      const folder = join(parent, name)
      if (!/^[0-9a-f]{16}$/.test(name) || !isAbandoned(folder)) continue
      killAll(folder)
      remove(folder)
      swept++
    }
  } catch {
    // There is no such folder yet.
  }
  return swept
}
