/**
 * Base images for a machine that reaches no image registry: what the two arguments of the Dockerfile name, made from
 * Debian packages of the machine's own suite (Rootfs.ts), and Node and npm as this machine runs them.
 *
 * Made once per set of package versions; the images' names carry it, so a new point release makes new ones.
 */
import { createHash } from "node:crypto"
import { copyFile, cp, mkdir, realpath, rm, symlink } from "node:fs/promises"
import { delimiter, dirname, join } from "node:path"
import { MACHINE_SUITE } from "../debian/AptDownload.ts"
import { cacheFolder } from "../debian/CacheFolder.ts"
import { FetchFailure } from "../debian/FetchFailure.ts"
import { fetchPackages } from "../debian/Packages.ts"
import { ask, type Engine } from "./Podman.ts"
import { makeRootfs } from "./Rootfs.ts"
import { run } from "./Run.ts"

export interface BaseImages {
  readonly build: string
  readonly runtime: string
}

/** What `debian:*-slim` has of what the image needs; dash and coreutils also for the steps of the build. */
const packages = ["base-files", "libc6", "libstdc++6", "dash", "coreutils"]

/** The folder of the npm that is in PATH (or runs us): it is JavaScript, and works with any Node. */
const npmFolder = async (): Promise<string> => {
  const paths = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, "npm"))
  for (const path of [process.env["npm_execpath"] ?? "", ...paths]) {
    const file = path === "" ? undefined : await realpath(path).catch(() => undefined)
    if (file?.endsWith("/bin/npm-cli.js") === true) return dirname(dirname(file))
  }
  throw new FetchFailure("NoEngine", "npm is not in PATH", "Install npm, or build with base images of a registry.")
}

/** Imports a folder as an image, everything owned by root. Fails with `FetchFailure`. */
export const importFolder = async (engine: Engine, folder: string, image: string): Promise<void> => {
  const file = `${folder}.tar`
  try {
    const packed = await run("tar", ["-C", folder, "--owner=0", "--group=0", "-cf", file, "."])
    const imported = packed.code === 0 ? await ask(engine, "import", file, image) : packed
    if (imported.code !== 0) {
      throw new FetchFailure("NoEngine", `${image} cannot be imported: ${imported.stderr.trim()}`, "Is the disk full?")
    }
  } finally {
    await rm(file, { force: true })
  }
}

/** Makes the two images unless they are there. Fails with `FetchFailure`. */
export const ensureBase = async (engine: Engine, onMake?: () => void): Promise<BaseImages> => {
  if (engine.name === "buildah") {
    throw new FetchFailure("NoEngine", "buildah cannot import images", "Install Podman too, or leave --base out.")
  }
  const home = join(cacheFolder(), "image")
  const { folder, versions } = await fetchPackages({
    name: "the base image",
    suites: [MACHINE_SUITE],
    packages,
    programs: [],
    into: join(home, "packages")
  })
  const key = createHash("sha256").update(JSON.stringify([versions, process.version])).digest("hex").slice(0, 12)
  const runtime = `localhost/haproxy-mcp-base:${key}`
  const build = `localhost/haproxy-mcp-build:${key}`
  const isThere = async (image: string) => (await ask(engine, "image", "inspect", image)).code === 0
  if (await isThere(runtime) && await isThere(build)) return { build, runtime }
  onMake?.()
  const rootfs = join(home, `rootfs-${process.pid}`)
  try {
    await makeRootfs({ packages: folder, into: rootfs })
    await importFolder(engine, rootfs, runtime)
    const local = join(rootfs, "usr/local")
    await mkdir(join(local, "bin"), { recursive: true })
    await copyFile(await realpath(process.execPath), join(local, "bin/node"))
    await cp(await npmFolder(), join(local, "lib/node_modules/npm"), { recursive: true })
    await symlink("../lib/node_modules/npm/bin/npm-cli.js", join(local, "bin/npm"))
    await importFolder(engine, rootfs, build)
  } finally {
    await rm(rootfs, { recursive: true, force: true })
  }
  return { build, runtime }
}
