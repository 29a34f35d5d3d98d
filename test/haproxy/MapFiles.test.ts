import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import { type Edit, inverse, type Route } from "../../src/domain/Change.ts"
import type { Disk } from "../../src/domain/Disk.ts"
import type { PoolNumber, Server, SlotNumber, Weight } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { onEachDisk } from "../support/Disks.ts"

const limits = { pools: 3, slots: 2 }

const golden = join(import.meta.dirname, "..", "golden")

const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(join(tmpdir(), "map-files-"))),
  (dir) => Effect.promise(() => fs.rm(dir, { recursive: true, force: true }))
)

/** The disk of the tests that run now. */
let disk: Disk = localDisk

const open = (dir: string, pools = true) =>
  Effect.flatMap(
    Layer.build(
      MapFiles.layer({ domains: join(dir, "domains.map"), pools: pools ? join(dir, "pools.cfg") : null, limits, disk })
    ),
    (context) => Effect.provide(MapFiles, context)
  )

const route = (name: string, pool: number): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq: 1
})
const add = (name: string, pool: number): Edit => ({
  kind: "route",
  name: name as RouteName,
  before: null,
  after: route(name, pool)
})
const server = (pool: number, slot: number, more: Partial<Server> = {}): Server => ({
  pool: pool as PoolNumber,
  slot: slot as SlotNumber,
  ip: "10.0.0.5" as ServerIp,
  port: 80 as Port,
  weight: 1 as Weight,
  state: "ready",
  ...more
})
const put = (after: Server): Edit => ({ kind: "server", pool: after.pool, slot: after.slot, before: null, after })

const text = (...path: ReadonlyArray<string>) => Effect.promise(() => fs.readFile(join(...path), "latin1"))
/** The lines without our own comment. */
const lines = (...path: ReadonlyArray<string>) =>
  Effect.map(
    text(...path),
    (all) => all.split("\n").filter((line) => line !== "" && !line.startsWith("# haproxy-mcp:"))
  )
const listing = (dir: string) => Effect.promise(async () => (await fs.readdir(dir)).sort())
const write = (path: string, content: string) => Effect.promise(() => fs.writeFile(path, content, "latin1"))

onEachDisk((now) => {
  beforeAll(() => {
    disk = now()
  })

  describe("reset", () => {
    it.effect("creates all files, readable for HAProxy, and writes nothing when nothing differs", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const files = yield* open(dir)
        const state = { routes: [route("b.com", 2), route("*.b.com", 2), route("a.com", 1)], servers: [server(2, 1)] }
        const first = yield* files.reset(state)
        assert.deepStrictEqual(first, {
          written: [files.paths.domains, files.paths.wildcards, files.paths.pools!],
          foreign: 0
        })
        assert.deepStrictEqual(yield* listing(dir), ["domains.map", "pools.cfg", "wildcards.map"])
        assert.deepStrictEqual(yield* lines(dir, "domains.map"), ["a.com pool_1", "b.com pool_2"])
        assert.deepStrictEqual(yield* lines(dir, "wildcards.map"), [".b.com pool_2"])
        assert.include(yield* text(dir, "pools.cfg"), "  server pool_2_1 10.0.0.5:80 weight 1\n")
        for (const name of yield* listing(dir)) {
          assert.strictEqual((yield* Effect.promise(() => fs.stat(join(dir, name)))).mode & 0o777, 0o644)
        }
        assert.deepStrictEqual((yield* files.reset(state)).written, [])
        // A new run, with nothing in memory, compares bytes.
        const again = yield* open(dir)
        assert.deepStrictEqual((yield* again.reset(state)).written, [])
        assert.deepStrictEqual(yield* again.counts, { domains: 2, wildcards: 1 })
      }))

    it.effect("repairs the file that a crash left behind, removes temp files of ours and no others", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const files = yield* open(dir)
        const state = { routes: [route("a.com", 1), route("*.a.com", 1)], servers: [] }
        yield* files.reset(state)
        yield* write(join(dir, "wildcards.map"), ".old.com pool_2\n")
        yield* write(join(dir, ".domains.map.haproxy-mcp-0123456789ab"), "half")
        yield* write(join(dir, ".domains.map.swp"), "an editor's")
        const again = yield* open(dir)
        assert.deepStrictEqual((yield* again.reset(state)).written, [files.paths.wildcards])
        assert.deepStrictEqual(yield* lines(dir, "wildcards.map"), [".a.com pool_1"])
        assert.deepStrictEqual(yield* listing(dir), [".domains.map.swp", "domains.map", "pools.cfg", "wildcards.map"])
      }))

    it.effect("keeps foreign lines, lists their entries, and keeps mode and symbolic link", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        yield* Effect.promise(() => fs.mkdir(join(dir, "real")))
        yield* write(join(dir, "real", "d.map"), "# mine\nlegacy.com be_old\r\na.com pool_2\nl\xe4t.com be\n")
        yield* Effect.promise(() => fs.chmod(join(dir, "real", "d.map"), 0o640))
        yield* Effect.promise(() => fs.symlink("real/d.map", join(dir, "domains.map")))
        const files = yield* open(dir)
        const report = yield* files.reset({ routes: [route("a.com", 1)], servers: [] })
        assert.strictEqual(report.foreign, 2)
        assert.deepStrictEqual(yield* lines(dir, "real", "d.map"), [
          "# mine",
          "legacy.com be_old\r",
          "l\xe4t.com be",
          "a.com pool_1"
        ])
        assert.deepStrictEqual(yield* files.foreignEntry("domains", "legacy.com"), {
          map: "domains",
          key: "legacy.com",
          value: "be_old"
        })
        assert.isNull(yield* files.foreignEntry("domains", "a.com"))
        assert.strictEqual((yield* files.foreign).length, 2)
        const link = yield* Effect.promise(() => fs.lstat(join(dir, "domains.map")))
        assert.isTrue(link.isSymbolicLink())
        const target = yield* Effect.promise(() => fs.stat(join(dir, "real", "d.map")))
        assert.strictEqual(target.mode & 0o777, 0o640)
      }))
  })

  describe("the files", () => {
    it.effect("are the golden ones", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        yield* write(join(dir, "domains.map"), "# kept: mine\nlegacy.example.net be_legacy\n")
        const files = yield* open(dir)
        yield* files.reset({
          routes: [
            route("www.example.com", 1),
            route("example.com", 1),
            route("*.example.com", 1),
            route("*.eu.example.com", 2)
          ],
          servers: [
            server(1, 1, { weight: 10 as Weight }),
            server(1, 2, { ip: "2001:db8::5" as ServerIp, port: 8080 as Port }),
            server(2, 1, { state: "drain", weight: 3 as Weight }),
            server(2, 2, { state: "maint" })
          ]
        })
        for (const name of yield* listing(dir)) {
          assert.strictEqual(yield* text(dir, name), yield* text(golden, `haproxy-${name}`), name)
        }
      }))
  })

  describe("apply", () => {
    it.effect("touches only the files that edits change, and an inverse brings the bytes back", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const files = yield* open(dir)
        yield* files.reset({ routes: [route("a.com", 1)], servers: [server(1, 1)] })
        const inodes = () =>
          Promise.all(["domains.map", "wildcards.map", "pools.cfg"].map(async (f) => (await fs.stat(join(dir, f))).ino))
        const before = yield* text(dir, "domains.map")
        const one = yield* Effect.promise(inodes)
        const edits = [add("b.com", 2)]
        yield* files.apply(edits)
        const two = yield* Effect.promise(inodes)
        assert.deepStrictEqual(two.map((inode, i) => inode === one[i]), [false, true, true])
        yield* files.apply([put(server(2, 2, { state: "drain", weight: 7 as Weight }))])
        assert.include(
          yield* text(dir, "pools.cfg"),
          "server pool_2_2 10.0.0.5:80 weight 0 # drain; weight 7 when ready"
        )
        yield* files.apply(inverse(edits))
        assert.strictEqual(yield* text(dir, "domains.map"), before)
        yield* files.apply([])
        assert.deepStrictEqual((yield* Effect.promise(inodes))[1], one[1])
      }))

    it.effect("before the first reset fails and leaves the file alone", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        yield* write(join(dir, "domains.map"), "a.com pool_1\n")
        const files = yield* open(dir)
        const result = yield* Effect.result(files.apply([add("b.com", 1)]))
        assert.isTrue(Result.isFailure(result))
        assert.strictEqual(yield* text(dir, "domains.map"), "a.com pool_1\n")
      }))

    it.effect("keeps what someone else wrote into the file in between, but not into entries of ours", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const files = yield* open(dir, false)
        yield* files.reset({ routes: [route("a.com", 1)], servers: [] })
        yield* write(join(dir, "domains.map"), "# by hand\nx.com be_x\na.com pool_3\nstray.com pool_2\n")
        yield* files.apply([add("b.com", 2)])
        assert.deepStrictEqual(yield* lines(dir, "domains.map"), [
          "# by hand",
          "x.com be_x",
          "a.com pool_1",
          "b.com pool_2"
        ])
        assert.deepStrictEqual(yield* files.foreign, [{ map: "domains", key: "x.com", value: "be_x" }])
        assert.deepStrictEqual(yield* files.counts, { domains: 3, wildcards: 0 })
        // A file that was removed comes back, foreign entries included.
        yield* Effect.promise(() => fs.unlink(join(dir, "domains.map")))
        yield* files.apply([add("c.com", 2)])
        assert.deepStrictEqual(yield* lines(dir, "domains.map"), [
          "# by hand",
          "x.com be_x",
          "a.com pool_1",
          "b.com pool_2",
          "c.com pool_2"
        ])
      }))

    it.effect("callers that wait together share one write", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const files = yield* open(dir, false)
        yield* files.reset({ routes: [], servers: [] })
        const seen = new Set<bigint>()
        const done = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) =>
            Effect.gen(function*() {
              yield* files.apply([add(`n${i}.com`, 1)])
              const stat = yield* Effect.promise(() => fs.stat(join(dir, "domains.map"), { bigint: true }))
              seen.add(stat.mtimeNs)
              // Its own entry is there at its acknowledgement.
              assert.include(yield* text(dir, "domains.map"), `n${i}.com pool_1\n`)
            }),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(done.length, 200)
        assert.isBelow(seen.size, 5)
        assert.strictEqual((yield* files.counts).domains, 200)
      }))

    it.effect("one that is interrupted, or whose layer closes, leaves a whole file and no temp file", () =>
      Effect.gen(function*() {
        const dir = yield* folder
        const scope = yield* Scope.make()
        const files = yield* open(dir, false).pipe(Scope.provide(scope))
        yield* files.reset({ routes: [], servers: [] })
        const fibers = yield* Effect.forEach(
          [1, 2, 3],
          (i) => Effect.forkChild(Effect.result(files.apply([add(`n${i}.com`, 1)])), { startImmediately: true })
        )
        yield* Fiber.interrupt(fibers[0]!)
        yield* Scope.close(scope, Exit.void)
        const results = yield* Effect.forEach(fibers.slice(1), Fiber.join)
        const inFile = yield* lines(dir, "domains.map")
        results.forEach((result, i) => {
          assert.strictEqual(Result.isSuccess(result), inFile.includes(`n${i + 2}.com pool_1`))
        })
        assert.deepStrictEqual(yield* listing(dir), ["domains.map", "wildcards.map"])
        assert.isTrue(Result.isFailure(yield* Effect.result(files.apply([add("late.com", 1)]))))
      }))
  })
})
