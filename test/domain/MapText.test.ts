import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MapChunks from "../../src/domain/MapChunks.ts"
import * as MapText from "../../src/domain/MapText.ts"

const limits = { pools: 100, slots: 10 }
const text = (map: MapText.MapText) => Buffer.concat([...MapText.bytes(map)]).toString("latin1")
const read = (kind: MapText.MapTextKind, file: string, own: ReadonlyArray<readonly [string, string]> = []) =>
  MapText.withForeign(MapText.withOwn(MapText.empty(kind, limits), own), Buffer.from(file, "latin1"))
const lines = (map: MapText.MapText) => text(map).split("\n").slice(2, -1)
const foreign = (map: MapText.MapText) => map.foreign.flatMap((line) => line.entry === null ? [] : [line.entry])

describe("the foreign lines of a map file", () => {
  it("are read as HAProxy reads them, and kept byte for byte", () => {
    const file = [
      "# my own comment",
      "  lead.com\tbe_a \t\r",
      " #odd value",
      "novalue.com",
      "crlf.com be_b\r",
      "words.com pool_5 # not a comment for HAProxy",
      "lat\xe9.com be_c",
      "mid.com be_d\rjunk",
      "beyond.com pool_101",
      "under_score.com pool_3",
      "UPPER.com pool_3",
      "last.com be_e"
    ]
    const map = read("domains", file.join("\n"))
    assert.deepStrictEqual(lines(map), file)
    assert.deepStrictEqual(foreign(map), [
      { key: "lead.com", value: "be_a" },
      { key: "#odd", value: "value" },
      { key: "novalue.com", value: "" },
      { key: "crlf.com", value: "be_b" },
      { key: "words.com", value: "pool_5 # not a comment for HAProxy" },
      { key: "lat\xe9.com", value: "be_c" },
      { key: "mid.com", value: "be_d" },
      { key: "beyond.com", value: "pool_101" },
      { key: "under_score.com", value: "pool_3" },
      { key: "UPPER.com", value: "pool_3" },
      { key: "last.com", value: "be_e" }
    ])
    assert.strictEqual(MapText.count(map), 11)
  })

  it("do not include entries of ours, and ours of memory replace those of the file", () => {
    const map = read("domains", "# shops\na.com pool_1\n\nb.com pool_2\n\n\n# ends\nx.com be\n\n\ny.com be\n", [
      ["c.com", "pool_9"],
      ["a.com", "pool_7"]
    ])
    assert.deepStrictEqual(lines(map), [
      "# shops",
      "# ends",
      "x.com be",
      "",
      "y.com be",
      "a.com pool_7",
      "c.com pool_9"
    ])
  })

  it("stand behind ours where both have a key, because HAProxy takes the first", () => {
    const map = read("domains", "a.com be\n# note\nz.com be\na.com be2\n", [["a.com", "pool_1"], ["b.com", "pool_2"]])
    assert.deepStrictEqual(lines(map), ["# note", "z.com be", "a.com pool_1", "b.com pool_2", "a.com be", "a.com be2"])
    assert.strictEqual(map.foreignKeys.get("a.com"), "be")
    const without = MapText.edit(map, new Map([["a.com", null]]))
    assert.deepStrictEqual(lines(without), ["a.com be", "# note", "z.com be", "a.com be2", "b.com pool_2"])
    assert.strictEqual(text(MapText.edit(without, new Map([["a.com", "pool_1"]]))), text(map))
  })

  it("a wildcard is no entry of domains.map, nor a domain one of wildcards.map", () => {
    assert.deepStrictEqual(foreign(read("domains", ".a.com pool_1\na.com pool_1\n")), [
      { key: ".a.com", value: "pool_1" }
    ])
    assert.deepStrictEqual(foreign(read("wildcards", ".a.com pool_1\na.com pool_1\n*.a.com pool_1\n")), [
      { key: "a.com", value: "pool_1" },
      { key: "*.a.com", value: "pool_1" }
    ])
  })
})

describe("our entries", () => {
  it("wildcards with more labels come first", () => {
    const own = [".b.com", ".a.b.com", ".a.com", ".x.y.z.com"].map((key) => [key, "pool_1"] as const)
    assert.deepStrictEqual(lines(MapText.withOwn(MapText.empty("wildcards", limits), own)), [
      ".x.y.z.com pool_1",
      ".a.b.com pool_1",
      ".a.com pool_1",
      ".b.com pool_1"
    ])
  })

  it("an edit that changes nothing answers the same object", () => {
    const map = MapText.withOwn(MapText.empty("domains", limits), [["a.com", "pool_1"]])
    assert.strictEqual(MapText.edit(map, new Map([["a.com", "pool_1"], ["b.com", null]])), map)
  })

  it("one edit of 100,000 entries makes one new piece", () => {
    const own = Array.from({ length: 100_000 }, (_, i) => [`host-${i}.example.com`, `pool_${i % 100 + 1}`] as const)
    const map = MapText.withOwn(MapText.empty("domains", limits), own)
    const before = new Set(MapText.bytes(map))
    const after = MapText.bytes(MapText.edit(map, new Map([["host-5000x.example.com", "pool_1"]])))
    assert.strictEqual(after.filter((piece) => !before.has(piece)).length, 1)
    assert.isTrue(after.every((piece) => piece.length < 64 * 1024))
  })
})

/** Runs of names, long enough that pieces split and join. */
const Steps = Schema.Array(Schema.Struct({
  from: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1500 })),
  count: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 700 })),
  deep: Schema.Boolean,
  pool: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
}))

const foreignFile = Arbitrary.array(
  Arbitrary.schema(Schema.Literals([
    "# comment",
    "",
    "  ",
    "\r",
    "n7.com be_x",
    "n8.com be_y\r",
    "n9.com pool_3",
    ".a.n9.com pool_4",
    ".n3.com be_z",
    "lonely",
    "\xff\xfe be"
  ])),
  { minLength: 0, maxLength: 12 }
)

describe.each(["domains", "wildcards"] as const)("%s: the text", (kind) => {
  const dot = kind === "wildcards" ? "." : ""
  it.effect.prop(
    "depends on the entries alone, whatever the history, and reads back as it was written",
    [Arbitrary.schema(Steps), foreignFile],
    ([steps, file]) =>
      Effect.sync(() => {
        const model = new Map<string, string>()
        const input = Buffer.from(file.join("\n"), "latin1")
        let map = MapText.withForeign(MapText.empty(kind, limits), input)
        // Enough entries that pieces split and join.
        const seeded = Array.from({ length: 1200 }, (_, i) => [`${dot}n${i}.com`, "pool_1"] as const)
        for (const [key, value] of seeded) model.set(key, value)
        map = MapText.edit(map, model)
        for (const step of steps) {
          const changes = new Map<string, string | null>()
          for (let i = step.from; i < step.from + step.count; i++) {
            changes.set(`${dot}${step.deep ? "a." : ""}n${i}.com`, step.pool === null ? null : `pool_${step.pool}`)
          }
          map = MapText.edit(map, changes)
          for (const [key, value] of changes) {
            if (value === null) model.delete(key)
            else model.set(key, value)
          }
        }
        const fresh = MapText.withOwn(MapText.withForeign(MapText.empty(kind, limits), input), [...model])
        assert.strictEqual(text(map), text(fresh))
        assert.strictEqual(map.own.size, model.size)
        for (const [key, value] of model) {
          if (key.length % 3 === 0) assert.strictEqual(MapChunks.get(map.own, key), value)
        }
        const again = MapText.withForeign(map, Buffer.from(text(map), "latin1"))
        const parsed = MapText.withOwn(
          MapText.withForeign(MapText.empty(kind, limits), Buffer.from(text(map), "latin1")),
          [...model]
        )
        assert.strictEqual(text(again), text(parsed))
        assert.strictEqual(text(MapText.withForeign(again, Buffer.from(text(again), "latin1"))), text(again))
      })
  )
})
