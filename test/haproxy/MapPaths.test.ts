/** Which of HAProxy's maps is ours. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { MapEntry, MapInfo } from "../../src/haproxy/MapCommands.ts"
import { findMapPath, findMapPaths } from "../../src/haproxy/MapPaths.ts"

const limits = { pools: 10, slots: 3 }
const map = (path: string, entries = 0): MapInfo => ({ id: 0, path, currentVersion: 0, nextVersion: 0, entries })
const content: Readonly<Record<string, ReadonlyArray<MapEntry>>> = {
  "/in/domains.map": [{ key: "x", value: "elsewhere" }, { key: "a.test", value: "pool_3" }],
  "/other/domains.map": [{ key: "a", value: "blue" }, { key: "b", value: "pool_11" }],
  "/third/domains.map": [{ key: "b.test", value: "pool_10" }]
}
const find = (maps: ReadonlyArray<MapInfo>, configured: string | null = null) =>
  findMapPath(maps, "/out/domains.map", configured, limits, (path) => content[path] ?? [])
const found = (maps: ReadonlyArray<MapInfo>, configured: string | null = null) =>
  Result.match(find(maps, configured), { onSuccess: (path) => path, onFailure: (error) => error.message })

describe("the path of a map", () => {
  it("is the one that was configured, or an error that lists what there is", () => {
    assert.strictEqual(found([map("/a/b.map"), map("/out/domains.map")], "/a/b.map"), "/a/b.map")
    assert.match(found([map("/out/domains.map")], "/a/b.map"), /no map \/a\/b\.map: its maps are \/out\/domains\.map$/)
    assert.match(found([], "/a/b.map"), /has no maps at all/)
  })

  it("is exactly ours, whatever it holds", () => {
    assert.strictEqual(found([map("/in/domains.map", 2), map("/out/domains.map", 5)]), "/out/domains.map")
  })

  it("else is the one of the same name that leads to our pools, or that is empty", () => {
    assert.strictEqual(found([map("/in/domains.map", 2), map("/in/wildcards.map", 0)]), "/in/domains.map")
    assert.strictEqual(found([map("/other/domains.map", 2), map("/in/domains.map", 2)]), "/in/domains.map")
    assert.strictEqual(found([map("/new/domains.map"), map("/other/domains.map", 2)]), "/new/domains.map")
  })

  it("or the one that holds nothing but foreign entries of our file", () => {
    const named = [map("/other/domains.map", 2)]
    const withFile = (foreign: ReadonlyArray<MapEntry>) =>
      Result.isSuccess(
        findMapPath(named, "/out/domains.map", null, limits, (path) => content[path] ?? [], foreign)
      )
    const [a, b] = content["/other/domains.map"]!
    assert.isTrue(withFile([{ key: "more", value: "green" }, b!, a!]))
    assert.isFalse(withFile([a!]))
    assert.isFalse(withFile([a!, { ...b!, value: "pool_12" }]))
    assert.isFalse(withFile([]))
  })

  it("else is an error, never a guess", () => {
    assert.match(found([map("/in/other.map", 1)]), /does not use \/out\/domains\.map: its maps are \/in\/other\.map/)
    assert.match(found([map("/other/domains.map", 2)]), /may be another program's/)
    assert.match(found([map("/in/domains.map", 2), map("/third/domains.map", 1)]), /several maps named domains\.map/)
    assert.match(found([map("/in/domains.map", 2), map("/new/domains.map")]), /several maps/)
    // Not a suffix: another file name.
    assert.match(found([map("/in/my-domains.map", 2)]), /does not use/)
    assert.match(found([map("/in dir/domains.map")]), /cannot be written/)
    const many = found(Array.from({ length: 50 }, (_, i) => map(`/m/${i}.map`)))
    assert.match(many, /and 45 more$/)
  })

  it("reads a map only when nothing else decides", () =>
    Effect.runPromise(Effect.gen(function*() {
      const read: Array<string> = []
      const entriesOf = (path: string) =>
        Effect.sync(() => {
          read.push(path)
          return content[path] ?? []
        })
      const names = { domains: "/out/domains.map", wildcards: "/out/wildcards.map", runtimeMapFile: null }
      assert.deepStrictEqual(
        yield* findMapPaths([map("/out/domains.map", 9), map("/out/wildcards.map", 9)], names, limits, entriesOf),
        { domains: "/out/domains.map", wildcards: "/out/wildcards.map" }
      )
      assert.deepStrictEqual(
        yield* findMapPaths(
          [map("/x/d.map", 9), map("/x/wildcards.map", 9), map("/y/wildcards.map")],
          { ...names, runtimeMapFile: "/x/d.map" },
          limits,
          entriesOf
        ),
        { domains: "/x/d.map", wildcards: "/x/wildcards.map" }
      )
      assert.deepStrictEqual(read, [])
      const maps = [map("/in/domains.map", 2), map("/other/domains.map", 2), map("/in/wildcards.map")]
      assert.deepStrictEqual(yield* findMapPaths(maps, names, limits, entriesOf), {
        domains: "/in/domains.map",
        wildcards: "/in/wildcards.map"
      })
      assert.deepStrictEqual(read, ["/in/domains.map", "/other/domains.map"])
      const other = [map("/other/domains.map", 2), map("/in/wildcards.map")]
      assert.deepStrictEqual(
        yield* findMapPaths(
          other,
          names,
          limits,
          entriesOf,
          (kind) => Effect.succeed(kind === "domains" ? content["/other/domains.map"]! : [])
        ),
        { domains: "/other/domains.map", wildcards: "/in/wildcards.map" }
      )
      const error = yield* Effect.flip(findMapPaths([], names, limits, entriesOf))
      assert.strictEqual(error.code, "CONFIG_INVALID")
    })))
})
