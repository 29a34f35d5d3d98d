/**
 * `npm run release`: everything that belongs to a release, from a clean tree.
 *
 * `--dry-run` makes all of it in a folder (the tarball, tried by installing it; notes, bill of materials, licences, image,
 * checksums), says what a real one would do, and changes nothing else. `--publish` does the same first, and then commits
 * the version, tags it and pushes both; the registry is fed by the workflow that the tag starts (.github/workflows/release.yml),
 * because only there npm can attest where the package comes from.
 */
import { createHash } from "node:crypto"
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join, relative, resolve } from "node:path"
import { parseArgs } from "node:util"
import * as Changelog from "./release/Changelog.ts"
import * as Git from "./release/Git.ts"
import { buildImage, type Image } from "./release/Image.ts"
import * as Licences from "./release/Licences.ts"
import * as Manifest from "./release/Manifest.ts"
import * as Package from "./release/Package.ts"
import { ReleaseFailure } from "./release/ReleaseFailure.ts"
import { billOf } from "./release/Sbom.ts"

const usage = `npm run release -- --dry-run | --publish [VERSION]

  VERSION        default: what follows from "Unreleased" in CHANGELOG.md
  --dry-run      make everything in a folder, change nothing else
  --publish      the same, then commit, tag and push; the tag starts the workflow that publishes to npm
  --out DIR      the folder, replaced when it is there; default dist/release
  --image HOW    registry (default), base (no image registry needed) or none
  --remote NAME  where --publish pushes to; default origin
  --help         this text
`

const root = resolve(import.meta.dirname, "..")
const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

/** What was asked for. */
export interface Asked {
  readonly version: string | null
  readonly publish: boolean
  readonly out: string
  readonly image: "registry" | "base" | "none"
  readonly remote: string
}

const asked = (): Asked | null => {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      "dry-run": { type: "boolean", default: false },
      publish: { type: "boolean", default: false },
      out: { type: "string", default: join("dist", "release") },
      image: { type: "string", default: "registry" },
      remote: { type: "string", default: "origin" },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) return null
  const { image, publish, remote } = values
  if (positionals.length > 1) throw new TypeError("name one version at most")
  if (values["dry-run"] === publish) throw new TypeError("say --dry-run or --publish")
  if (image !== "registry" && image !== "base" && image !== "none") throw new TypeError(`--image ${image} is not known`)
  return { version: positionals[0] ?? null, publish, out: resolve(root, values.out), image, remote }
}

/** The folder of the results, empty. One that holds something else than a release is not emptied. */
const prepare = (out: string): void => {
  mkdirSync(out, { recursive: true })
  const names = readdirSync(out)
  if (names.length > 0 && !names.includes("SHA256SUMS")) {
    throw new ReleaseFailure(`${out} is not empty and holds no release`, "Name another folder with --out.")
  }
  for (const name of names) rmSync(join(out, name), { recursive: true })
}

/** `SHA256SUMS` over all other files of a folder. */
const writeSums = (out: string): void => {
  const sum = (name: string) => createHash("sha256").update(readFileSync(join(out, name))).digest("hex")
  writeFileSync(join(out, "SHA256SUMS"), readdirSync(out).sort().map((name) => `${sum(name)}  ${name}\n`).join(""))
}

/** Packs, and sees that what was packed can be installed and is of that version. */
const packAndTry = async (copy: string, version: string): Promise<string> => {
  const tarball = await Package.pack(copy)
  const consumer = mkdtempSync(join(tmpdir(), "haproxy-mcp-release-"))
  try {
    await Package.installInto(consumer, tarball)
    const said = await Package.versionSaid(consumer)
    if (said !== `haproxy-mcp ${version}`) {
      throw new ReleaseFailure(`The installed package says it is "${said}", not ${version}`, "Look at src/Version.ts.")
    }
  } finally {
    rmSync(consumer, { recursive: true, force: true })
  }
  return tarball
}

const summary = (
  version: string,
  out: string,
  image: Image,
  hasRepository: boolean,
  { publish, remote }: Asked
): string => {
  const quoted = (word: string) => /^[\w./:@-]+$/.test(word) ? word : `"${word}"`
  const commands = Git.steps(version, Manifest.changedFiles, remote).map((step) =>
    `  git ${step.map(quoted).join(" ")}`
  )
  return [
    `haproxy-mcp ${version} in ${relative(root, out) || "."}:`,
    ...readdirSync(out).sort().map((name) => `  ${name}`),
    ...("skipped" in image ? [`No image: ${image.skipped}`] : []),
    ...(hasRepository
      ? []
      : [
        "package.json names no repository: npm publishes with provenance only where it names the one that the workflow runs in."
      ]),
    publish ?
      "Now:" :
      "A real one (--publish) would write the version into CHANGELOG.md, package.json, package-lock.json and"
      + " src/Version.ts, and then:",
    ...commands,
    "The tag starts .github/workflows/release.yml, which runs the tests and:",
    "  npm publish --provenance --access public",
    ""
  ].join("\n")
}

const release = async (options: Asked): Promise<void> => {
  Git.refuseDirty(root)
  const current = Manifest.versionIn(root)
  const changelog = Changelog.read(readFileSync(join(root, "CHANGELOG.md"), "utf8"))
  const version = Changelog.nextVersion(changelog, current, options.version)
  Git.refuseTag(root, `v${version}`)
  const date = new Date().toISOString().slice(0, 10)
  const { name, repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly name: string
    readonly repository?: unknown
  }
  prepare(options.out)
  mkdirSync(join(root, ".cache"), { recursive: true })
  // Below the repository, so that the build finds its packages.
  const copy = mkdtempSync(join(root, ".cache", "release-"))
  try {
    for (const path of Git.filesOf(root)) {
      mkdirSync(dirname(join(copy, path)), { recursive: true })
      cpSync(join(root, path), join(copy, path), { verbatimSymlinks: true })
    }
    Manifest.writeVersion(copy, version, date)
    say(`${current} → ${version}: licences and bill of materials`)
    const dependencies = Licences.dependenciesOf(copy, root)
    const bill = billOf(copy, name, version, dependencies)
    say("packing, and installing what was packed")
    const tarball = await packAndTry(copy, version)
    copyFileSync(tarball, join(options.out, basename(tarball)))
    writeFileSync(join(options.out, "notes.md"), `${changelog.notes}\n`)
    writeFileSync(join(options.out, "sbom.cdx.json"), `${JSON.stringify(bill, null, 2)}\n`)
    writeFileSync(join(options.out, "licences.md"), Licences.report(dependencies))
    if (options.image !== "none") say("building the image")
    const image = await buildImage(copy, options.out, version, options.image)
    writeSums(options.out)
    process.stdout.write(summary(version, options.out, image, repository !== undefined, options))
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
  if (!options.publish) return
  Git.refuseDirty(root)
  Manifest.writeVersion(root, version, date)
  Git.perform(root, Git.steps(version, Manifest.changedFiles, options.remote))
  say(`v${version} is pushed`)
}

if (import.meta.main) {
  try {
    const options = asked()
    if (options === null) process.stdout.write(usage)
    else await release(options)
  } catch (cause) {
    if (cause instanceof ReleaseFailure) say(`${cause.message}\nhaproxy-mcp: ${cause.hint}`)
    else if (cause instanceof TypeError && !("cause" in cause)) say(`${cause.message}\n${usage}`)
    else throw cause
    process.exitCode = cause instanceof TypeError ? 2 : 1
  }
}
