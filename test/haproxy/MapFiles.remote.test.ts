/** Map files on another host: its disk is full or read-only, and somebody else writes there within the same second. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Edit } from "../../src/domain/Change.ts"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { type Edge, smallDisk, startEdge } from "../support/Edge.ts"
import { sshdReason } from "../support/Sshd.ts"

const add = (name: string): Edit => ({
  kind: "route",
  name: name as RouteName,
  before: null,
  after: { name: name as RouteName, pool: 1 as PoolNumber, implicit: false, seq: 1 }
})
const many = Array.from({ length: 2_000 }, (_, index) => add(`a-site-with-a-long-name-${index}.example.com`))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "map-files-far-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

/** A small disk of the far side that holds the map files, whose state `trouble` spoils and `mend` repairs. */
const onSmallDisk = (
  trouble: (edge: Edge, disk: string) => Promise<unknown>,
  mend: (edge: Edge, disk: string) => Promise<unknown>,
  reason: RegExp
) =>
  Effect.gen(function*() {
    const disk = smallDisk!
    const edge = yield* startEdge(yield* folder)
    const { ssh } = edge.link
    const domains = join(disk, "domains.map")
    const layer = MapFiles.layer({ domains, limits: { pools: 2, slots: 2 }, disk: ssh.disk })
    const files = yield* Effect.provide(MapFiles, yield* Layer.build(layer))
    yield* files.reset({ routes: [], servers: [] })
    yield* files.apply([add("one.com")])
    const before = yield* Effect.promise(() => ssh.disk.readFile(domains))
    const names = yield* Effect.promise(() => ssh.disk.readdir(disk))
    yield* Effect.promise(() => trouble(edge, disk))
    const failure = yield* Effect.flip(files.apply(many))
    assert.strictEqual(failure.code, "STORAGE_FAILED")
    assert.match(`${failure.message} ${failure.hint}`, reason)
    assert.isTrue(yield* files.intact)
    assert.deepStrictEqual(yield* Effect.promise(() => ssh.disk.readFile(domains)), before)
    yield* Effect.promise(() => mend(edge, disk))
    assert.sameMembers([...yield* Effect.promise(() => ssh.disk.readdir(disk))], [...names])
    yield* files.apply(many)
    const after = yield* Effect.promise(() => ssh.disk.readFile(domains))
    assert.include(after!.toString(), "one.com pool_1\n")
    assert.include(after!.toString(), "-1999.example.com pool_1\n")
  })

describe.skipIf(sshdReason !== null || smallDisk === null)("the far disk", () => {
  const ballast = (disk: string) => join(disk, "ballast")

  it.live("is full: the files stay as they were, and are written when there is room", () =>
    onSmallDisk(
      ({ link: { ssh } }, disk) => ssh.disk.writeNew(ballast(disk), [Buffer.alloc(200 * 1024)], { mode: 0o600 }),
      ({ link: { ssh } }, disk) => ssh.disk.unlink(ballast(disk)),
      /ENOSPC.*disk is full/
    ))

  const remount = (how: string) => ({ link: { ssh } }: Edge, disk: string) =>
    Effect.runPromise(ssh.exec(["mount", "-o", `remount,${how}`, disk], { timeout: 10_000 })).then(({ code, stderr }) =>
      assert.strictEqual(code, 0, stderr)
    )

  it.live("is read-only: the same", () => onSmallDisk(remount("ro"), remount("rw"), /EROFS.*read-only/))
})

describe.skipIf(sshdReason !== null)("somebody else's write there", () => {
  /** Replaces the content and leaves no trace in the file's time and length. */
  const replaceUnseen = (path: string, from: string, to: string) => {
    const { mtimeNs } = statSync(path, { bigint: true })
    const seconds = Number(mtimeNs / 1_000_000_000n)
    const text = readFileSync(path, "utf8")
    writeFileSync(path, text.replace(from, to))
    assert.strictEqual(from.length, to.length)
    utimesSync(path, seconds, seconds)
  }

  const open = Effect.gen(function*() {
    const dir = yield* folder
    const edge = yield* startEdge(dir)
    const path = join(dir, "domains.map")
    const layer = MapFiles.layer({
      domains: edge.there(path),
      limits: { pools: 2, slots: 2 },
      disk: edge.link.ssh.disk
    })
    return { path, files: yield* Effect.provide(MapFiles, yield* Layer.build(layer)) }
  })

  it.live("right after ours, in the same second and length, is seen and kept", () =>
    Effect.gen(function*() {
      const { files, path } = yield* open
      writeFileSync(path, "aaaa.com theirs\n")
      yield* files.reset({ routes: [], servers: [] })
      yield* files.apply([add("one.com")])
      const text = readFileSync(path, "utf8")
      // Their time is that of the write; ours lies in the past.
      writeFileSync(path, text.replace("aaaa.com", "bbbb.com"))
      yield* files.apply([add("two.com")])
      const after = readFileSync(path, "utf8")
      assert.include(after, "bbbb.com theirs\n")
      assert.include(after, "one.com pool_1\n")
      assert.include(after, "two.com pool_1\n")
      assert.notInclude(after, "aaaa.com")
    }))

  it.live("right after we read theirs, with the same time and length, is seen and kept", () =>
    Effect.gen(function*() {
      const { files, path } = yield* open
      const state = { routes: [], servers: [] }
      writeFileSync(path, "aaaa.com theirs\n")
      yield* files.reset(state)
      // Nothing has to be written after this one: what is known of the file is what was read.
      writeFileSync(path, readFileSync(path, "utf8").replace("aaaa.com", "bbbb.com"))
      assert.deepStrictEqual((yield* files.reset(state)).written, [])
      replaceUnseen(path, "bbbb.com", "cccc.com")
      yield* files.apply([add("one.com")])
      const after = readFileSync(path, "utf8")
      assert.include(after, "cccc.com theirs\n")
      assert.include(after, "one.com pool_1\n")
    }))
})
