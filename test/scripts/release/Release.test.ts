/** What a release decides and makes, without packing (test/package packs and installs with the same code). */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll } from "vitest"
import * as Changelog from "../../../scripts/release/Changelog.ts"
import * as Git from "../../../scripts/release/Git.ts"
import { buildImage } from "../../../scripts/release/Image.ts"
import * as Licences from "../../../scripts/release/Licences.ts"
import * as Manifest from "../../../scripts/release/Manifest.ts"
import * as Sbom from "../../../scripts/release/Sbom.ts"
import * as SemVer from "../../../scripts/release/SemVer.ts"
import { cleanEnv } from "../../support/Process.ts"
import { root } from "../../support/ServerProcess.ts"

const folders: Array<string> = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "haproxy-mcp-release-test-"))
  folders.push(path)
  return path
}

const log = (unreleased: string, ...versions: ReadonlyArray<string>) =>
  Changelog.read(
    `# Changelog\n\n## Unreleased\n\n${unreleased}\n${
      versions.map((version) => `\n## ${version} - 2026-01-01\n\n### Added\n\n- x\n`).join("")
    }`
  )

describe("versions", () => {
  it("have the order of semver.org", () => {
    const ordered = [
      "0.9.9",
      "1.0.0-alpha",
      "1.0.0-alpha.1",
      "1.0.0-alpha.beta",
      "1.0.0-beta.2",
      "1.0.0-beta.11",
      "1.0.0-rc.1",
      "1.0.0",
      "1.0.1",
      "1.2.0",
      "2.0.0"
    ]
    const parsed = ordered.map(SemVer.parse)
    for (const [i, a] of parsed.entries()) {
      for (const [j, b] of parsed.entries()) {
        assert.strictEqual(Math.sign(SemVer.compare(a, b)), Math.sign(i - j), `${i} ${j}`)
      }
      assert.strictEqual(SemVer.format(a), ordered[i])
    }
  })

  it.each(["", "1", "1.2", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+build", "1.2.3 "])("%j is none", (text) => {
    assert.throws(() => SemVer.parse(text), "is no version")
  })

  it.each([
    ["### Fixed\n\n- x", "1.2.3", "1.2.4"],
    ["### Security\n\n- x", "1.2.3", "1.2.4"],
    ["### Added\n\n- x\n\n### Fixed\n\n- y", "1.2.3", "1.3.0"],
    ["### Changed\n\n- x", "1.2.3", "1.3.0"],
    ["### Added\n\n- x\n\n### Breaking\n\n- y", "1.2.3", "2.0.0"],
    ["### Removed\n\n- x", "1.2.3", "2.0.0"],
    ["### Breaking\n\n- x", "0.4.2", "0.5.0"],
    ["### Added\n\n- x", "0.4.2", "0.5.0"],
    ["### Fixed\n\n- x\n\n### Added\n\n### Known limits\n\n- z", "0.4.2", "0.4.3"],
    ["### Fixed\n\n- x", "1.3.0-rc.1", "1.3.0"]
  ])("after %j of %s comes %s", (unreleased, last, next) => {
    assert.strictEqual(Changelog.nextVersion(log(unreleased, last, "0.1.0"), last, null), next)
  })

  it("begin with that of package.json, and are checked when they are named", () => {
    assert.strictEqual(Changelog.nextVersion(log("### Added\n\n- x"), "0.1.0", null), "0.1.0")
    const changelog = log("### Added\n\n- x", "1.2.3")
    const named = (version: string) => Changelog.nextVersion(changelog, "1.2.3", version)
    assert.strictEqual(named("1.3.0-rc.1"), "1.3.0-rc.1")
    assert.strictEqual(named("2.0.0"), "2.0.0")
    assert.throws(() => named("1.2.3"), "does not come after")
    assert.throws(() => named("1.2.4"), "too small")
    assert.throws(() => named("latest"), "is no version")
    assert.throws(() => Changelog.nextVersion(log("", "1.2.3"), "1.2.3", null), "nothing to release")
    assert.throws(() => Changelog.read("# Changelog\n"), "no \"## Unreleased\"")
  })
})

/** The files that name the version, copied. */
const sources = (): string => {
  const copy = folder()
  for (const file of Manifest.changedFiles) {
    mkdirSync(dirname(join(copy, file)), { recursive: true })
    cpSync(join(root, file), join(copy, file))
  }
  return copy
}

describe("the files", () => {
  it("name one version before and after, and change nothing else", () => {
    const copy = sources()
    const before = Object.fromEntries(
      Manifest.changedFiles.map((file) => [file, readFileSync(join(copy, file), "utf8")])
    )
    const current = Manifest.versionIn(copy)
    Manifest.writeVersion(copy, "7.8.9", "2026-01-31")
    assert.strictEqual(Manifest.versionIn(copy), "7.8.9")
    for (const file of ["package.json", "package-lock.json", "src/Version.ts"]) {
      const [old, fresh] = [before[file]!.split("\n"), readFileSync(join(copy, file), "utf8").split("\n")]
      assert.strictEqual(old.length, fresh.length, file)
      const changed = old.flatMap((line, index) => line === fresh[index] ? [] : [line])
      assert.strictEqual(changed.length, file === "package-lock.json" ? 2 : 1, `${file}: ${changed.join()}`)
      for (const line of changed) assert.include(line, current)
    }
    const text = readFileSync(join(copy, "CHANGELOG.md"), "utf8")
    assert.include(text, "## Unreleased\n\n## 7.8.9 - 2026-01-31\n")
    const after = Changelog.read(text)
    assert.deepStrictEqual([after.notes, SemVer.format(after.last!)], ["", "7.8.9"])
    assert.strictEqual(text.replace("## 7.8.9 - 2026-01-31\n\n", ""), before["CHANGELOG.md"]!)
    assert.throws(() => Manifest.writeVersion(copy, "7.8.9", "2026-02-01"), "already")
    writeFileSync(join(copy, "src/Version.ts"), "export const version = \"1.0.0\"\n")
    assert.throws(() => Manifest.versionIn(copy), "src/Version.ts 1.0.0")
  })
})

describe("licences", () => {
  it.each([
    ["MIT", true],
    ["(MIT OR GPL-3.0-only)", true],
    ["MIT AND ISC", true],
    ["MIT AND GPL-3.0-only", false],
    ["GPL-3.0-only", false],
    ["SEE LICENSE IN LICENSE", false],
    ["Apache-2.0 WITH LLVM-exception", false],
    ["(MIT OR (ISC AND GPL-2.0-only))", false],
    ["", false]
  ])("%j: %s", (expression, yes) => assert.strictEqual(Licences.isAllowed(expression), yes))

  it("of another kind, or not known, refuse the release by name", () => {
    const one = { name: "a", version: "1.0.0", optional: false }
    Licences.check([{ ...one, licence: "MIT" }])
    assert.throws(
      () => Licences.check([{ ...one, licence: "" }, { ...one, name: "b", licence: "AGPL-3.0-only" }]),
      "a@1.0.0: unknown\n  b@1.0.0: AGPL-3.0-only"
    )
  })
})

describe("the bill of materials of this package", () => {
  const dependencies = Licences.dependenciesOf(root, root)
  const { name, version, dependencies: direct } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly name: string
    readonly version: string
    readonly dependencies: Readonly<Record<string, string>>
  }
  const bill = Sbom.billOf(root, name, version, dependencies)

  it("names every production dependency, none of development, with hash and licence", () => {
    const names = bill.components.map((component) => component.name)
    assert.includeMembers(names, Object.keys(direct))
    for (const other of ["vitest", "typescript", "oxlint"]) assert.notInclude(names, other)
    assert.deepStrictEqual(Sbom.problems(bill, name, version, dependencies), [])
    const report = Licences.report(dependencies)
    for (const [dependency, exact] of Object.entries(direct)) assert.include(report, `| ${dependency} | ${exact} |`)
  })

  it("is refused when something is missing or wrong", () => {
    const [first, ...rest] = bill.components
    const wrong = (changed: Partial<Sbom.Sbom>) =>
      Sbom.problems({ ...bill, ...changed }, name, version, dependencies).join("; ")
    assert.include(wrong({ components: rest }), `${first!["bom-ref"]} is missing`)
    assert.include(wrong({ components: [...bill.components, first!] }), "twice")
    assert.include(wrong({ components: [{ ...first!, hashes: [] }, ...rest] }), "no SHA-512")
    assert.include(wrong({ components: [{ ...first!, licenses: [] }, ...rest] }), "no licence")
    assert.include(wrong({ dependencies: [] }), "no row of dependencies")
    assert.include(Sbom.problems(bill, name, "9.9.9", dependencies).join(), "not of haproxy-mcp@9.9.9")
  })
})

describe("the image of a release", () => {
  it("is left out aloud", async () => {
    assert.deepStrictEqual(await buildImage(root, folder(), "1.0.0", "none"), {
      skipped: "not asked for (--image none)"
    })
    assert.deepStrictEqual(await buildImage(folder(), folder(), "1.0.0", "base"), {
      skipped: "the sources have no scripts/image.ts"
    })
  })
})

describe("the repository", () => {
  const git = (cwd: string, ...args: ReadonlyArray<string>) =>
    execFileSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim()

  it("gets a commit and a tag, here and at the remote, together", () => {
    const [copy, remote] = [sources(), folder()]
    git(remote, "init", "--quiet", "--bare")
    git(copy, "init", "--quiet", "--initial-branch", "main")
    for (
      const [key, value] of [["user.name", "somebody"], ["user.email", "somebody@example.com"], [
        "commit.gpgsign",
        "false"
      ], ["tag.gpgsign", "false"]]
    ) {
      git(copy, "config", key!, value!)
    }
    git(copy, "remote", "add", "origin", remote)
    git(copy, "add", ".")
    Git.refuseTag(copy, "v7.8.9")
    assert.throws(() => Git.refuseDirty(copy), "not committed")
    git(copy, "commit", "--quiet", "--message", "first")
    Git.refuseDirty(copy)
    Manifest.writeVersion(copy, "7.8.9", "2026-01-31")
    Git.perform(copy, Git.steps("7.8.9", Manifest.changedFiles, "origin"))
    Git.refuseDirty(copy)
    assert.throws(() => Git.refuseTag(copy, "v7.8.9"), "a tag v7.8.9 already")
    assert.strictEqual(git(remote, "rev-parse", "v7.8.9^{commit}"), git(copy, "rev-parse", "HEAD"))
    assert.strictEqual(git(remote, "rev-parse", "main"), git(copy, "rev-parse", "HEAD"))
    assert.deepStrictEqual(git(copy, "show", "--name-only", "--format=%s", "HEAD").split("\n"), [
      "Release 7.8.9",
      "",
      "CHANGELOG.md",
      "package-lock.json",
      "package.json",
      "src/Version.ts"
    ])
    assert.throws(() => Git.refuseDirty(folder()), "git status failed")
  })
})

describe("the command", () => {
  it.each([
    [["--dry-run", "--publish"], "say --dry-run or --publish"],
    [[], "say --dry-run or --publish"],
    [["--dry-run", "1.2.3", "1.2.4"], "one version at most"],
    [["--dry-run", "--image", "x"], "--image x is not known"]
  ])("%j ends with 2 and says why", (args, says) => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/release.ts"), ...args], {
      encoding: "utf8",
      env: cleanEnv(),
      timeout: 60_000
    })
    assert.strictEqual(status, 2, stderr)
    assert.include(stderr, says)
    assert.include(stderr, "npm run release -- --dry-run | --publish")
  })
})
