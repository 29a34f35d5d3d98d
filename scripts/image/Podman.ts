/**
 * A Podman that is at hand: the machine's own, or Debian's, fetched into the cache and run from there. Nothing is
 * installed and nothing of the machine's configuration is read or written: images, containers, volumes and settings lie
 * below `<cache>/podman`, and go with it.
 *
 * The fetched one runs as root only (rootless needs set-uid helpers and /etc/subuid), on Debian only, and is of the
 * machine's own suite: container runtimes start themselves again by /proc/self/exe, so no foreign loader can carry them.
 * It asks for little, because it also runs in virtual machines and containers that allow little: the host's network, and
 * limits that the outer world grants.
 */
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { MACHINE_SUITE } from "../debian/AptDownload.ts"
import { cacheFolder } from "../debian/CacheFolder.ts"
import { FetchFailure } from "../debian/FetchFailure.ts"
import { fetchPackages } from "../debian/Packages.ts"
import { type Ran, run } from "./Run.ts"

/** A program that builds images, and how it is to be asked here. */
export interface Engine {
  readonly name: "docker" | "podman" | "buildah"
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  /** Options of `build` that this machine needs. */
  readonly buildOptions: ReadonlyArray<string>
  /** `docker 28.1`, `podman 4.3.1 (fetched)` */
  readonly title: string
}

export const ask = (engine: Engine, ...args: ReadonlyArray<string>): Promise<Ran> =>
  run(engine.command, args, { env: engine.env })

/** Debian's packages beside the machine's own, and where the programs are in them. */
const packages = ["podman", "runc", "conmon"]

/** Images whose signatures nobody asks for: what we build here ourselves. */
const policy = { default: [{ type: "insecureAcceptAnything" }] }

const lines = (...text: ReadonlyArray<string>): string => `${text.join("\n")}\n`

/**
 * More than the outer world grants is refused, and Podman's default is more. Files: what this process may open, since
 * HAProxy wants some; processes: what suffices, since even the limit of this process itself may be refused.
 */
const limits = async (): Promise<ReadonlyArray<string>> => {
  const own = await readFile("/proc/self/limits", "utf8")
  const files = /^Max open files +\S+ +(\d+)/m.exec(own)?.[1] ?? "1024"
  return [`nofile=${files}:${files}`, "nproc=1024:1024"]
}

const containersConf = (root: string, home: string, ulimits: ReadonlyArray<string>): string =>
  lines(
    "[containers]",
    `default_ulimits = ${JSON.stringify(ulimits)}`,
    `seccomp_profile = "${join(root, "usr/share/containers/seccomp.json")}"`,
    "[engine]",
    `cgroup_manager = "cgroupfs"`,
    `events_logger = "file"`,
    `runtime = "runc"`,
    `conmon_path = ["${join(home, "bin/conmon")}"]`,
    `tmp_dir = "${join(home, "run/libpod")}"`,
    `static_dir = "${join(home, "store/libpod")}"`,
    `volume_path = "${join(home, "store/volumes")}"`,
    "[engine.runtimes]",
    `runc = ["${join(root, "usr/sbin/runc")}"]`,
    "[network]",
    `network_config_dir = "${join(home, "networks")}"`
  )

const storageConf = (home: string, driver: string): string =>
  lines(
    "[storage]",
    `driver = "${driver}"`,
    `graphroot = "${join(home, "store")}"`,
    `runroot = "${join(home, "run/store")}"`
  )

/** Writes a file in one step and only when it differs: another process may be reading it. */
const settle = async (file: string, text: string, mode = 0o644): Promise<void> => {
  if (await readFile(file, "utf8").catch(() => undefined) === text) return
  const draft = `${file}.${process.pid}`
  await writeFile(draft, text, { mode })
  await rename(draft, file)
}

const fetched = async (onFetch?: () => void): Promise<Engine> => {
  const home = join(cacheFolder(), "podman")
  const { folder, versions } = await fetchPackages({
    name: "podman",
    suites: [MACHINE_SUITE],
    dependencies: "missing",
    packages,
    programs: [],
    into: join(home, "packages"),
    ...(onFetch === undefined ? {} : { onFetch })
  })
  const root = join(folder, "root")
  const libraries = [join(root, "usr/lib"), join(root, "lib")]
    .flatMap((path) => ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((triplet) => join(path, triplet))).join(":")
  const settings = join(home, ".config/containers")
  const ulimits = await limits()
  for (const made of [settings, join(home, "bin"), join(home, "run"), join(home, "store")]) {
    await mkdir(made, { recursive: true })
  }
  // conmon starts Podman again when a container ends; it gets the libraries by this.
  const conmon = join(home, "bin/conmon")
  await settle(
    conmon,
    lines("#!/bin/sh", `export LD_LIBRARY_PATH='${libraries}'`, `exec '${root}/usr/bin/conmon' "$@"`),
    0o755
  )
  await settle(join(settings, "policy.json"), JSON.stringify(policy))
  await settle(join(settings, "registries.conf"), lines(`unqualified-search-registries = ["docker.io"]`))
  await settle(join(settings, "containers.conf"), containersConf(root, home, ulimits))
  const engine: Engine = {
    name: "podman",
    command: join(root, "usr/bin/podman"),
    env: {
      HOME: home,
      LD_LIBRARY_PATH: libraries,
      CONTAINERS_CONF: join(settings, "containers.conf"),
      CONTAINERS_STORAGE_CONF: join(settings, "storage.conf")
    },
    buildOptions: [
      "--isolation",
      "oci",
      "--network",
      "host",
      "--layers=false",
      ...ulimits.flatMap((limit) => ["--ulimit", limit])
    ],
    title: `podman ${versions["podman"] ?? ""} (fetched)`
  }
  // A container's own root cannot carry overlays; copies always work.
  for (const driver of ["overlay", "vfs"]) {
    await settle(join(settings, "storage.conf"), storageConf(home, driver))
    const info = await ask(engine, "info", "--format", "{{.Store.GraphDriverName}}")
    if (info.code === 0) return engine
    if (driver === "vfs" || !info.stderr.includes("overlay")) {
      throw new FetchFailure(
        "NoEngine",
        `the fetched Podman does not run here: ${info.stderr.trim().split("\n").at(-1)}`,
        "Install Podman or Docker on this machine, or build the image on another one."
      )
    }
  }
  return engine
}

/** Debian's Podman, run from the cache. Fails with `FetchFailure`. */
export const fetchedPodman = async (onFetch?: () => void): Promise<Engine> => {
  if (process.getuid?.() !== 0) {
    throw new FetchFailure(
      "NoEngine",
      "Podman is not installed, and one that is fetched runs as root only",
      "Run this as root, or `apt install podman`."
    )
  }
  return fetched(onFetch)
}

/** The engine of that name when it is installed and works. `docker` without its daemon does not. */
const installed = async (name: Engine["name"]): Promise<Engine | undefined> => {
  const asked = await run(name, [name === "docker" ? "info" : "version"]).catch(() => undefined)
  if (asked?.code !== 0) return undefined
  const version = /[\d.]+/.exec((await run(name, ["--version"])).stdout)?.[0] ?? ""
  return { name, command: name, env: {}, buildOptions: [], title: `${name} ${version}` }
}

/** The first that works: Docker, Podman, Buildah as they are installed, then Debian's Podman. Fails with `FetchFailure`. */
export const findEngine = async (wanted?: string, onFetch?: () => void): Promise<Engine> => {
  for (const name of ["docker", "podman", "buildah"] as const) {
    const engine = wanted === undefined || wanted === name ? await installed(name) : undefined
    if (engine !== undefined) return engine
  }
  if (wanted !== undefined && wanted !== "podman") {
    throw new FetchFailure("NoEngine", `${wanted} does not work here`, `See what \`${wanted} info\` says.`)
  }
  return fetchedPodman(onFetch)
}
