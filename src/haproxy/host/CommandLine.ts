/**
 * How a HAProxy of a host was started, from `/proc` (Linux): the program, its files and its folder, which is all
 * that `haproxy -c` needs to check the same configuration in the same way.
 *
 * It never fails: what is not HAProxy, or may not be looked at, is null. HAProxy's environment is taken along where it
 * can be read, because a configuration may use its variables; those that HAProxy made itself are left out, and so are
 * the control plane's own, should both have been started from one environment.
 */
import * as Effect from "effect/Effect"
import { basename, resolve } from "node:path"
import type { Disk } from "../../domain/Disk.ts"

/** What `haproxy -c` needs to check what a HAProxy runs. */
export interface Started {
  /** The program, with its loader if it was started by one. */
  readonly program: ReadonlyArray<string>
  /** Options that say what is read: `-f FILE`, `-C FOLDER`, `-L NAME`, `-n N`, … */
  readonly options: ReadonlyArray<string>
  /** The configuration files and folders, in order, as HAProxy names them. */
  readonly files: ReadonlyArray<string>
  /** The folder that relative files are in. */
  readonly cwd: string | null
  readonly env: Readonly<Record<string, string>> | null
}

/** Options with a value that a check must have too. Others (`-W`, `-S …`, `-sf PID…`, `-x …`) are for running. */
const kept = new Set(["-f", "-C", "-L", "-n", "-N", "-m"])

/**
 * Reads an argument vector of HAProxy; null when it names no file. A reload leaves `-sf 123 -x sockpair@3` in it
 * (3.0.11, 3.2.26, 3.4.7). What comes before the first option is the program.
 */
export const parseArguments = (
  argv: ReadonlyArray<string>
): Pick<Started, "program" | "options" | "files"> | null => {
  const first = argv.findIndex((word) => /^-[A-Za-z]/.test(word))
  if (first < 1) return null
  const options: Array<string> = []
  const files: Array<string> = []
  for (let at = first; at < argv.length; at++) {
    const word = argv[at]!
    if (word === "--") {
      for (const file of argv.slice(at + 1)) {
        options.push("-f", file)
        files.push(file)
      }
      break
    }
    const value = argv[at + 1]
    if (!kept.has(word) || value === undefined) continue
    options.push(word, value)
    if (word === "-f") files.push(value)
    at++
  }
  return files.length === 0 ? null : { program: argv.slice(0, first), options, files }
}

const isHaproxy = (program: ReadonlyArray<string>): boolean =>
  program.some((word) => basename(word).startsWith("haproxy"))

/** Bytes of an argument vector or an environment (Linux allows 2 MiB of both by default). */
const longest = 4 * 1024 * 1024

/** Made by HAProxy for its own processes, or the control plane's. */
const notItsOwn =
  /^(?:HAPROXY_(?:PROCESSES|CFGFILES|MWORKER\w*|STARTUP\w*|LOCALPEER|CLI|MASTER_CLI|LOAD_SUCCESS)|NOTIFY_SOCKET|LISTEN_\w+|MCP_\w+|ACME_\w+)$/

/** The variables of a `/proc/PID/environ`, without those that are not for `haproxy -c`. */
export const environment = (text: string): Record<string, string> => {
  const env: Record<string, string> = {}
  for (const pair of text.split("\0")) {
    const at = pair.indexOf("=")
    if (at > 0 && !notItsOwn.test(pair.slice(0, at))) env[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return env
}

/** How the process was started; null when it is not a HAProxy that we may look at. */
export const ofProcess = (disk: Disk, pid: number): Effect.Effect<Started | null> =>
  Effect.promise(async () => {
    const read = (name: string) =>
      disk.readFile(`/proc/${pid}/${name}`, longest).then((bytes) => bytes?.toString("utf8") ?? null, () => null)
    const line = await read("cmdline")
    const parsed = line === null ? null : parseArguments(line.split("\0").slice(0, -1))
    if (parsed === null || !isHaproxy(parsed.program)) return null
    const env = await read("environ")
    return {
      ...parsed,
      cwd: await disk.readlink(`/proc/${pid}/cwd`).catch(() => null),
      env: env === null ? null : environment(env)
    }
  })

/** The files by their full paths, where they are known. */
export const paths = (started: Pick<Started, "files" | "options" | "cwd">): ReadonlyArray<string> => {
  const changed = started.options[started.options.indexOf("-C") + 1]
  const folder = started.options.includes("-C") && changed !== undefined
    ? resolve(started.cwd ?? "/", changed)
    : started.cwd ?? "/"
  return started.files.map((file) => resolve(folder, file))
}
