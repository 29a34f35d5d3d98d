/** The package as npm makes and installs it: packed from a copy of the sources, and tried in an empty folder. */
import { execFile } from "node:child_process"
import { cpSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { ReleaseFailure } from "./ReleaseFailure.ts"

const run = promisify(execFile)

type Env = Readonly<Record<string, string | undefined>>

const parts = [
  "src",
  "scripts",
  "docs",
  "examples",
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "tsconfig.build.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md"
]

/** Copies what packing needs. `copy` lies below the repository, whose packages the build finds there. */
export const copySources = (root: string, copy: string): void => {
  for (const part of parts) cpSync(join(root, part), join(copy, part), { recursive: true })
}

/** Builds and packs a copy of the sources; answers the tarball. */
export const pack = async (copy: string, env: Env = process.env): Promise<string> => {
  await run("npm", ["pack", "--loglevel=error"], { cwd: copy, env: { ...env }, timeout: 300_000 })
  const name = readdirSync(copy).find((name) => name.endsWith(".tgz"))
  if (name === undefined) throw new ReleaseFailure("npm pack made no tarball", "Run `npm pack` by hand.")
  return join(copy, name)
}

/** Installs a tarball into an empty folder, as a user's project. */
export const installInto = async (folder: string, tarball: string, env: Env = process.env): Promise<void> => {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }))
  // The Node that the package brings for older ones is not needed here, and large.
  const args = [
    "install",
    "--ignore-scripts",
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    tarball
  ]
  await run("npm", args, { cwd: folder, env: { ...env }, timeout: 240_000 })
}

/** What the installed program says its version is. */
export const versionSaid = async (folder: string, env: Env = process.env): Promise<string> =>
  (await run("npx", ["haproxy-mcp", "--version"], { cwd: folder, env: { ...env }, timeout: 60_000 })).stdout.trim()
