/**
 * The demo's own folder, `.demo` in the repository: fresh at every run, kept after it for a look at files and logs.
 *
 * One demo at a time works in it: a second one is told who runs, because clearing the folder would take the files
 * from under the first.
 */
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, relative } from "node:path"
import { DemoFailure } from "./DemoFailure.ts"

export interface WorkFolder {
  readonly root: string
  readonly haproxyConfig: string
  readonly poolsFile: string
  readonly domainsMap: string
  readonly wildcardsMap: string
  readonly certificates: string
  /** Everything of the CA and of acme.sh. */
  readonly acme: string
  readonly database: string
  readonly cheatSheet: string
  /** `logs/<name>.log` */
  readonly log: (name: string) => string
  /** `<name>.pid` */
  readonly pidFile: (name: string) => string
}

export const workFolder = (repository: string): WorkFolder => {
  const root = join(repository, ".demo")
  return {
    root,
    haproxyConfig: join(root, "haproxy.cfg"),
    poolsFile: join(root, "conf", "pools.cfg"),
    domainsMap: join(root, "conf", "domains.map"),
    wildcardsMap: join(root, "conf", "wildcards.map"),
    certificates: join(root, "certs"),
    acme: join(root, "acme"),
    database: join(root, "data", "haproxy_mcp.db"),
    cheatSheet: join(root, "cheat-sheet.txt"),
    log: (name) => join(root, "logs", `${name}.log`),
    pidFile: (name) => join(root, `${name}.pid`)
  }
}

/** Is this process id a demo that runs? Without /proc a living process counts as one. */
const isDemo = async (pid: number): Promise<boolean> => {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false
  try {
    process.kill(pid, 0)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EPERM") return false
  }
  const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => undefined)
  return command === undefined || command.includes("demo.ts")
}

/** Fails when a demo runs from this folder. */
export const requireNoOtherDemo = async (folder: WorkFolder): Promise<void> => {
  const other = Number(await readFile(folder.pidFile("demo"), "utf8").catch(() => "0"))
  if (!(await isDemo(other))) return
  throw new DemoFailure(
    `A demo runs already from this folder (pid ${other}).`,
    `Stop it with Ctrl-C in its terminal, or: kill ${other}`
  )
}

/** Clears the folder and makes it ours. */
export const openWorkFolder = async (folder: WorkFolder): Promise<void> => {
  try {
    await rm(folder.root, { recursive: true, force: true, maxRetries: 3 })
    for (const name of ["conf", "data", "logs"]) await mkdir(join(folder.root, name), { recursive: true, mode: 0o700 })
    await writeFile(folder.pidFile("demo"), `${process.pid}\n`)
  } catch (cause) {
    throw new DemoFailure(
      `The folder ${folder.root} cannot be made afresh: ${(cause as Error).message}`,
      `Run the demo as the user who owns this folder, or remove it: rm -rf ${folder.root}`,
      { cause }
    )
  }
}

/** Gives the folder up; its files stay. */
export const closeWorkFolder = async (folder: WorkFolder): Promise<void> => {
  for (const name of ["demo", "haproxy", "control-plane"]) await rm(folder.pidFile(name), { force: true })
}

/** The last lines of a log, for a failure; nothing when there are none. */
export const logTail = async (file: string, lines: number): Promise<string | undefined> => {
  const text = (await readFile(file, "utf8").catch(() => "")).trimEnd()
  if (text === "") return undefined
  const all = text.split("\n")
  const shown = all.slice(-lines).map((line) => line.length > 300 ? `${line.slice(0, 300)}…` : line)
  return `${relative(process.cwd(), file)}, last ${shown.length} of ${all.length} lines:\n${shown.join("\n")}`
}
