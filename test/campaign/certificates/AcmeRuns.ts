/** The runs of acme.sh below one ACME_HOME: their processes, wherever they went, and their folders. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Processes that hold this folder in their environment or arguments, zombies left out; this one is not among them. */
export const processesOf = (home: string): ReadonlyArray<{ readonly pid: number; readonly what: string }> =>
  readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const [what, environ] = ["cmdline", "environ"].map((file) => readFileSync(`/proc/${name}/${file}`, "latin1"))
      const isRun = environ!.split("\0").some((line) => line.startsWith(`HAPROXY_MCP_ACME_RUN=${home}/`))
      return isRun && Number(name) !== process.pid ? [{ pid: Number(name), what: what!.replaceAll("\0", " ") }] : []
    } catch {
      // It has ended.
      return []
    }
  })

/** SIGKILL to all of them; answers how many there were. */
export const killRuns = (home: string): number => {
  const found = processesOf(home)
  for (const { pid } of found) {
    try {
      process.kill(pid, "SIGKILL")
    } catch {
      // It has ended by itself.
    }
  }
  return found.length
}

/** Folders of runs that are there, each with the files in it. */
export const foldersOf = (home: string): ReadonlyArray<string> => {
  const parent = join(home, "haproxy-mcp-runs")
  if (!existsSync(parent)) return []
  return readdirSync(parent).map((name) => {
    try {
      return `${name}: ${readdirSync(join(parent, name), { recursive: true }).join(", ")}`
    } catch {
      return name
    }
  })
}
