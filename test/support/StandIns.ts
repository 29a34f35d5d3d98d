/**
 * Stand-ins for `podman` and `systemctl`, which cannot run in a test: small shell scripts, first on PATH, that do to
 * the real HAProxy of the test what the programs would do to one in a container or a unit, and write down how they
 * were called. Their answers are shaped as podman-inspect(1) and systemctl(1) describe; Podman itself is not tested.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"

export interface StandIns {
  /** One line for each call so far: the program and its arguments. */
  readonly calls: () => ReadonlyArray<string>
  /** Podman's word for the container: `running`, `exited`, … */
  readonly setState: (state: string) => void
  /** `systemctl reload` fails with this text; null: it works. */
  readonly failUnit: (text: string | null) => void
  /** Takes the folder off PATH. */
  readonly remove: () => void
}

export interface StandInOptions {
  readonly folder: string
  /** The one container and the one unit that there are. */
  readonly name: string
  readonly master: number
  readonly binary: string
  /** The command of the container. */
  readonly command: ReadonlyArray<string>
  /** The folder that HAProxy's relative files are in. */
  readonly cwd: string
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** Puts the stand-ins first on this process's PATH. */
export const placeStandIns = (options: StandInOptions): StandIns => {
  const { binary, command, cwd, folder, master, name } = options
  mkdirSync(folder, { recursive: true })
  const calls = join(folder, "calls")
  const inspect = join(folder, "inspect.json")
  const failure = join(folder, "failure")
  writeFileSync(calls, "")
  writeFileSync(failure, "")
  const script = (program: string, ...lines: ReadonlyArray<string>) => {
    const file = join(folder, program)
    writeFileSync(file, ["#!/bin/sh", `echo ${program} "$@" >> ${quoted(calls)}`, ...lines, ""].join("\n"))
    chmodSync(file, 0o755)
  }
  script(
    "podman",
    `none() { echo "Error: no such container $1" >&2; exit 125; }`,
    `case "$1" in`,
    `inspect) [ "$4" = ${quoted(name)} ] || none "$4"; exec cat ${quoted(inspect)} ;;`,
    `exec) [ "$2" = ${quoted(name)} ] || none "$2"; shift 3; cd ${quoted(cwd)}; exec ${quoted(binary)} "$@" ;;`,
    `kill) [ "$4" = ${quoted(name)} ] || none "$4"; exec kill "-$3" ${master} ;;`,
    `*) exit 2 ;;`,
    `esac`
  )
  script(
    "systemctl",
    `[ "$2" = reload ] && [ "$3" = ${quoted(`${name}.service`)} ] || { echo "Unit $3 not found." >&2; exit 5; }`,
    `[ -s ${quoted(failure)} ] && { cat ${quoted(failure)} >&2; exit 1; }`,
    `exec kill -USR2 ${master}`
  )
  const setState = (state: string) => {
    const [Path, ...Args] = command
    const Config = { Env: ["SECRET=hunter2"], Image: "docker.io/library/haproxy:lts" }
    writeFileSync(inspect, JSON.stringify([{ Id: "c0ffee", Path, Args, State: { Status: state, Pid: 1 }, Config }]))
  }
  setState("running")
  const before = process.env["PATH"] ?? ""
  process.env["PATH"] = `${folder}${delimiter}${before}`
  return {
    calls: () => readFileSync(calls, "utf8").split("\n").filter((line) => line !== ""),
    setState,
    failUnit: (text) => writeFileSync(failure, text ?? ""),
    remove: () => {
      process.env["PATH"] = before
    }
  }
}
