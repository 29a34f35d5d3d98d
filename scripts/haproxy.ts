/**
 * HAProxy at hand: real binaries of the lines we support, fetched from Debian into the cache folder.
 *
 * `node scripts/haproxy.ts [--refresh] [line…]` fetches what is missing and prints a table. As a module it answers
 * where they are: `<cache>/haproxy/<line>/bin/haproxy`. A line is what `haproxy -v` says, never what a suite once had:
 * when sid moves on, its binary is listed under the new line, and the old one is looked for elsewhere or named missing.
 */
import { readdir, readlink, rename, symlink, unlink } from "node:fs/promises"
import { delimiter, join } from "node:path"
import { cacheFolder } from "./debian/CacheFolder.ts"
import { runCommand } from "./debian/Command.ts"
import { FetchFailure } from "./debian/FetchFailure.ts"
import { fetchPackages } from "./debian/Packages.ts"
import { compareVersions, parseHaproxyVersion } from "./debian/Version.ts"

export interface HaproxyBinary {
  /** `3.2` */
  readonly line: string
  /** As the program states it: `3.2.26-1`. */
  readonly version: string
  /** Absolute path of something that runs like `haproxy`, master-worker mode and reloads included. */
  readonly path: string
}

export interface HaproxyLines {
  /** The lines asked for that can be had, in the order asked. */
  readonly lines: ReadonlyArray<HaproxyBinary>
  readonly missing: ReadonlyArray<{ readonly line: string; readonly reason: string }>
}

/** What a fetch tells while it runs. */
export interface Progress {
  readonly fetching?: (line: string, suite: string) => void
  readonly fetched?: (version: string, seconds: number) => void
  readonly failed?: (reason: string) => void
}

/** Oldest first: the long-term lines that are tested. */
export const SUPPORTED_LINES: ReadonlyArray<string> = ["3.0", "3.2", "3.4"]
const OLDEST_SUPPORTED = "3.0"

interface Source {
  /** Names the folder in the cache. */
  readonly suite: string
  readonly suites: ReadonlyArray<string>
  readonly targetRelease?: string
}

const suite = (name: string): Source => ({ suite: name, suites: [name] })
const experimental: Source = {
  suite: "experimental",
  // Experimental is an add-on to sid, which has the libraries; apt falls back to sid's HAProxy when it has none.
  suites: ["sid", "experimental"],
  targetRelease: "experimental"
}

/** Where each line is, or is most likely to be when the suites move on. */
const sourcesOf: Readonly<Record<string, ReadonlyArray<Source>>> = {
  "3.0": [suite("trixie")],
  "3.2": [suite("sid"), suite("forky")],
  "3.4": [experimental, suite("sid")]
}

const home = () => join(cacheFolder(), "haproxy")

/** Asks a binary what it is; `undefined` when it does not run or is not HAProxy. */
const identify = async (path: string): Promise<HaproxyBinary | undefined> => {
  const answer = await runCommand(path, ["-v"], { timeoutMs: 10_000 }).catch(() => undefined)
  const version = answer?.code === 0 ? parseHaproxyVersion(answer.stdout) : undefined
  return version === undefined ? undefined : { line: version.line, version: version.full, path }
}

/** The first `haproxy` in PATH that runs, whatever its version. */
const inPath = async (): Promise<HaproxyBinary | undefined> => {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const binary = folder.startsWith("/") ? await identify(join(folder, "haproxy")) : undefined
    if (binary !== undefined) return binary
  }
  return undefined
}

/**
 * What is at hand, one binary per line, oldest line first: the cache, and the `haproxy` in PATH for a supported line
 * that the cache lacks. Uses no network.
 */
export const haproxyLines = async (): Promise<ReadonlyArray<HaproxyBinary>> => {
  const cached = await cachedLines()
  const own = await inPath()
  const adds = own !== undefined && compareVersions(own.version, OLDEST_SUPPORTED) >= 0 &&
    !cached.some(({ line }) => line === own.line)
  return adds ? [...cached, own].sort((a, b) => compareVersions(a.line, b.line)) : cached
}

/** The newest binary of each line in the cache. */
const cachedLines = async (): Promise<ReadonlyArray<HaproxyBinary>> => {
  const newest = new Map<string, HaproxyBinary>()
  const names = (await readdir(home()).catch(() => [])).filter((name) => !name.startsWith("."))
  // Links (`3.2`) sort before the suites they lead to, so a line is reported under its stable path.
  for (const name of names.sort()) {
    const binary = await identify(join(home(), name, "bin", "haproxy"))
    if (binary === undefined || (/^\d/.test(name) && name !== binary.line)) continue
    const known = newest.get(binary.line)
    if (known === undefined || compareVersions(known.version, binary.version) < 0) newest.set(binary.line, binary)
  }
  return [...newest.values()].sort((a, b) => compareVersions(a.line, b.line))
}

/** Fetches one source unless it is there, and gives it the stable path `<cache>/haproxy/<line>`. */
const fetchSource = async (source: Source, line: string, refresh: boolean, progress: Progress) => {
  const started = performance.now()
  let fetching = false
  const fetched = await fetchPackages({
    name: `haproxy ${line}`,
    suites: source.suites,
    ...(source.targetRelease === undefined ? {} : { targetRelease: source.targetRelease }),
    packages: ["haproxy"],
    programs: ["usr/sbin/haproxy"],
    into: join(home(), source.suite),
    refresh,
    onFetch: () => {
      fetching = true
      progress.fetching?.(line, source.suite)
    }
  })
  const binary = await identify(join(fetched.folder, "bin", "haproxy"))
  if (binary === undefined) {
    throw new FetchFailure(
      "BadPackage",
      `the haproxy of ${source.suite} was fetched but does not run`,
      `See what \`${join(fetched.folder, "bin", "haproxy")} -v\` says.`
    )
  }
  if (fetching) progress.fetched?.(binary.version, (performance.now() - started) / 1000)
  await link(binary.line, source.suite)
  return { ...binary, path: join(home(), binary.line, "bin", "haproxy") }
}

/** Points `<line>` at the suite's folder, atomically, so that a parallel run never sees it missing. */
const link = async (line: string, target: string): Promise<void> => {
  const path = join(home(), line)
  if ((await readlink(path).catch(() => undefined)) === target) return
  const temporary = join(home(), `.${line}.link-${process.pid}`)
  await unlink(temporary).catch(() => {})
  await symlink(target, temporary)
  await rename(temporary, path)
  // A suite that moved on no longer is what it was: its old line must not lead there.
  for (const name of await readdir(home())) {
    if (name === line || !/^\d/.test(name)) continue
    if ((await readlink(join(home(), name)).catch(() => undefined)) === target) await unlink(join(home(), name))
  }
}

/**
 * Makes the lines available, fetching what is not cached. Never throws for a line that cannot be had: it is listed
 * in `missing`, with the reasons. A `haproxy` in PATH stands in for its own line when Debian cannot give it.
 */
export const ensureHaproxy = async (
  wanted: ReadonlyArray<string> = SUPPORTED_LINES,
  options: { readonly refresh?: boolean; readonly progress?: Progress } = {}
): Promise<HaproxyLines> => {
  const { progress = {}, refresh = false } = options
  const lines: Array<HaproxyBinary> = []
  const missing: Array<{ readonly line: string; readonly reason: string }> = []
  const cached = refresh ? [] : await cachedLines()
  for (const line of wanted) {
    let found = cached.find((binary) => binary.line === line)
    const reasons: Array<string> = []
    for (const source of found === undefined ? sourcesOf[line] ?? [] : []) {
      try {
        const binary = await fetchSource(source, line, refresh, progress)
        if (binary.line === line) {
          found = binary
          break
        }
        reasons.push(`${source.suite} has ${binary.version}`)
      } catch (failure) {
        if (!(failure instanceof FetchFailure)) throw failure
        progress.failed?.(failure.message)
        reasons.push(`${failure.message} (${failure.hint})`)
      }
    }
    if (found === undefined) {
      const own = await inPath()
      if (own?.line === line) found = own
    }
    if (found !== undefined) lines.push(found)
    else missing.push({ line, reason: reasons.join("; ") || "no Debian suite is known to have it" })
  }
  return { lines, missing }
}

/**
 * One HAProxy to try things with: the machine's own when it is new enough, else the newest that is cached or can be
 * fetched. Fails with a `FetchFailure` whose hint says what to install.
 */
export const demoHaproxy = async (progress: Progress = {}): Promise<HaproxyBinary> => {
  const own = await inPath()
  if (own !== undefined && compareVersions(own.version, OLDEST_SUPPORTED) >= 0) return own
  const cached = (await cachedLines()).at(-1)
  if (cached !== undefined) return cached
  let reason = ""
  for (const line of SUPPORTED_LINES.toReversed()) {
    const { lines, missing } = await ensureHaproxy([line], { progress })
    if (lines[0] !== undefined) return lines[0]
    reason = missing[0]?.reason ?? reason
    // What came instead of the line asked for serves as well.
    const other = (await cachedLines()).at(-1)
    if (other !== undefined) return other
  }
  throw new FetchFailure(
    "NotPackaged",
    `no HAProxy ${OLDEST_SUPPORTED} or later: ${
      own === undefined ? "there is none in PATH" : `the one in PATH is ${own.version}`
    }, and none could be fetched: ${reason}`,
    `Install HAProxy ${OLDEST_SUPPORTED} or later so that \`haproxy -v\` works, then run this again.`
  )
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}

const main = async (args: ReadonlyArray<string>): Promise<number> => {
  const refresh = args.includes("--refresh")
  const asked = args.filter((arg) => arg !== "--refresh")
  const unknown = asked.filter((arg) => !SUPPORTED_LINES.includes(arg))
  if (unknown.length > 0) {
    console.error(
      `unknown: ${unknown.join(" ")}\nusage: node scripts/haproxy.ts [--refresh] [${SUPPORTED_LINES.join("|")}]…`
    )
    return 2
  }
  const { lines, missing } = await ensureHaproxy(asked.length > 0 ? asked : SUPPORTED_LINES, {
    refresh,
    progress: {
      fetching: (line, from) => process.stdout.write(`fetching haproxy ${line} (${from})… `),
      fetched: (version, seconds) => process.stdout.write(`${version}, ${seconds.toFixed(0)} s\n`),
      failed: () => process.stdout.write("failed\n")
    }
  })
  // Also what came instead of a line asked for.
  const others = (await haproxyLines()).filter((binary) => !lines.some(({ line }) => line === binary.line))
  const all = [...lines, ...(asked.length > 0 ? [] : others)].sort((a, b) => compareVersions(a.line, b.line))
  if (all.length > 0) {
    console.log(table([["line", "version", "path"], ...all.map(({ line, path, version }) => [line, version, path])]))
  }
  for (const { line, reason } of missing) console.error(`missing: haproxy ${line}: ${reason}`)
  if (all.length === 0) console.error("no HAProxy can be had")
  return all.length === 0 ? 1 : 0
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2))
