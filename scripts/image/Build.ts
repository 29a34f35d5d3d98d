/** Builds the image: the Dockerfile's arguments, the registry of packages as secrets, and what came out. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { FetchFailure } from "../debian/FetchFailure.ts"
import type { BaseImages } from "./Base.ts"
import { ask, type Engine } from "./Podman.ts"
import { run } from "./Run.ts"

const root = resolve(import.meta.dirname, "../..")

export interface BuildRequest {
  readonly tag: string
  readonly base?: BaseImages
  /** Shows the build's output. */
  readonly shown?: boolean
}

export interface BuiltImage {
  readonly tag: string
  /** `sha256:…` of its configuration. */
  readonly id: string
  readonly bytes: number
}

/** npm's own settings as the machine has them, for the step that installs packages. A layer never holds them. */
const registrySecrets = async (folder: string): Promise<ReadonlyArray<string>> => {
  const setting = async (name: string) => {
    const { code, stdout } = await run("npm", ["config", "get", name], { cwd: root })
    const value = stdout.trim()
    return code === 0 && value !== "null" && value !== "undefined" ? value : ""
  }
  const [userconfig, registry, cafile] = await Promise.all(["userconfig", "registry", "cafile"].map(setting))
  const own = await readFile(userconfig ?? "", "utf8").catch(() => "")
  const authority = await readFile(cafile || process.env["NODE_EXTRA_CA_CERTS"] || "", "utf8").catch(() => "")
  const lines = [own.trimEnd(), `registry=${registry}`]
  const secrets: Array<string> = []
  if (authority !== "") {
    await writeFile(join(folder, "npm-ca"), authority, { mode: 0o600 })
    secrets.push("--secret", `id=npm-ca,src=${join(folder, "npm-ca")}`)
    lines.push("cafile=/run/secrets/npm-ca.pem")
  }
  await writeFile(join(folder, "npmrc"), `${lines.join("\n")}\n`, { mode: 0o600 })
  return ["--secret", `id=npmrc,src=${join(folder, "npmrc")}`, ...secrets]
}

const inspect = async (engine: Engine, tag: string): Promise<BuiltImage> => {
  const format = engine.name === "buildah" ? "{{.FromImageID}} 0" : "{{.Id}} {{.Size}}"
  const command = engine.name === "buildah" ? ["inspect", "--type", "image"] : ["image", "inspect"]
  const { stdout } = await ask(engine, ...command, "--format", format, tag)
  const [id = "", bytes = "0"] = stdout.trim().split(" ")
  return { tag, id: id.startsWith("sha256:") ? id : `sha256:${id}`, bytes: Number(bytes) }
}

/** `build` with these arguments. Fails with `FetchFailure`. */
const build = async (
  engine: Engine,
  args: ReadonlyArray<string>,
  options: { readonly shown: boolean; readonly hint: string }
): Promise<void> => {
  // The other format, OCI, has no HEALTHCHECK.
  const format = engine.name === "docker" ? [] : ["--format", "docker"]
  const built = await run(engine.command, ["build", ...engine.buildOptions, ...format, ...args], {
    env: engine.env,
    shown: options.shown
  })
  if (built.code === 0) return
  const words = built.stderr.trim().split("\n").slice(-8).join("\n")
  throw new FetchFailure("NoEngine", `the image cannot be built: ${words}`, options.hint)
}

const argument = (name: string, value: string | undefined) =>
  value === undefined || value === "" ? [] : ["--build-arg", `${name}=${value}`]

/** Builds from the repository. Fails with `FetchFailure`. */
export const buildImage = async (engine: Engine, request: BuildRequest): Promise<BuiltImage> => {
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { readonly version: string }
  const revision = (await run("git", ["rev-parse", "HEAD"], { cwd: root }).catch(() => undefined))?.stdout.trim()
  const folder = await mkdtemp(join(tmpdir(), "haproxy-mcp-image-"))
  try {
    const args = [
      "--tag",
      request.tag,
      ...argument("VERSION", version),
      ...argument("REVISION", revision),
      ...argument("BUILD_IMAGE", request.base?.build),
      ...argument("RUNTIME_IMAGE", request.base?.runtime),
      ...await registrySecrets(folder),
      root
    ]
    await build(engine, args, {
      shown: request.shown ?? false,
      hint: "Its base images come from a registry; --base makes them from Debian packages instead."
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return inspect(engine, request.tag)
}

/** Adds acme.sh to an image that was built. Fails with `FetchFailure`. */
export const addAcme = async (engine: Engine, image: string, tag: string, shown: boolean): Promise<BuiltImage> => {
  const folder = join(root, "deploy/image")
  const args = ["--tag", tag, "--file", join(folder, "acme.Dockerfile"), ...argument("IMAGE", image), folder]
  await build(engine, args, {
    shown,
    hint: "It is installed with apt inside the image: is Debian's archive reachable?"
  })
  return inspect(engine, tag)
}
