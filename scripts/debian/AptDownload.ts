/**
 * apt as a downloader only: packages of any Debian suite and all they depend on, verified, as files in a folder.
 *
 * The mirror, keyring and proxy are the machine's own (AptSources.ts) and its configuration is read, but everything
 * apt writes goes into the given folder, and the machine's hooks do not run. Needs no root.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
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

/** Stands for the suite that the machine itself is installed from. */
export const MACHINE_SUITE = "machine"

export interface Download {
  /** For messages: `haproxy 3.2`. */
  readonly name: string
  /** `["trixie"]`, `["sid", "experimental"]`, `[MACHINE_SUITE]`. */
  readonly suites: ReadonlyArray<string>
  /** apt's `-t`: experimental packages are only taken when asked for by name. */
  readonly targetRelease?: string
  readonly packages: ReadonlyArray<string>
  /**
   * What comes along. `all` (the default): all they depend on, so that they run on a machine of any release. `missing`:
   * what this machine has not installed, for programs of its own suite. `none`: nothing.
   */
  readonly dependencies?: "all" | "missing" | "none"
}

/** Bounds: a slow mirror may take minutes, a hung one must not take for ever. */
const APT_TIMEOUT_MS = 10 * 60_000
const CONFIG_TIMEOUT_MS = 30_000

/** Downloads the packages and everything they depend on; answers the paths of the `.deb` files. */
export const downloadPackages = async (request: Download, work: string): Promise<ReadonlyArray<string>> => {
  const { archive, architecture, installed } = await machineArchive()
  const { dependencies = "all" } = request
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
  // Empty: nothing counts as installed, so the C library comes along too.
  await writeFile(join(work, "status"), "")
  const status = dependencies === "missing" ? installed : join(work, "status")
  const suites = request.suites.map((suite) => suite === MACHINE_SUITE ? archive.suite : suite)
  await writeFile(join(sources, "debian.sources"), sourcesFile(archive, suites, architecture))
  await writeFile(
    join(work, "apt.conf"),
    aptConfiguration({ work, sources, preferences, lists, archives, status, architecture })
  )
  // `-c` is read after the system's configuration, so what stands there wins; proxies and credentials remain.
  const aptGet = (...args: ReadonlyArray<string>) =>
    runCommand("apt-get", ["-c", join(work, "apt.conf"), ...args], { timeoutMs: APT_TIMEOUT_MS, cwd: archives })
  const update = await aptGet("update")
  if (update.code !== 0) throw aptFailure(`the package lists of ${suites.join(" and ")}`, update.stderr)
  const install = await aptGet(
    // `download` leaves the files in its working directory.
    ...(dependencies === "none" ? ["download"] : ["install", "--yes", "--download-only", "--no-install-recommends"]),
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
    `apt could not fetch ${what}: ${essence(stderr)}`,
    "Check that `apt-get update` works on this machine (network, proxy, clock, debian-archive-keyring)."
  )

/** The first error of apt (the others follow from it), else the last words of a program. */
export const essence = (stderr: string): string => {
  const lines = stderr.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  return lines.find((line) => line.startsWith("E:"))?.slice(2).trim() ?? lines.at(-1) ?? "no message"
}

const sourcesFile = (archive: DebianArchive, suites: ReadonlyArray<string>, architecture: string): string =>
  [
    "Types: deb",
    // apt uses `file:` packages where they lie; `copy:` brings them into our folder like any other.
    `URIs: ${archive.uris.map((uri) => uri.replace(/^file:/, "copy:")).join(" ")}`,
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
  readonly status: string
  readonly architecture: string
}): string => {
  const settings: ReadonlyArray<readonly [key: string, value: string]> = [
    ["Dir::Etc::sourcelist", "/dev/null"],
    ["Dir::Etc::sourceparts", paths.sources],
    ["Dir::Etc::preferences", "/dev/null"],
    ["Dir::Etc::preferencesparts", paths.preferences],
    ["Dir::State", paths.work],
    ["Dir::State::lists", paths.lists],
    ["Dir::State::status", paths.status],
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

/** The machine as apt knows it. */
interface Apt {
  readonly archive: DebianArchive
  readonly architecture: string
  /** dpkg's list of what is installed. */
  readonly installed: string
}

/** Reads the machine's sources. Fails `NoDebianArchive` on Ubuntu and the like, `NoApt` where there is no apt. */
const machineArchive = async (): Promise<Apt> => {
  const shell = await runCommand(
    "apt-config",
    [
      "shell",
      "LIST",
      "Dir::Etc::sourcelist/f",
      "PARTS",
      "Dir::Etc::sourceparts/d",
      "ARCH",
      "APT::Architecture",
      "STATUS",
      "Dir::State::status/f"
    ],
    { timeoutMs: CONFIG_TIMEOUT_MS }
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
  return {
    archive,
    architecture: value("ARCH") ?? "amd64",
    installed: value("STATUS") ?? "/var/lib/dpkg/status"
  }
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
