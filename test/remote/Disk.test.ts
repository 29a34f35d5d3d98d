/** One contract, two disks: this machine's, and the same folder over SFTP. Each case runs on both. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Disk, DiskError } from "../../src/domain/Disk.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { sshdReason } from "../support/Sshd.ts"
import { openSsh, openSshd, type SshLink } from "../support/SshLink.ts"

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(() => "no error", (error: unknown) => {
    assert.instanceOf(error, DiskError)
    return (error as DiskError).code
  })

const bytes = (size: number): Buffer => {
  const data = Buffer.allocUnsafe(size)
  for (let index = 0; index < size; index++) data[index] = (index * 31 + (index >> 8) * 7) & 0xff
  return data
}

const cases = (name: string, disk: () => Disk, skipped: boolean) =>
  describe.skipIf(skipped)(`the disk ${name}`, () => {
    let root = ""
    let count = 0
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "haproxy-mcp-disk-"))
      chmodSync(root, 0o755)
    })
    afterAll(() => rm(root, { recursive: true, force: true }))
    const folder = () => {
      const path = join(root, `case-${++count}`)
      mkdirSync(path)
      return path
    }

    it("writes a new file with its mode and says what it made", async () => {
      const path = join(folder(), "a")
      const made = await disk().writeNew(path, [Buffer.from("one "), Buffer.alloc(0), Buffer.from("two")], {
        mode: 0o640
      })
      assert.strictEqual(readFileSync(path, "utf8"), "one two")
      assert.strictEqual(statSync(path).mode & 0o7777, 0o640)
      assert.deepInclude(made, {
        kind: "file",
        size: 7n,
        mode: 0o640,
        uid: statSync(path).uid,
        gid: statSync(path).gid
      })
      assert.deepStrictEqual(await disk().stat(path), made)
    })

    it("gives a file its mode whatever the umask, also the bits that open() takes no part in", async () => {
      const path = join(folder(), "a")
      await disk().writeNew(path, [], { mode: 0o666 })
      assert.strictEqual(statSync(path).mode & 0o7777, 0o666)
      assert.strictEqual(statSync(path).size, 0)
    })

    it.skipIf(process.getuid?.() !== 0)("gives a file to another owner", async () => {
      const path = join(folder(), "a")
      await disk().writeNew(path, [Buffer.from("x")], { mode: 0o600, owner: { uid: 65_534, gid: 65_534 } })
      assert.deepInclude(statSync(path), { uid: 65_534, gid: 65_534 })
      assert.strictEqual(statSync(path).mode & 0o7777, 0o600)
    })

    it.skipIf(process.getuid?.() === 0)("says EPERM when it may not, and leaves nothing", async () => {
      const path = join(folder(), "a")
      const code = await codeOf(disk().writeNew(path, [Buffer.from("x")], { mode: 0o600, owner: { uid: 0, gid: 0 } }))
      assert.strictEqual(code, "EPERM")
      assert.isNull(await disk().stat(path))
    })

    it.each([0, 1, 32_767, 32_768, 65_536, 65_537, 5 * 1024 * 1024 + 3])("keeps %i bytes as they are", async (size) => {
      const path = join(folder(), "a")
      const data = bytes(size)
      const cut = Math.floor(size / 3)
      const made = await disk().writeNew(path, [data.subarray(0, cut), data.subarray(cut)], { mode: 0o600 })
      assert.strictEqual(made.size, BigInt(size))
      assert.isTrue(readFileSync(path).equals(data))
      assert.isTrue((await disk().readFile(path))!.equals(data))
      assert.strictEqual(await codeOf(disk().readFile(path, size - 1)), "EFBIG")
      assert.isTrue((await disk().readFile(path, size))!.equals(data))
    })

    it("gives a new file an older time", async () => {
      const path = join(folder(), "a")
      const made = await disk().writeNew(path, [Buffer.from("x")], { mode: 0o600, mtime: 1_700_000_000 })
      assert.strictEqual(statSync(path).mtimeMs, 1_700_000_000_000)
      assert.strictEqual(made.mtimeNs, 1_700_000_000_000_000_000n)
    })

    it("reads files that do not say their size", async () => {
      assert.strictEqual((await disk().readFile("/proc/sys/kernel/ostype"))!.toString(), "Linux\n")
      assert.isAbove((await disk().readFile("/proc/self/mountinfo"))!.length, 0)
    })

    it("reads no pipe, and does not wait for its other end", async () => {
      const at = folder()
      execFileSync("mkfifo", [join(at, "pipe")])
      assert.strictEqual(await codeOf(disk().readFile(join(at, "pipe"))), "EINVAL")
      assert.strictEqual(await codeOf(disk().readFile("/dev/zero")), "EINVAL")
    })

    it("never writes over a file that is there", async () => {
      const path = join(folder(), "a")
      writeFileSync(path, "old")
      assert.strictEqual(await codeOf(disk().writeNew(path, [Buffer.from("new")], { mode: 0o600 })), "EEXIST")
      assert.strictEqual(readFileSync(path, "utf8"), "old")
    })

    it("says what is where", async () => {
      const at = folder()
      writeFileSync(join(at, "file"), "x")
      utimesSync(join(at, "file"), 1_000, 2_000)
      symlinkSync("file", join(at, "link"))
      symlinkSync("nowhere", join(at, "broken"))
      assert.deepInclude(await disk().stat(join(at, "file")), { kind: "file", size: 1n, mtimeNs: 2_000_000_000_000n })
      assert.deepInclude(await disk().stat(at), { kind: "folder" })
      assert.deepInclude(await disk().stat(join(at, "link")), { kind: "file" })
      assert.deepInclude(await disk().lstat(join(at, "link")), { kind: "link" })
      assert.deepInclude(await disk().lstat("/dev/null"), { kind: "other" })
      assert.isNull(await disk().stat(join(at, "broken")))
      assert.isNull(await disk().stat(join(at, "nothing")))
      assert.isNull(await disk().lstat(join(at, "no", "thing")))
      assert.strictEqual(await disk().realpath(join(at, "link")), join(at, "file"))
      assert.strictEqual(await codeOf(disk().realpath(join(at, "nothing"))), "ENOENT")
      assert.strictEqual(await codeOf(disk().realpath(join(at, "broken"))), "ENOENT")
      assert.strictEqual(await disk().readlink(join(at, "link")), "file")
      assert.strictEqual(await codeOf(disk().readlink(join(at, "file"))), "EINVAL")
      assert.deepStrictEqual([...await disk().readdir(at)].sort(), ["broken", "file", "link"])
      assert.strictEqual(await codeOf(disk().readdir(join(at, "nothing"))), "ENOENT")
      const entries = new Map((await disk().list(at)).map(({ name, stat }) => [name, stat]))
      assert.deepStrictEqual([...entries.keys()].sort(), ["broken", "file", "link"])
      assert.deepStrictEqual(entries.get("file"), (await disk().lstat(join(at, "file")))!)
      assert.strictEqual(entries.get("broken")?.kind, "link")
      assert.strictEqual(await codeOf(disk().list(join(at, "nothing"))), "ENOENT")
    })

    it("tells whether files can be made in a folder, and leaves none", async () => {
      const at = folder()
      await disk().checkWritable(at)
      assert.deepStrictEqual(await disk().readdir(at), [])
      assert.strictEqual(await codeOf(disk().checkWritable(join(at, "nothing"))), "ENOENT")
    })

    it("makes a new name durable when it is asked to in the same breath", async () => {
      const at = folder()
      writeFileSync(join(at, "a"), "x")
      await Promise.all([disk().rename(join(at, "a"), join(at, "b")), disk().syncFolder(at)])
      assert.strictEqual(readFileSync(join(at, "b"), "utf8"), "x")
    })

    it("lists a folder of a thousand names", async () => {
      const at = folder()
      writeFileSync(join(at, "0"), "")
      for (let index = 1; index < 1_000; index++) linkSync(join(at, "0"), join(at, String(index)))
      const names = new Set(await disk().readdir(at))
      assert.strictEqual(names.size, 1_000)
      assert.isTrue(names.has("999"))
    })

    it("reads nothing where nothing is, and refuses a folder", async () => {
      const at = folder()
      assert.isNull(await disk().readFile(join(at, "nothing")))
      assert.strictEqual(await codeOf(disk().readFile(at)), "EISDIR")
    })

    it("renames over a file, and onto a free name only", async () => {
      const at = folder()
      const [a, b, c] = ["a", "b", "c"].map((name) => join(at, name)) as [string, string, string]
      for (const path of [a, b, c]) writeFileSync(path, path)
      await disk().rename(a, b)
      assert.strictEqual(readFileSync(b, "utf8"), a)
      assert.strictEqual(await codeOf(disk().renameNew(b, c)), "EEXIST")
      assert.strictEqual(readFileSync(c, "utf8"), c)
      await disk().renameNew(b, a)
      assert.strictEqual(readFileSync(a, "utf8"), a)
      assert.isNull(await disk().stat(b))
      assert.strictEqual(await codeOf(disk().rename(b, c)), "ENOENT")
      mkdirSync(join(at, "folder"))
      assert.strictEqual(await codeOf(disk().rename(a, join(at, "folder"))), "EISDIR")
      await disk().syncFolder(at)
      assert.strictEqual(await codeOf(disk().syncFolder(join(at, "nothing"))), "ENOENT")
    })

    it("lets exactly one of many have a name", async () => {
      for (let round = 0; round < 20; round++) {
        const at = folder()
        const names = Array.from({ length: 8 }, (_, index) => join(at, `try-${index}`))
        for (const name of names) writeFileSync(name, name)
        const ends = await Promise.all(names.map((name) => codeOf(disk().renameNew(name, join(at, "won")))))
        assert.deepStrictEqual(ends.filter((code) => code !== "EEXIST"), ["no error"])
        assert.strictEqual(readFileSync(join(at, "won"), "utf8"), names[ends.indexOf("no error")])
      }
    })

    it("gives second names, and removes names", async () => {
      const at = folder()
      const [a, b] = [join(at, "a"), join(at, "b")]
      writeFileSync(a, "x")
      await disk().link(a, b)
      assert.strictEqual(statSync(b).nlink, 2)
      assert.strictEqual(await codeOf(disk().link(a, b)), "EEXIST")
      await disk().unlink(a)
      assert.strictEqual(readFileSync(b, "utf8"), "x")
      assert.strictEqual(await codeOf(disk().unlink(a)), "ENOENT")
      assert.strictEqual(await codeOf(disk().link(a, join(at, "c"))), "ENOENT")
    })

    it("makes folders with those above them, again and again", async () => {
      const path = join(folder(), "x", "y", "z")
      await disk().makeFolder(path, 0o2777)
      assert.strictEqual(statSync(path).mode & 0o7777, 0o2777)
      await disk().makeFolder(path, 0o700)
      assert.strictEqual(statSync(path).mode & 0o7777, 0o2777)
      writeFileSync(join(path, "file"), "")
      assert.strictEqual(await codeOf(disk().makeFolder(join(path, "file"), 0o750)), "EEXIST")
    })

    it.skipIf(process.getuid?.() === 0)("says EACCES where it may not", async () => {
      const at = folder()
      chmodSync(at, 0o500)
      assert.strictEqual(await codeOf(disk().writeNew(join(at, "a"), [], { mode: 0o600 })), "EACCES")
      assert.strictEqual(await codeOf(disk().checkWritable(at)), "EACCES")
      chmodSync(at, 0o700)
    })
  })

cases("of this machine", () => localDisk, false)

describe("SFTP", () => {
  let link: SshLink | null = null
  let end = async () => {}
  beforeAll(async () => {
    if (sshdReason !== null) return
    const { end: stop, sshd } = await openSshd()
    link = await openSsh(sshd.options)
    end = async () => {
      await link?.end()
      await stop()
    }
  })
  afterAll(() => end())

  it.skipIf(sshdReason !== null)(
    "is no disk of this machine, and takes no path that could mean something else",
    async () => {
      const { disk } = link!.ssh
      assert.isFalse(disk.isLocal)
      assert.strictEqual(await codeOf(disk.stat("relative")), "EINVAL")
      assert.strictEqual(await codeOf(disk.stat("/a\0b")), "EINVAL")
    }
  )

  cases("over SFTP", () => link!.ssh.disk, sshdReason !== null)
})
