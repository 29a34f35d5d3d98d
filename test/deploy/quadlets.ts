/**
 * Podman's own generator, as systemd runs it at boot: from quadlet files to the commands that the units would start. It is
 * of a newer Podman than bookworm's, so that it knows quadlets at all, and runs from the cache.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cacheFolder } from "../../scripts/debian/CacheFolder.ts"
import { FetchFailure } from "../../scripts/debian/FetchFailure.ts"
import { fetchPackages } from "../../scripts/debian/Packages.ts"
import { run } from "../../scripts/image/Run.ts"

/** The generator, or why there is none, said aloud. */
export const generator = await (async () => {
  try {
    const { folder, versions } = await fetchPackages({
      name: "quadlet",
      suites: ["trixie"],
      dependencies: "none",
      packages: ["podman"],
      programs: [],
      into: join(cacheFolder(), "debian", "quadlet")
    })
    const command = join(folder, "root/usr/libexec/podman/quadlet")
    const { code, stderr } = await run(command, ["-version"])
    if (code === 0) return { command, version: versions["podman"] ?? "" }
    throw new FetchFailure("BadPackage", `the quadlet generator does not run here: ${stderr}`, "")
  } catch (cause) {
    if (!(cause instanceof FetchFailure)) throw cause
    process.stderr.write(`\nSKIPPED, NOT TESTED: the quadlets (${cause.message})\n`)
    return undefined
  }
})()

/** A line of a unit as words, unquoted. */
const wordsOf = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map((match) => match[1]?.replaceAll(/\\(.)/g, "$1") ?? match[0])

export interface Generated {
  readonly code: number
  /** What it said of each file, without the names of the files that it reads. */
  readonly complaints: ReadonlyArray<string>
  /** `haproxy.service` → the words of its ExecStart, the first of which is Podman. */
  readonly starts: Readonly<Record<string, ReadonlyArray<string>>>
}

/** What systemd would get from the quadlets of one folder, changed by `change` in a copy of it. */
export const generate = async (folder: string, change: (copy: string) => void = () => {}): Promise<Generated> => {
  const copy = mkdtempSync(join(tmpdir(), "haproxy-mcp-quadlets-"))
  try {
    for (const name of readdirSync(folder)) {
      if (/\.(?:container|volume)$/.test(name)) cpSync(join(folder, name), join(copy, name))
    }
    change(copy)
    const { code, stderr, stdout } = await run(generator!.command, ["-dryrun"], { env: { QUADLET_UNIT_DIRS: copy } })
    const units = stdout.split(/^---(.+)---$/m)
    const starts: Record<string, ReadonlyArray<string>> = {}
    for (let at = 1; at < units.length; at += 2) {
      const start = /^ExecStart=(.+)$/m.exec(units[at + 1] ?? "")?.[1]
      if (start !== undefined) starts[units[at]!] = wordsOf(start)
    }
    const complaints = stderr.split("\n").filter((line) => line !== "" && !line.includes("Loading source unit file"))
    return { code, complaints, starts }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

/** The values of an option that may come often: `--env`, `-v`. */
export const optionsOf = (words: ReadonlyArray<string>, option: string): ReadonlyArray<string> =>
  words.flatMap((word, at) => word === option ? [words[at + 1] ?? ""] : [])

/** The environment that a unit gives its container. */
export const environmentOf = (words: ReadonlyArray<string>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    optionsOf(words, "--env").map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)])
  )
