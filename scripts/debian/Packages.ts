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
import { type Download, downloadPackages, essence } from "./AptDownload.ts"
import { runCommand } from "./Command.ts"
import { FetchFailure } from "./FetchFailure.ts"
import { withFolderLock } from "./FolderLock.ts"
import { writeWrapper } from "./Wrapper.ts"

export interface PackagesRequest extends Download {
  /** Paths inside the packages (`usr/sbin/haproxy`), unpacked in `<into>/root`; each gets a wrapper `<into>/bin/<name>`. */
  readonly programs: ReadonlyArray<string>
  /** The folder to make. Its parent is created; temporary folders and the lock file lie beside it. */
  readonly into: string
  /** Fetch again although the folder is there. */
  readonly refresh?: boolean
  /** Called once when the network is really needed. */
  readonly onFetch?: () => void
}

export interface FetchedPackages {
  /** Holds `bin` (wrappers), `root` (the unpacked packages) and `manifest.json`. */
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
const LAYOUT = 2
/** Bounds: a slow mirror may take minutes (the lock covers a whole fetch), a hung one must not take for ever. */
const UNPACK_TIMEOUT_MS = 60_000
const LOCK_WAIT_SECONDS = 15 * 60

/** Makes the folder `into` unless it is there already. Fails with `FetchFailure`. */
export const fetchPackages = async (request: PackagesRequest): Promise<FetchedPackages> => {
  const { dependencies = "all", packages, programs, suites, targetRelease = null } = request
  const wanted = JSON.stringify({
    layout: LAYOUT,
    suites,
    targetRelease,
    packages,
    programs,
    ...(dependencies === "all" ? {} : { dependencies })
  })
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
      if (entry.startsWith(`${prefix}tmp-`)) await removeFolder(join(parent, entry))
    }
    const work = await mkdtemp(join(parent, `${prefix}tmp-`))
    try {
      const files = await downloadPackages(request, join(work, "apt"))
      const made = join(work, "made")
      await mkdir(join(made, "bin"), { recursive: true })
      // One level down: the packages have a `bin` of their own, which may even be a link to `usr/bin`.
      await mkdir(join(made, "root"))
      for (const file of files) await unpack(file, join(made, "root"))
      for (const program of programs) await writeWrapper(made, join("root", program))
      const versions = Object.fromEntries(files.map(packageOfFile).sort(([a], [b]) => (a < b ? -1 : 1)))
      const manifest: Manifest = { request: JSON.parse(wanted), fetchedAt: new Date().toISOString(), versions }
      await writeFile(join(made, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`)
      await rename(request.into, join(work, "old")).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== "ENOENT") throw cause
      })
      await rename(made, request.into)
      return { folder: request.into, versions, cached: false }
    } finally {
      await removeFolder(work)
    }
  })
}

/** Tries again for a while: the apt-get of a run that was killed may still be writing there. */
const removeFolder = (folder: string) => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })

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
      `${basename(file)} cannot be unpacked: ${essence(result.stderr)}`,
      "Check the free space of the cache folder, then try again."
    )
  }
}
