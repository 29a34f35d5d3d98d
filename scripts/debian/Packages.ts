/**
 * Programs from any Debian suite, in a folder, without installing anything and without root: apt downloads and
 * verifies the packages and all they depend on (C library included), `dpkg -x` unpacks them side by side, and a
 * wrapper (Wrapper.ts) runs each program from there, whatever release the machine itself has.
 *
 * Guarantees
 * - The mirror, keyring and proxy are the machine's own (AptSources.ts); apt checks every signature and hash.
 * - The system's apt is only read: sources, lists, caches, status and locks of the fetch are private, hooks are off.
 * - The folder appears complete, by a rename, or not at all. Parallel runs wait for each other; the second finds the
 *   work done. A folder whose manifest answers the request is kept as it is, without touching the network.
 *
 * Limits: Debian only (a machine with another distribution's sources fails `NoDebianArchive`). No maintainer script
 * runs, so nothing creates users, `/var/lib` folders or generated files. The two renames that replace an older folder
 * are not one step: for an instant there is none.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import {
  type DebianArchive,
  debianArchive,
  type Machine,
  parseDeb822,
  parseOneLine,
  parseOsRelease,
  type SourceEntry
} from "./AptSources.ts"
import { runCommand } from "./Command.ts"
import { FetchFailure } from "./FetchFailure.ts"
import { withFolderLock } from "./FolderLock.ts"
import { writeWrapper } from "./Wrapper.ts"

/** Stands for the suite that the machine itself is installed from. */
export const MACHINE_SUITE = "machine"

export interface PackagesRequest {
  /** For messages and the lock: `haproxy 3.2`. */
  readonly name: string
  /** `["trixie"]`, `["sid", "experimental"]`, `[MACHINE_SUITE]`. */
  readonly suites: ReadonlyArray<string>
  /** apt's `-t`: experimental packages are only taken when asked for by name. */
  readonly targetRelease?: string
  readonly packages: ReadonlyArray<string>
  /** Paths inside the packages (`usr/sbin/haproxy`); each gets a wrapper `<into>/bin/<name>`. */
  readonly programs: ReadonlyArray<string>
  /** The folder to make. Its parent is created; temporary folders and the lock file lie beside it. */
  readonly into: string
  /** Fetch again although the folder is there. */
  readonly refresh?: boolean
  /** Called once when the network is really needed. */
  readonly onFetch?: () => void
}

export interface FetchedPackages {
  readonly folder: string
  /** Package name → Debian version, of everything unpacked. */
  readonly versions: Readonly<Record<string, string>>
  /** True when nothing had to be done. */
  readonly cached: boolean
}

interface Manifest {
  readonly request: unknown
  readonly fetchedAt: string
  readonly versions: Readonly<Record<string, string>>
}

/** Changes with the layout of the folder or the text of the wrapper, so that older folders are fetched anew. */
const LAYOUT = 1
/** Bounds: a slow mirror may take minutes, a hung one must not take for ever. */
const APT_TIMEOUT_MS = 10 * 60_000
const UNPACK_TIMEOUT_MS = 60_000
const LOCK_WAIT_SECONDS = 15 * 60

/** Makes the folder `into` unless it is there already. Fails with `FetchFailure`. */
export const fetchPackages = async (request: PackagesRequest): Promise<FetchedPackages> => {
  const { packages, programs, suites, targetRelease = null } = request
  const wanted = JSON.stringify({ layout: LAYOUT, suites, targetRelease, packages, programs })
  const cached = async (): Promise<FetchedPackages | undefined> => {
    const manifest = request.refresh === true ? undefined : await readManifest(request.into)
    if (manifest === undefined || JSON.stringify(manifest.request) !== wanted) return undefined
    return { folder: request.into, versions: manifest.versions, cached: true }
  }
  const already = await cached()
  if (already !== undefined) return already

  const parent = dirname(request.into)
  await mkdir(parent, { recursive: true })
  const prefix = `.${basename(request.into)}.`
  return withFolderLock(join(parent, `${prefix}lock`), LOCK_WAIT_SECONDS, async () => {
    const meanwhile = await cached()
    if (meanwhile !== undefined) return meanwhile
    request.onFetch?.()
    // Under the lock, whatever an interrupted run left is nobody's.
    for (const entry of await readdir(parent)) {
      if (entry.startsWith(`${prefix}tmp-`)) await rm(join(parent, entry), { recursive: true, force: true })
    }
    const work = await mkdtemp(join(parent, `${prefix}tmp-`))
    try {
      const files = await download(request, join(work, "apt"))
      const root = join(work, "root")
      await mkdir(join(root, "bin"), { recursive: true })
      for (const file of files) await unpack(file, root)
      for (const program of programs) await writeWrapper(root, program)
      const versions = Object.fromEntries(files.map(packageOfFile).sort(([a], [b]) => (a < b ? -1 : 1)))
      const manifest: Manifest = { request: JSON.parse(wanted), fetchedAt: new Date().toISOString(), versions }
      await writeFile(join(root, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`)
      await rename(request.into, join(work, "old")).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== "ENOENT") throw cause
      })
      await rename(root, request.into)
      return { folder: request.into, versions, cached: false }
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  })
}

const readManifest = async (folder: string): Promise<Manifest | undefined> => {
  try {
    return JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as Manifest
  } catch {
    // Absent or not ours: the folder is made anew.
    return undefined
  }
}

/** apt names a downloaded file `<package>_<version, percent-encoded>_<architecture>.deb`. */
const packageOfFile = (file: string): readonly [name: string, version: string] => {
  const [name = "", version = ""] = basename(file).split("_")
  return [name, decodeURIComponent(version)]
}

const unpack = async (file: string, root: string): Promise<void> => {
  const result = await runCommand("dpkg", ["-x", file, root], { timeoutMs: UNPACK_TIMEOUT_MS })
  if (result.code !== 0) {
    throw new FetchFailure(
      "BadPackage",
      `${basename(file)} cannot be unpacked: ${lastLines(result.stderr)}`,
      "Check the free space of the cache folder, then try again."
    )
  }
}

/** Downloads the packages and everything they depend on; answers the paths of the `.deb` files. */
const download = async (request: PackagesRequest, work: string): Promise<ReadonlyArray<string>> => {
  const { archive, architecture } = await machineArchive()
  const folder = async (name: string) => {
    await mkdir(join(work, name), { recursive: true })
    return join(work, name)
  }
  const [sources, preferences, lists, archives] = [
    await folder("sources"),
    await folder("preferences"),
    await folder("lists"),
    await folder("archives")
  ]
  await mkdir(join(lists, "partial"))
  await mkdir(join(archives, "partial"))
  await writeFile(join(work, "status"), "")
  const suites = request.suites.map((suite) => suite === MACHINE_SUITE ? archive.suite : suite)
  await writeFile(join(sources, "debian.sources"), sourcesFile(archive, suites, architecture))
  await writeFile(
    join(work, "apt.conf"),
    aptConfiguration({ work, sources, preferences, lists, archives, architecture })
  )
  // `-c` is read after the system's configuration, so what stands there wins; proxies and credentials remain.
  const aptGet = (...args: ReadonlyArray<string>) =>
    runCommand("apt-get", ["-c", join(work, "apt.conf"), ...args], { timeoutMs: APT_TIMEOUT_MS })
  const update = await aptGet("update")
  if (update.code !== 0) throw aptFailure(`the package lists of ${suites.join(" and ")}`, update.stderr)
  const install = await aptGet(
    "install",
    "--yes",
    "--download-only",
    "--no-install-recommends",
    ...(request.targetRelease === undefined ? [] : ["-t", request.targetRelease]),
    ...request.packages
  )
  if (install.code !== 0) {
    throw /Unable to locate package|has no installation candidate/.test(install.stderr)
      ? new FetchFailure(
        "NotPackaged",
        `${request.name}: ${suites.join(" and ")} of this mirror has no ${
          request.packages.join(", ")
        } for ${architecture}`,
        "The mirror may be a partial one, or the package has left that suite."
      )
      : aptFailure(request.name, `${update.stderr}${install.stderr}`)
  }
  return (await readdir(archives)).filter((file) => file.endsWith(".deb")).map((file) => join(archives, file))
}

const aptFailure = (what: string, stderr: string) =>
  new FetchFailure(
    "AptFailed",
    `apt could not fetch ${what}: ${lastLines(stderr)}`,
    "Check that `apt-get update` works on this machine (network, proxy, clock, debian-archive-keyring)."
  )

/** The errors of apt, else its last words; three lines at most. */
const lastLines = (stderr: string): string => {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  const errors = lines.filter((line) => line.startsWith("E:"))
  return (errors.length > 0 ? errors : lines).slice(-3).join("; ") || "no message"
}

const sourcesFile = (archive: DebianArchive, suites: ReadonlyArray<string>, architecture: string): string =>
  [
    "Types: deb",
    `URIs: ${archive.uris.join(" ")}`,
    `Suites: ${suites.join(" ")}`,
    "Components: main",
    `Architectures: ${architecture}`,
    // Only the index is needed: no Contents (apt-file), no icons (AppStream), no translations.
    "Targets: Packages",
    "Languages: none",
    ...(archive.signedBy === undefined ? [] : [`Signed-By: ${archive.signedBy}`]),
    ...(archive.trusted === undefined ? [] : [`Trusted: ${archive.trusted}`]),
    ""
  ].join("\n")

/** Everything that apt would write, or that would make it do more than download, points into `work`. */
const aptConfiguration = (paths: {
  readonly work: string
  readonly sources: string
  readonly preferences: string
  readonly lists: string
  readonly archives: string
  readonly architecture: string
}): string => {
  const settings: ReadonlyArray<readonly [key: string, value: string]> = [
    ["Dir::Etc::sourcelist", "/dev/null"],
    ["Dir::Etc::sourceparts", paths.sources],
    ["Dir::Etc::preferences", "/dev/null"],
    ["Dir::Etc::preferencesparts", paths.preferences],
    ["Dir::State", paths.work],
    ["Dir::State::lists", paths.lists],
    // Empty: nothing counts as installed, so the C library comes along too.
    ["Dir::State::status", join(paths.work, "status")],
    ["Dir::State::extended_states", join(paths.work, "extended_states")],
    ["Dir::Cache", paths.work],
    ["Dir::Cache::archives", paths.archives],
    ["Dir::Cache::pkgcache", ""],
    ["Dir::Cache::srcpkgcache", ""],
    ["Dir::Log", paths.work],
    ["APT::Architecture", paths.architecture],
    ["APT::Architectures::", paths.architecture],
    // apt would drop to `_apt`, which may not enter a private folder; root here means "do not drop".
    ["APT::Sandbox::User", "root"],
    // Otherwise a list that could not be fetched is only a warning.
    ["APT::Update::Error-Mode", "any"],
    ["APT::Default-Release", ""],
    ["Acquire::Retries", "3"],
    ["Acquire::http::Timeout", "30"],
    ["Acquire::https::Timeout", "30"]
  ]
  // Hooks of the machine (container images clean the system's cache in one) have no business here.
  const cleared = [
    "APT::Architectures",
    "APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke",
    "APT::Update::Post-Invoke-Success",
    "APT::Install::Pre-Invoke",
    "APT::Install::Post-Invoke-Success",
    "DPkg::Pre-Invoke",
    "DPkg::Post-Invoke",
    "DPkg::Pre-Install-Pkgs"
  ]
  return [
    ...cleared.map((key) => `#clear ${key};`),
    ...settings.map(([key, value]) => `${key} "${value}";`),
    ""
  ].join("\n")
}

/** Reads the machine's sources. Fails `NoDebianArchive` on Ubuntu and the like, `NoApt` where there is no apt. */
const machineArchive = async (): Promise<{ readonly archive: DebianArchive; readonly architecture: string }> => {
  const shell = await runCommand(
    "apt-config",
    ["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d", "ARCH", "APT::Architecture"],
    { timeoutMs: UNPACK_TIMEOUT_MS }
  )
  const value = (name: string) => new RegExp(`^${name}='([^']*)'`, "m").exec(shell.stdout)?.[1]
  const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "")
  const machine = parseOsRelease(osRelease)
  const entries = await readSources(
    value("LIST") ?? "/etc/apt/sources.list",
    value("PARTS") ?? "/etc/apt/sources.list.d"
  )
  const archive = debianArchive(entries, machine)
  if (archive === undefined) throw noArchive(machine)
  return { archive, architecture: value("ARCH") ?? "amd64" }
}

const noArchive = (machine: Machine) =>
  new FetchFailure(
    "NoDebianArchive",
    `${machine.name}: its apt sources name no Debian archive, so Debian's packages cannot be fetched`,
    "Run this on Debian 12 or later (a container will do), or put the programs you need into PATH yourself."
  )

/** All enabled entries, in apt's order: the list first, then the parts by name. What cannot be read is left out. */
const readSources = async (list: string, parts: string): Promise<ReadonlyArray<SourceEntry>> => {
  const text = (file: string) => readFile(file, "utf8").catch(() => "")
  const entries = [...parseOneLine(await text(list))]
  for (const name of (await readdir(parts).catch(() => [])).sort()) {
    // apt itself ignores other names, such as `x.list.disabled`.
    if (/^[\w.-]+\.list$/.test(name)) entries.push(...parseOneLine(await text(join(parts, name))))
    if (/^[\w.-]+\.sources$/.test(name)) entries.push(...parseDeb822(await text(join(parts, name))))
  }
  return entries
}
