import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach } from "vitest"
import type { Disk } from "../../src/domain/Disk.ts"
import { InvalidInput, StorageFailed } from "../../src/domain/Errors.ts"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { bundleOf, makeBundle, makeCertificate } from "../support/Certificates.ts"
import { onEachDisk } from "../support/Disks.ts"
import { realLines } from "../support/RealHaproxy.ts"

let dir: string
let folder: string
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "certificates-"))
  folder = join(dir, "certs")
  fs.mkdirSync(folder)
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

/** The disk of the tests that run now. */
let disk: Disk = localDisk

/** Runs a program with the service, as one start of the process. */
const withFiles = <A, E>(program: (files: CertificateFiles["Service"]) => Effect.Effect<A, E>) =>
  Effect.suspend(() =>
    Effect.provide(Effect.flatMap(CertificateFiles, program), CertificateFiles.layer({ folder, disk }))
  )

const path = (name: string) => join(folder, name)
const text = (name: string) => fs.readFileSync(path(name), "utf8")
const mode = (file: string) => fs.statSync(file).mode & 0o7777
const listing = () => fs.readdirSync(folder).sort()
const visible = () => listing().filter((name) => !name.startsWith("."))

const [one, two] = [makeBundle(["a.test"]), makeBundle(["a.test"], { chain: 2 })]
const textOf = ({ text }: typeof one) => Redacted.value(text)

onEachDisk((now) => {
  beforeAll(() => {
    disk = now()
  })
  afterAll(() => {
    disk = localDisk
  })

  describe("a certificate on its way in", () => {
    it.effect("has its name only when it is published, and everything of before until it is forgotten", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        const first = yield* files.stage("a.test", one)
        assert.deepStrictEqual([first.file, visible(), yield* files.list], ["a.test.pem", [], []])
        yield* first.publish
        yield* first.discard
        assert.deepStrictEqual([listing(), text("a.test.pem"), mode(path("a.test.pem"))], [
          ["a.test.pem"],
          textOf(one),
          0o600
        ])
        fs.chmodSync(path("a.test.pem"), 0o640)
        const before = fs.statSync(path("a.test.pem"))
        const second = yield* files.stage("a.test", two)
        yield* second.publish
        assert.deepStrictEqual([text("a.test.pem"), mode(path("a.test.pem"))], [textOf(two), 0o640])
        assert.deepStrictEqual((yield* files.read("a.test"))?.facts, two.facts)
        yield* second.restore
        yield* second.restore
        const after = fs.statSync(path("a.test.pem"))
        assert.deepStrictEqual([after.ino, after.mtimeMs, after.mode], [before.ino, before.mtimeMs, before.mode])
        yield* second.discard
        assert.deepStrictEqual([listing(), text("a.test.pem")], [["a.test.pem"], textOf(one)])
        // What was nowhere before is nowhere again, and what is not wanted leaves nothing.
        const other = yield* files.stage("*.b.test", one)
        yield* other.publish
        assert.include(visible(), "*.b.test.pem")
        yield* other.restore
        yield* other.discard
        yield* (yield* files.stage("c.test", one)).discard
        assert.deepStrictEqual(listing(), ["a.test.pem"])
      })))

    it.effect("makes the folder, for its owner alone, or for the group that the folder above hands down", () =>
      Effect.gen(function*() {
        const install = withFiles(Effect.fnUntraced(function*(files) {
          assert.deepStrictEqual([yield* files.list, yield* files.check], [[], null])
          const staged = yield* files.stage("a.test", one)
          yield* staged.publish
          yield* staged.discard
        }))
        folder = join(dir, "not", "there")
        yield* install
        assert.deepStrictEqual([mode(folder), mode(join(folder, "a.test.pem"))], [0o700, 0o600])
        // A folder above holds no keys, and HAProxy's user has to get through it.
        assert.strictEqual(mode(join(dir, "not")), 0o755 & ~process.umask())
        fs.chmodSync(dir, 0o2770)
        folder = join(dir, "shared")
        yield* install
        assert.deepStrictEqual([mode(folder), mode(join(folder, "a.test.pem"))], [0o2750, 0o640])
      }))

    it.effect("goes where a link leads, and the link stays", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        fs.mkdirSync(join(dir, "archive"))
        const real = join(dir, "archive", "a1.pem")
        fs.writeFileSync(real, textOf(one))
        fs.symlinkSync("../archive/a1.pem", path("a.test.pem"))
        const staged = yield* files.stage("a.test", two)
        yield* staged.publish
        yield* staged.discard
        assert.strictEqual(fs.readlinkSync(path("a.test.pem")), "../archive/a1.pem")
        assert.strictEqual(fs.readFileSync(real, "utf8"), textOf(two))
        assert.deepStrictEqual(fs.readdirSync(join(dir, "archive")), ["a1.pem"])
        // Removed is the link; what it leads to is not ours.
        yield* (yield* files.remove("a.test")).discard
        assert.deepStrictEqual([listing(), fs.existsSync(real)], [[], true])
      })))

    it.effect("never overwrites what somebody else wrote meanwhile", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        const early = yield* files.stage("a.test", one)
        fs.writeFileSync(path("a.test.pem"), "theirs")
        assert.match((yield* Effect.flip(early.publish)).message, /a\.test\.pem was changed by another program/)
        yield* early.discard
        const late = yield* files.stage("a.test", one)
        yield* late.publish
        fs.writeFileSync(path("theirs.tmp"), "theirs again")
        fs.renameSync(path("theirs.tmp"), path("a.test.pem"))
        assert.instanceOf(yield* Effect.flip(late.restore), StorageFailed)
        yield* late.discard
        assert.deepStrictEqual([listing(), text("a.test.pem")], [["a.test.pem"], "theirs again"])
        const removed = yield* files.remove("a.test")
        fs.writeFileSync(path("a.test.pem"), "a third one")
        assert.instanceOf(yield* Effect.flip(removed.restore), StorageFailed)
        yield* removed.discard
        assert.deepStrictEqual([listing(), text("a.test.pem")], [["a.test.pem"], "a third one"])
      })))

    it.effect("says what is in the way", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        fs.mkdirSync(path("a.test.pem"))
        assert.match((yield* Effect.flip(files.stage("a.test", one))).message, /a\.test\.pem is not a regular file/)
        yield* (yield* files.remove("a.test")).discard
        assert.isNull(yield* files.read("a.test"))
        for (const name of ["../a", "a/b", ".a", "", "a\nb", "a b", "\u00fc", "x".repeat(300)]) {
          assert.instanceOf(yield* Effect.flip(files.stage(name, one)), StorageFailed)
          assert.isNull(yield* files.read(name))
        }
        assert.match((yield* Effect.flip(files.stage("x".repeat(250), one))).hint, /too long for a file/)
        assert.deepStrictEqual(fs.readdirSync(dir), ["certs"])
        fs.rmSync(folder, { recursive: true })
        fs.writeFileSync(folder, "")
        assert.instanceOf(yield* Effect.flip(files.stage("a.test", one)), StorageFailed)
        assert.match((yield* files.check) ?? "", /certs is not a folder\. Correct HAPROXY_CERT_DIR/)
        assert.match((yield* Effect.flip(files.list)).message, /ENOTDIR/)
      })))
  })

  describe("a certificate on its way out", () => {
    it.effect("comes back as it was, or is gone for good", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        fs.writeFileSync(path("a.test.pem"), textOf(one))
        const before = fs.statSync(path("a.test.pem"))
        const removed = yield* files.remove("a.test")
        assert.deepStrictEqual([visible(), yield* files.list, yield* files.read("a.test")], [[], [], null])
        yield* removed.restore
        yield* removed.discard
        const after = fs.statSync(path("a.test.pem"))
        assert.deepStrictEqual([after.ino, after.mtimeMs, after.mode], [before.ino, before.mtimeMs, before.mode])
        yield* (yield* files.remove("a.test")).discard
        const nothing = yield* files.remove("a.test")
        yield* nothing.restore
        yield* nothing.discard
        assert.deepStrictEqual(listing(), [])
      })))
  })

  describe("the next start", () => {
    it.effect("removes temp files, brings back what was only half removed, and touches nothing else", () =>
      Effect.gen(function*() {
        fs.mkdirSync(join(dir, "archive"))
        fs.writeFileSync(join(dir, "archive", "a1.pem"), textOf(one))
        fs.symlinkSync("../archive/a1.pem", path("link.test.pem"))
        const [temp, kept] = [".a1.pem.haproxy-mcp-0123456789ab", ".b1.pem.haproxy-mcp-0123456789ab"]
        for (const name of [temp, kept]) fs.writeFileSync(join(dir, "archive", name), "x")
        for (
          const name of [
            ".a.test.pem.haproxy-mcp-0123456789ab",
            ".gone.test.pem.removed.haproxy-mcp-0123456789ab",
            ".here.test.pem.removed.haproxy-mcp-0123456789ab",
            "here.test.pem",
            ".hidden.pem",
            "a.pem.haproxy-mcp-0123456789ab"
          ]
        ) fs.writeFileSync(path(name), textOf(one))
        yield* withFiles((files) => files.list)
        assert.deepStrictEqual(listing(), [
          ".hidden.pem",
          "a.pem.haproxy-mcp-0123456789ab",
          "gone.test.pem",
          "here.test.pem",
          "link.test.pem"
        ])
        assert.deepStrictEqual(fs.readdirSync(join(dir, "archive")).sort(), [kept, "a1.pem"])
      }))
  })

  describe("what is read", () => {
    it.effect("is checked, with the key beside it, and says what is wrong by the file's name", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        const { chain, key, sha1, text } = makeCertificate(["b.test"])
        const put = (name: string, content: string) => fs.writeFileSync(path(name), content)
        put("whole.pem", text.replaceAll("\n", "\r\n"))
        put("split.pem", chain)
        put("split.pem.key", key)
        put("other.crt", text)
        put("both.pem", text)
        put("both.pem.key", makeCertificate(["x.test"]).key)
        for (const name of ["whole", "split", "other.crt", "both"]) {
          assert.strictEqual((yield* files.read(name))?.facts.sha1, sha1, name)
        }
        assert.isNull(yield* files.read("other"))
        put("nokey.pem", chain)
        put("empty.pem", "")
        put("huge.pem", "x".repeat(2 * 1024 * 1024))
        fs.symlinkSync("nowhere", path("dangling.pem"))
        for (
          const [name, why] of [
            ["nokey", /^nokey\.pem holds no private key\.$/],
            ["empty", /^empty\.pem holds no PEM block\.$/],
            ["huge", /^huge\.pem is larger than 1 MB\.$/],
            ["dangling", /^dangling\.pem is a link that leads nowhere/]
          ] as const
        ) {
          const error = yield* Effect.flip(files.read(name))
          assert.instanceOf(error, InvalidInput)
          assert.match(error.message, why)
        }
      })))

    it.effect("of 10,000 files the list comes without reading one of them", () =>
      withFiles(Effect.fnUntraced(function*(files) {
        for (let n = 0; n < 10_000; n++) fs.writeFileSync(path(`n${n}.test.pem`), "")
        const times: Array<number> = []
        for (let round = 0; round < 3; round++) {
          const began = performance.now()
          assert.strictEqual((yield* files.list).length, 10_000)
          times.push(performance.now() - began)
        }
        assert.isBelow(Math.min(...times), 500)
        const [first] = yield* files.list
        assert.deepStrictEqual([first?.name, first?.file, first?.size], ["n0.test", "n0.test.pem", 0])
        assert.closeTo(first!.modifiedAt, Date.now(), 60_000)
      })))
  })
})

describe.each(realLines)("HAProxy $line", (binary) => {
  /** Certificates that it loads from the folder, by their files; text: why it does not start. */
  const loaded = (): string => {
    const file = join(dir, "check.cfg")
    fs.writeFileSync(
      file,
      `defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind 127.0.0.1:1 ssl crt ${folder}\n`
    )
    const { status, stderr } = spawnSync(binary.path, ["-c", "-f", file], { encoding: "utf8" })
    return status === 0 ? "" : stderr
  }

  it.effect("loads the files that are listed, and no others", () =>
    withFiles(Effect.fnUntraced(function*(files) {
      const good = bundleOf(makeCertificate(["good.test"]).text)
      yield* (yield* files.stage("good.test", good)).publish
      fs.mkdirSync(path("sub.pem"))
      spawnSync("mkfifo", [path("pipe.pem")])
      assert.strictEqual(loaded(), "")
      // Each of these is garbage: HAProxy refuses to start exactly where the list has it.
      for (
        const name of [
          "x.pem",
          "x.crt",
          "x",
          "x.pem.bak",
          "*.x.pem",
          "x.dh",
          ".x.pem",
          "x.pem.key",
          "x.key",
          "x.ocsp",
          "x.sctl",
          "x.issuer"
        ]
      ) {
        fs.writeFileSync(path(name), "garbage")
        const listed = (yield* files.list).map(({ file }) => file)
        assert.deepStrictEqual(listed.filter((file) => file !== name), ["good.test.pem"])
        assert.strictEqual(loaded() !== "", listed.includes(name), name)
        fs.unlinkSync(path(name))
      }
      fs.symlinkSync("nowhere", path("x.pem"))
      assert.deepStrictEqual((yield* files.list).map(({ name }) => name), ["good.test", "x"])
      assert.match(loaded(), /unable to stat SSL certificate/)
    })))
})
