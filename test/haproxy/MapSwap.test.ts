/** How entries become payloads that HAProxy takes. */
import { assert, describe, it } from "@effect/vitest"
import { encode } from "../../src/haproxy/Cli.ts"
import * as Maps from "../../src/haproxy/MapCommands.ts"
import { mapPayloads } from "../../src/haproxy/MapSwap.ts"

describe("payloads of a map", () => {
  it("hold every entry once, in order, each within the limit", () => {
    const entries = Array.from({ length: 5_000 }, (_, i) => ({
      key: `${"x".repeat(i % 200)}h${i}.test`,
      value: `pool_${i}`
    }))
    for (const maxPayload of [1_000, 4_096, 12 * 1024]) {
      const payloads = mapPayloads(entries, maxPayload)
      assert.deepStrictEqual(payloads.flat(), entries.map((entry) => `${entry.key} ${entry.value}`))
      for (const lines of payloads) encode(Maps.addVersion("/m", 1, lines), { maxLine: 100, maxPayload })
      // Not one line a payload: that would be slow.
      assert.isBelow(payloads.length, 5_000 * 120 / (maxPayload - 300) + 2)
    }
    assert.deepStrictEqual(mapPayloads([], 1_000), [])
  })

  it("never hold an entry whose value would swallow the next line", () => {
    assert.throws(() => mapPayloads([{ key: "a.test", value: "" }], 1_000))
    assert.throws(() => mapPayloads([{ key: "", value: "pool_1" }], 1_000))
  })
})
