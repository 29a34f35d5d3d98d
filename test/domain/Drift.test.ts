import { assert, describe, it } from "@effect/vitest"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import { type Edit, inverse, type Route } from "../../src/domain/Change.ts"
import { homeless, mapDrift, slotDrift } from "../../src/domain/Drift.ts"
import { defaultWeight, type PoolNumber, type Server, type SlotNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"

const limits = { pools: 10, slots: 3 }
const route = (name: string, pool: number, seq = 1): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq
})
const server = (pool: number, slot: number, ip: string): Server => ({
  pool: pool as PoolNumber,
  slot: slot as SlotNumber,
  ip: ip as ServerIp,
  port: 80 as Port,
  weight: defaultWeight,
  state: "ready"
})
const kinds = (repairs: ReadonlyArray<ReadonlyArray<Edit>>) =>
  repairs.map((edits) =>
    edits.map((edit) =>
      `${edit.before === null ? "+" : edit.after === null ? "-" : "~"}${edit.kind === "route" ? edit.name : ""}`
    ).join(" ")
  )

describe("Drift of a map", () => {
  it("is nothing when the map holds the routes", () => {
    const drift = mapDrift("domains", [route("a.com", 1)], [{ key: "a.com", value: "pool_1" }], limits)
    assert.deepStrictEqual(drift.repairs, [])
  })

  it("adds, repoints and removes what is ours", () => {
    const drift = mapDrift(
      "domains",
      [route("a.com", 1), route("b.com", 2)],
      [{ key: "b.com", value: "pool_3" }, { key: "c.com", value: "pool_4" }],
      limits
    )
    assert.deepStrictEqual(kinds(drift.repairs), ["-c.com", "+a.com", "~b.com"])
  })

  it("removes a duplicate whole and adds it once, also when both say the same", () => {
    const drift = mapDrift(
      "domains",
      [route("a.com", 1)],
      [{ key: "a.com", value: "pool_1" }, { key: "a.com", value: "pool_1" }],
      limits
    )
    assert.deepStrictEqual(kinds(drift.repairs), ["-a.com +a.com"])
  })

  it("counts a key that no rule of ours allows as foreign, whatever it leads to", () => {
    const observed = ["Shop.com", "bad_name.com", ".wild.com", "localhost", "10.0.0.1"].map((key) => ({
      key,
      value: "pool_2"
    }))
    const drift = mapDrift("domains", [], observed, limits)
    assert.deepStrictEqual(drift.repairs, [])
    assert.deepStrictEqual([...drift.foreign.keys()], observed.map(({ key }) => key))
    assert.deepStrictEqual(kinds(mapDrift("wildcards", [], [observed[2]!], limits).repairs), ["-*.wild.com"])
  })

  it("leaves foreign entries and their keys alone, and says when one is in the way", () => {
    const drift = mapDrift(
      "domains",
      [route("a.com", 1), route("b.com", 2)],
      [
        { key: "a.com", value: "be_static" },
        { key: "x.com", value: "be_static" },
        { key: "x.com", value: "pool_11" },
        { key: "b.com", value: "pool_2" }
      ],
      limits
    )
    assert.deepStrictEqual(drift.repairs, [])
    assert.deepStrictEqual(drift.shadowed, ["a.com"])
    assert.deepStrictEqual([...drift.foreign], [["a.com", "be_static"], ["x.com", "be_static"]])
  })
})

describe("Drift of slots", () => {
  const empty = (pool: number, slot: number) => ({
    pool: pool as PoolNumber,
    slot: slot as SlotNumber,
    ip: "192.0.2.1",
    port: 1,
    weight: 1,
    state: "maint" as const
  })

  it("is nothing for placeholders and for servers as desired", () => {
    assert.deepStrictEqual(slotDrift([server(1, 1, "10.0.0.1")], [server(1, 1, "10.0.0.1"), empty(1, 2)]), [])
  })

  it("sets what is missing and clears what is left over, pool by pool", () => {
    const drift = slotDrift([server(1, 1, "10.0.0.1")], [empty(1, 1), server(1, 2, "10.0.0.9"), empty(2, 1)])
    assert.strictEqual(drift.length, 1)
    assert.deepStrictEqual(drift[0]!.map((edit) => edit.after === null ? "clear" : "set"), ["set", "clear"])
  })

  it("names servers that HAProxy has no slot for", () => {
    assert.strictEqual(homeless([server(1, 1, "10.0.0.1"), server(9, 1, "10.0.0.2")], [empty(1, 1)]).length, 1)
  })
})

describe("inverse", () => {
  it("swaps before and after in reverse order, and is its own inverse", () => {
    const edits: ReadonlyArray<Edit> = [
      { kind: "owner", pool: 1 as PoolNumber, before: null, after: "a.com" as RouteName },
      { kind: "route", name: "a.com" as RouteName, before: null, after: route("a.com", 1) }
    ]
    assert.deepStrictEqual(inverse(inverse(edits)), edits)
    assert.deepStrictEqual(inverse(edits).map((edit) => edit.after), [null, null])
  })
})
