/**
 * The whole way through the machine's real apt and dpkg, without a network: a tiny Debian archive on disk, which apt
 * is told (by APT_CONFIG) is the machine's own.
 */
import { createHash } from "node:crypto"
import { copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { runCommand } from "../../scripts/debian/Command.ts"
import { withFolderLock } from "../../scripts/debian/FolderLock.ts"
import { fetchPackages, type PackagesRequest } from "../../scripts/debian/Packages.ts"

const apt = await runCommand("apt-config", ["shell", "ARCH", "APT::Architecture"], { timeoutMs: 10_000 }).catch(() =>
  undefined
)
const architecture = /'(.*)'/.exec(apt?.stdout ?? "")?.[1] ?? ""

let base: string
let into: string
const configBefore = process.env["APT_CONFIG"]

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), "packages-")))
  await mkdir(join(base, "parts"))
  await writeFile(
    join(base, "apt.conf"),
    `Dir::Etc::sourcelist "${join(base, "sources.list")}";
Dir::Etc::sourceparts "${join(base, "parts")}";
# What machines have that a fetch must not trip over: hooks that fail without root, a pinned release, a second
# architecture, caches elsewhere.
APT::Update::Post-Invoke { "exit 1"; };
APT::Update::Post-Invoke-Success { "exit 1"; };
DPkg::Post-Invoke { "exit 1"; };
APT::Default-Release "nowhere";
APT::Architectures { "${architecture}"; "armel"; };
Dir::Cache "/nonexistent";
Dir::State "/nonexistent";
`
  )
  process.env["APT_CONFIG"] = join(base, "apt.conf")
})

afterAll(async () => {
  if (configBefore === undefined) delete process.env["APT_CONFIG"]
  else process.env["APT_CONFIG"] = configBefore
  await rm(base, { recursive: true, force: true })
})

beforeEach(async () => {
  into = join(base, "cache/hello")
  await writeFile(join(base, "sources.list"), `deb [trusted=yes] file:${base}/debian trixie main\n`)
  await publish("1.0")
})

afterEach(() => rm(join(base, "cache"), { recursive: true, force: true }))

const must = async (program: string, ...args: ReadonlyArray<string>) => {
  const result = await runCommand(program, args, { timeoutMs: 30_000 })
  expect(result, `${program} ${args.join(" ")}`).toMatchObject({ code: 0 })
}

const checksum = (content: Buffer | string) => createHash("sha256").update(content).digest("hex")

/** A `.deb` on disk and its stanza of the index. */
const build = async (name: string, version: string, depends: string, program: string) => {
  const tree = join(base, "tree")
  await rm(tree, { recursive: true, force: true })
  await mkdir(join(tree, "DEBIAN"), { recursive: true })
  await mkdir(join(tree, "usr/bin"), { recursive: true })
  await writeFile(join(tree, "usr/bin", name), program, { mode: 0o755 })
  const control =
    `Package: ${name}\nVersion: ${version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.test>\n${depends}` +
    "Description: test\n"
  await writeFile(join(tree, "DEBIAN/control"), control)
  const file = `${name}_${version.replace(/^\d+:/, "")}_all.deb`
  await must("dpkg-deb", "--root-owner-group", "--build", tree, join(base, "debian", file))
  const content = await readFile(join(base, "debian", file))
  return `${control}Filename: ${file}\nSize: ${content.length}\nSHA256: ${checksum(content)}\n`
}

/** The archive with two packages: `hello`, which depends on `hello-data`. */
const publish = async (version: string) => {
  const dist = join(base, "debian/dists/trixie")
  const index = `main/binary-${architecture}/Packages`
  await rm(join(base, "debian"), { recursive: true, force: true })
  await mkdir(join(dist, "main", `binary-${architecture}`), { recursive: true })
  const packages = [
    await build("hello", version, "Depends: hello-data\n", `#!/bin/sh\necho "hello ${version} $*"\n`),
    await build("hello-data", `1:${version}`, "", "data\n")
  ].join("\n")
  await writeFile(join(dist, index), packages)
  await writeFile(
    join(dist, "Release"),
    `Origin: Test\nSuite: trixie\nCodename: trixie\nArchitectures: ${architecture}\nComponents: main\n` +
      `Date: ${new Date().toUTCString()}\nSHA256:\n ${checksum(packages)} ${Buffer.byteLength(packages)} ${index}\n`
  )
}

const request = (changes: Partial<PackagesRequest> = {}): PackagesRequest => ({
  name: "hello",
  suites: ["trixie"],
  packages: ["hello"],
  programs: ["usr/bin/hello"],
  into,
  ...changes
})

/** What lies in the cache beside the finished folder and the lock. */
const leftovers = async () =>
  (await readdir(join(base, "cache"))).filter((name) => name !== "hello" && name !== ".hello.lock")

describe.skipIf(apt === undefined)("fetching packages", () => {
  it("unpacks the package and what it depends on, and wraps the program", async () => {
    const fetched = await fetchPackages(request())
    expect(fetched).toEqual({ folder: into, versions: { hello: "1.0", "hello-data": "1:1.0" }, cached: false })
    expect((await runCommand(join(into, "bin/hello"), ["you"], { timeoutMs: 10_000 })).stdout).toBe("hello 1.0 you\n")
    expect(await readFile(join(into, "root/usr/bin/hello-data"), "utf8")).toBe("data\n")
    expect(await leftovers()).toEqual([])
  })

  it("does nothing the second time, until another request or a refresh asks for it", async () => {
    const fetches: Array<string> = []
    const once = (label: string, changes: Partial<PackagesRequest> = {}) =>
      fetchPackages(request({ onFetch: () => fetches.push(label), ...changes }))
    await once("first")
    await publish("1.1")
    expect(await once("second")).toMatchObject({ cached: true, versions: { hello: "1.0" } })
    expect(await once("refresh", { refresh: true })).toMatchObject({ cached: false, versions: { hello: "1.1" } })
    expect(await once("other", { packages: ["hello-data"], programs: [] })).toMatchObject({ cached: false })
    expect(fetches).toEqual(["first", "refresh", "other"])
    expect(await leftovers()).toEqual([])
  })

  it("brings what is not installed here, or nothing else at all, when that is asked for", async () => {
    const stanza = "Package: hello-data\nStatus: install ok installed\nVersion: 1:1.0\nArchitecture: all\n"
    const conf = join(base, "installed.conf")
    await writeFile(join(base, "status"), `${stanza}Maintainer: Nobody <nobody@example.test>\nDescription: test\n\n`)
    const own = await readFile(join(base, "apt.conf"), "utf8")
    await writeFile(conf, `${own}Dir::State::status "${join(base, "status")}";\n`)
    process.env["APT_CONFIG"] = conf
    try {
      expect(await fetchPackages(request({ dependencies: "missing" }))).toHaveProperty("versions", { hello: "1.0" })
      expect(await fetchPackages(request())).toMatchObject({ versions: { hello: "1.0", "hello-data": "1:1.0" } })
    } finally {
      process.env["APT_CONFIG"] = join(base, "apt.conf")
    }
    const alone = await fetchPackages(request({ dependencies: "none" }))
    expect(alone.versions).toEqual({ hello: "1.0" })
  })

  it("is done once when several runs want the same folder", async () => {
    let fetches = 0
    const runs = Array.from({ length: 4 }, () => fetchPackages(request({ onFetch: () => fetches++ })))
    const results = await Promise.all(runs)
    expect(fetches).toBe(1)
    expect(results.filter(({ cached }) => !cached)).toHaveLength(1)
  })

  it("removes what an interrupted run left, and does not take it for a result", async () => {
    await mkdir(join(base, "cache/.hello.tmp-left/made/bin"), { recursive: true })
    await mkdir(into)
    expect(await fetchPackages(request())).toMatchObject({ cached: false, versions: { hello: "1.0" } })
    expect(await leftovers()).toEqual([])
  })

  it("refuses a package that is not the one the index speaks of, and leaves no folder", async () => {
    const file = join(base, "debian/hello_1.0_all.deb")
    const content = await readFile(file)
    content[content.length - 1] = (content[content.length - 1] ?? 0) ^ 0xff
    await writeFile(file, content)
    await expect(fetchPackages(request())).rejects.toMatchObject({ reason: "AptFailed" })
    expect(await readdir(join(base, "cache"))).toEqual([".hello.lock"])
  })

  it("keeps the folder that is there when a refresh fails", async () => {
    await fetchPackages(request())
    await rm(join(base, "debian"), { recursive: true })
    await expect(fetchPackages(request({ refresh: true }))).rejects.toMatchObject({ reason: "AptFailed" })
    expect((await runCommand(join(into, "bin/hello"), [], { timeoutMs: 10_000 })).stdout).toBe("hello 1.0 \n")
    expect(await leftovers()).toEqual([])
  })

  it("refuses an archive without a valid signature unless the operator trusts it", async () => {
    await writeFile(join(base, "sources.list"), `deb copy:${base}/debian trixie main\n`)
    await expect(fetchPackages(request())).rejects.toMatchObject({
      reason: "AptFailed",
      message: expect.stringContaining("is not signed")
    })
  })

  it("says that a package, a program or the Debian archive is not there", async () => {
    await expect(fetchPackages(request({ packages: ["good-bye"] }))).rejects.toMatchObject({ reason: "NotPackaged" })
    await expect(fetchPackages(request({ programs: ["usr/bin/bye"] }))).rejects.toMatchObject({ reason: "BadPackage" })
    await writeFile(join(base, "sources.list"), "deb http://archive.ubuntu.test/ubuntu noble main\n")
    await expect(fetchPackages(request())).rejects.toMatchObject({ reason: "NoDebianArchive" })
    expect(await leftovers()).toEqual([])
  })
})

describe("the lock of a folder", () => {
  it("is held by one at a time, and free again after a failure", async () => {
    await mkdir(join(base, "cache"))
    const file = join(base, "cache/lock")
    let inside = 0
    let most = 0
    const body = async () => {
      most = Math.max(most, ++inside)
      await copyFile(file, join(base, "cache", basename(file) + inside))
      inside--
      throw new Error("body")
    }
    const outcomes = await Promise.allSettled(Array.from({ length: 3 }, () => withFolderLock(file, 10, body)))
    expect(outcomes.map((outcome) => outcome.status === "rejected" ? outcome.reason.message : outcome.status))
      .toEqual(["body", "body", "body"])
    expect(most).toBe(1)
  })

  it("is taken whatever the user's shell is, and whatever that does first", async () => {
    await mkdir(join(base, "cache"))
    const before = process.env["SHELL"]
    process.env["SHELL"] = "/nonexistent"
    try {
      expect(await withFolderLock(join(base, "cache/lock"), 10, async () => "in")).toBe("in")
    } finally {
      if (before === undefined) delete process.env["SHELL"]
      else process.env["SHELL"] = before
    }
  })

  it("is refused after the wait, while another holds it", async () => {
    await mkdir(join(base, "cache"))
    const file = join(base, "cache/lock")
    await withFolderLock(file, 10, async () => {
      await expect(withFolderLock(file, 0, async () => "in")).rejects.toMatchObject({ reason: "Locked" })
    })
    expect(await withFolderLock(file, 0, async () => "in")).toBe("in")
  })
})
