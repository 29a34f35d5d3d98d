/** The files that name the version, in a folder of the sources: they say the same before and after. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Changelog from "./Changelog.ts"
import { ReleaseFailure } from "./ReleaseFailure.ts"

/** What a release changes. */
export const changedFiles = ["CHANGELOG.md", "package.json", "package-lock.json", "src/Version.ts"] as const

const versionLine = /^export const version = "([^"]+)"$/m

interface Lock {
  version?: string
  readonly packages: Readonly<Record<string, { version?: string }>>
}

const readJson = <A>(file: string): A => JSON.parse(readFileSync(file, "utf8")) as A

/** The version that all files name. */
export const versionIn = (folder: string): string => {
  const { version } = readJson<{ readonly version: string }>(join(folder, "package.json"))
  const lock = readJson<Lock>(join(folder, "package-lock.json"))
  const others: Readonly<Record<string, string | undefined>> = {
    "package-lock.json": lock.version,
    "package-lock.json (packages)": lock.packages[""]?.version,
    "src/Version.ts": versionLine.exec(readFileSync(join(folder, "src/Version.ts"), "utf8"))?.[1]
  }
  for (const [file, other] of Object.entries(others)) {
    if (other !== version) {
      throw new ReleaseFailure(
        `package.json has version ${version}, ${file} ${other ?? "none"}`,
        "Make them equal first."
      )
    }
  }
  return version
}

/** Writes the version, and the date into the change log. `date`: `2026-01-31`. */
export const writeVersion = (folder: string, version: string, date: string): void => {
  const edit = (file: string, change: (text: string) => string) => {
    const path = join(folder, file)
    writeFileSync(path, change(readFileSync(path, "utf8")))
  }
  edit("CHANGELOG.md", (text) => Changelog.withVersion(text, version, date))
  // The first `"version"` of the file is the package's own; the rest stays byte for byte.
  edit("package.json", (text) => text.replace(/^( {2}"version": )"[^"]+"/m, `$1"${version}"`))
  edit("src/Version.ts", (text) => text.replace(versionLine, `export const version = "${version}"`))
  edit("package-lock.json", (text) => {
    const lock = JSON.parse(text) as Lock
    lock.version = version
    lock.packages[""]!.version = version
    return `${JSON.stringify(lock, null, 2)}\n`
  })
  versionIn(folder)
}
