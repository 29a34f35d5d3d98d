/**
 * Run inside the image's build, in a folder with package.json and package-lock.json: makes esbuild a dependency like the
 * others in both, so that `npm ci --omit=dev` brings what the bundle needs, at the locked versions and checked against
 * the locked hashes, and not the 500 MB that only tests and checks need.
 */
import { readFileSync, writeFileSync } from "node:fs"

interface Project {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
}

interface Lock {
  /** The project itself is the one with the empty path. */
  readonly packages: Record<string, Partial<Project> & { dev?: boolean }>
}

const needed = "esbuild"

/** Moves esbuild, and the entries of its programs, out of what is for development only. */
export const withBundler = (project: Project, lock: Lock): void => {
  for (const { dependencies, devDependencies } of [project, lock.packages[""] ?? {}]) {
    const version = devDependencies?.[needed]
    if (version === undefined || dependencies === undefined) {
      throw new Error(`package.json and package-lock.json do not both have ${needed}`)
    }
    dependencies[needed] = version
    delete devDependencies?.[needed]
  }
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === `node_modules/${needed}` || path.startsWith(`node_modules/@${needed}/`)) delete entry.dev
  }
}

if (import.meta.main) {
  const [project, lock] = ["package.json", "package-lock.json"].map((file) => JSON.parse(readFileSync(file, "utf8")))
  withBundler(project, lock)
  writeFileSync("package.json", JSON.stringify(project))
  writeFileSync("package-lock.json", JSON.stringify(lock))
}
