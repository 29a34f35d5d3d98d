import { assert, beforeEach, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach } from "vitest"
import { StorageFailed } from "../../src/domain/Errors.ts"
import * as DurableFile from "../../src/haproxy/DurableFile.ts"
import * as FileSet from "../../src/haproxy/files/FileSet.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import * as TrackedFile from "../../src/haproxy/files/TrackedFile.ts"

let dir: string
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "durable-file-"))
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

const open = async (name: string, content?: string) => {
  const path = join(dir, name)
  if (content !== undefined) fs.writeFileSync(path, content)
  const file = TrackedFile.make(path)
  await TrackedFile.reread(localDisk, file)
  return file
}
const put = (file: TrackedFile.TrackedFile, ...parts: ReadonlyArray<Buffer>): FileSet.Replacement => ({
  file,
  parts,
  before: []
})
const text = (name: string) => fs.readFileSync(join(dir, name), "utf8")

/** What this process holds open in the folder; files that were replaced are let go of in another thread. */
const openHere = () =>
  fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${fd}`)]
    } catch {
      return []
    }
  }).filter((path) => path.startsWith(dir))
const allClosed = async () => {
  for (let looks = 0; openHere().length > 0 && looks < 1000; looks++) await new Promise(setImmediate)
  assert.deepStrictEqual(openHere(), [])
}

describe("a set of files", () => {
  it("is written in many and in large pieces, in order, and lets go of everything", async () => {
    const files = [await open("small", "old"), await open("large", "old"), await open("new")]
    const pieces = Array.from({ length: 3000 }, (_, i) => Buffer.from(`${i}\n`.repeat(200)))
    const large = [Buffer.alloc(0), ...pieces, Buffer.alloc(3 << 20, "x")]
    for (let round = 0; round < 3; round++) {
      const answer = await FileSet.write(localDisk, [
        put(files[0]!, ...pieces.slice(0, 1100)),
        put(files[1]!, ...large),
        put(files[2]!, Buffer.from(String(round)))
      ])
      assert.deepStrictEqual(answer, { _tag: "Written" })
    }
    assert.strictEqual(text("small"), Buffer.concat(pieces.slice(0, 1100)).toString())
    assert.isTrue(fs.readFileSync(join(dir, "large")).equals(Buffer.concat(large)))
    assert.strictEqual(text("new"), "2")
    for (const file of files) assert.isFalse(await TrackedFile.isChanged(localDisk, file, null))
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ["large", "new", "small"])
    await allClosed()
  })

  it("is left alone where someone else changed one of them while the others were flushed", async () => {
    const [a, b] = [await open("a", "1"), await open("b", "1")]
    const writing = FileSet.write(localDisk, [put(a, Buffer.from("2")), put(b, Buffer.from("2"))])
    // Everything up to the flushes has run; theirs comes before the renames.
    fs.writeFileSync(join(dir, "b"), "theirs")
    assert.deepStrictEqual(await writing, { _tag: "Changed", files: [b] })
    assert.deepStrictEqual([text("a"), text("b")], ["1", "theirs"])
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ["a", "b"])
    await allClosed()
  })

  it("is as before where one cannot be replaced, a new file included", async () => {
    const [a, fresh, blocked] = [await open("a", "1"), await open("fresh"), await open("blocked")]
    const writing = FileSet.write(localDisk, [
      { ...put(a, Buffer.from("2")), before: [Buffer.from("1")] },
      put(fresh, Buffer.from("2")),
      // A folder takes the place of a file of which nothing was known.
      put({ ...blocked, path: join(dir, "nothing") }, Buffer.from("2"))
    ])
    fs.mkdirSync(join(dir, "blocked"))
    const failure = await writing.then(() => null, (cause: unknown) => cause)
    assert.instanceOf(failure, StorageFailed)
    assert.match(failure.message, /Cannot replace .*blocked \(EISDIR\)/)
    assert.strictEqual(text("a"), "1")
    assert.isFalse(await TrackedFile.isChanged(localDisk, a, null))
    assert.deepStrictEqual(fs.readdirSync(dir).sort(), ["a", "blocked"])
    await allClosed()
  })

  it.skipIf(process.getuid?.() !== 0)("keeps owner, group and all permission bits", async () => {
    const file = await open("a", "1")
    fs.chownSync(join(dir, "a"), 1234, 4321)
    fs.chmodSync(join(dir, "a"), 0o2640)
    await TrackedFile.reread(localDisk, file)
    await FileSet.write(localDisk, [put(file, Buffer.from("2"))])
    const stats = fs.statSync(join(dir, "a"))
    assert.deepStrictEqual([stats.uid, stats.gid, stats.mode & 0o7777, text("a")], [1234, 4321, 0o2640, "2"])
    assert.isFalse(await TrackedFile.isChanged(localDisk, file, null))
  })
})

const failureOf = (run: Promise<unknown>): Promise<string> =>
  run.then(() => "no failure", (cause: unknown) => (cause as Error).message)

describe("a path", () => {
  it("is followed through links that lead to no file yet; loops and files in place of folders are refused", async () => {
    fs.mkdirSync(join(dir, "far"))
    fs.symlinkSync("far/away", join(dir, "link"))
    fs.symlinkSync("loop", join(dir, "loop"))
    fs.writeFileSync(join(dir, "file"), "")
    const target = (name: string) => DurableFile.realTarget(localDisk, join(dir, name))
    const identify = (name: string) => DurableFile.identify(localDisk, join(dir, name))
    assert.strictEqual(await target("link"), join(fs.realpathSync(dir), "far", "away"))
    assert.isNull(await identify("link"))
    assert.match(await failureOf(target("loop")), /ELOOP/)
    assert.match(await failureOf(target("file/x")), /ENOTDIR/)
    assert.match(await failureOf(identify("file/x")), /ENOTDIR/)
    assert.match(await failureOf(identify("")), /not a regular file/)
  })
})
