/** Files that are written before their time: nothing is in place before `apply`, and nothing is left behind. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Edit } from "../../src/domain/Change.ts"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { becomes } from "../support/Poll.ts"

const add = (name: string, pool: number): Edit => ({
  kind: "route",
  name: name as RouteName,
  before: null,
  after: { name: name as RouteName, pool: pool as PoolNumber, implicit: false, seq: 1 }
})

const open = Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.promise(() => fs.mkdtemp(join(tmpdir(), "map-files-staged-"))),
    (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
  )
  const layer = MapFiles.layer({ domains: join(dir, "domains.map"), limits: { pools: 3, slots: 2 } })
  const files = yield* Effect.provide(MapFiles, yield* Layer.build(layer))
  yield* files.reset({ routes: [], servers: [] })
  const text = Effect.promise(() => fs.readFile(files.paths.domains, "latin1"))
  return { dir, files, text }
})

const listing = (dir: string) => Effect.promise(async () => (await fs.readdir(dir)).sort())
const calm = ["domains.map", "wildcards.map"]

/** What is thrown away goes a moment later. */
const untilCalm = (dir: string) =>
  Effect.promise(() =>
    becomes("no temp file is left", async () => (await fs.readdir(dir)).sort().join() === calm.join())
  )

describe("staged edits", () => {
  it.effect("lie beside the file until they are applied, in the very bytes", () =>
    Effect.gen(function*() {
      const { dir, files, text } = yield* open
      const edits = [add("a.com", 1)]
      const before = yield* text
      yield* files.stage(edits)
      const temps = (yield* listing(dir)).filter((name) => name.startsWith("."))
      assert.lengthOf(temps, 1)
      assert.strictEqual(yield* text, before)
      const { ino } = yield* Effect.promise(() => fs.stat(join(dir, temps[0]!)))
      yield* files.apply([...edits])
      assert.include(yield* text, "a.com pool_1\n")
      assert.strictEqual((yield* Effect.promise(() => fs.stat(files.paths.domains))).ino, ino)
      assert.deepStrictEqual(yield* listing(dir), calm)
    }))

  it.effect("are thrown away when others are applied, when they are not wanted, and by the next ones", () =>
    Effect.gen(function*() {
      const { dir, files, text } = yield* open
      yield* files.stage([add("a.com", 1)])
      yield* files.stage([add("b.com", 2)])
      yield* files.apply([add("b.com", 3)])
      assert.include(yield* text, "b.com pool_3\n")
      assert.notInclude(yield* text, "a.com")
      yield* untilCalm(dir)
      yield* files.stage([add("c.com", 1)])
      yield* files.unstage
      yield* untilCalm(dir)
      yield* files.stage([add("d.com", 1)])
      yield* files.reset({ routes: [], servers: [] })
      yield* untilCalm(dir)
      assert.notMatch(yield* text, /^[a-d]\.com/m)
    }))

  it.effect("give way to what somebody wrote meanwhile", () =>
    Effect.gen(function*() {
      const { dir, files, text } = yield* open
      const edits = [add("a.com", 1)]
      yield* files.stage(edits)
      yield* Effect.promise(() => fs.appendFile(files.paths.domains, "other.com legacy\n"))
      yield* files.apply(edits)
      assert.include(yield* text, "a.com pool_1\n")
      assert.include(yield* text, "other.com legacy\n")
      yield* untilCalm(dir)
    }))

  it.effect("cost only the head start when their folder is not writable yet", () =>
    Effect.gen(function*() {
      const { dir, files, text } = yield* open
      const edits = [add("a.com", 1)]
      const away = `${dir}.away`
      yield* Effect.promise(() => fs.rename(dir, away))
      yield* files.stage(edits)
      yield* Effect.promise(() => fs.rename(away, dir))
      yield* files.apply(edits)
      assert.include(yield* text, "a.com pool_1\n")
      yield* untilCalm(dir)
    }))
})
