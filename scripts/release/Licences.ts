/**
 * Under which licences the package's production dependencies come, all of them, theirs included: out of package-lock.json, and
 * out of the package itself where that is older than the field. What is unknown or not allowed refuses the release.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { ReleaseFailure } from "./ReleaseFailure.ts"

export interface Dependency {
  readonly name: string
  readonly version: string
  /** SPDX expression; empty when it is not known. */
  readonly licence: string
  /** Installed only where it works. */
  readonly optional: boolean
}

/** SPDX identifiers of licences that let an MIT program use and ship what they cover. */
export const allowed: ReadonlySet<string> = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "Unlicense",
  "Zlib"
])

interface LockEntry {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
  readonly link?: boolean
}

/** Of packages from before `license`: `"licenses": [{ "type": "MIT" }]`, any of them. */
const ofPackage = (folder: string): string => {
  try {
    const { license, licenses } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      readonly license?: string
      readonly licenses?: ReadonlyArray<{ readonly type?: string }>
    }
    if (typeof license === "string") return license
    const types = (licenses ?? []).flatMap(({ type }) => type ?? [])
    return types.length > 1 ? `(${types.join(" OR ")})` : types[0] ?? ""
  } catch {
    return ""
  }
}

/** The production dependencies, by name. `root` holds package-lock.json, and node_modules or is below it. */
export const dependenciesOf = (root: string, modules: string): ReadonlyArray<Dependency> => {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, LockEntry>>
  }
  const found = new Map<string, Dependency>()
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "" || entry.dev === true || entry.link === true) continue
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)
    const version = entry.version ?? ""
    found.set(`${name}@${version}`, {
      name,
      version,
      licence: entry.license ?? ofPackage(join(modules, path)),
      optional: entry.optional === true || entry.devOptional === true
    })
  }
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1)
}

/** Does an SPDX expression allow the use? One alternative of an OR is enough, an AND needs all; WITH is not looked into. */
export const isAllowed = (expression: string): boolean => {
  const text = expression.trim().replace(/^\((.*)\)$/, "$1")
  if (/[()]/.test(text)) return false
  return text.split(/\s+OR\s+/).some((one) => one.split(/\s+AND\s+/).every((id) => allowed.has(id.trim())))
}

/** Refuses what is unknown or not allowed, all of it at once. */
export const check = (dependencies: ReadonlyArray<Dependency>): void => {
  const bad = dependencies.filter(({ licence }) => !isAllowed(licence))
  if (bad.length === 0) return
  const lines = bad.map(({ licence, name, version }) => `  ${name}@${version}: ${licence === "" ? "unknown" : licence}`)
  throw new ReleaseFailure(
    `${bad.length} dependencies come under a licence that is unknown or not allowed:\n${lines.join("\n")}`,
    "Do without them, or add the licence in scripts/release/Licences.ts if it allows the use."
  )
}

/** The report for people. */
export const report = (dependencies: ReadonlyArray<Dependency>): string => {
  const rows = dependencies.map(({ licence, name, optional, version }) =>
    `| ${name} | ${version} | ${licence} | ${optional ? "optional" : ""} |`
  )
  return ["| package | version | licence | |", "| --- | --- | --- | --- |", ...rows, ""].join("\n")
}
