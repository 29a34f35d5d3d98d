/** Results are safe to show: nothing invisible in a text, no endless text, and both forms the same document. */
import { assert, describe, it } from "@effect/vitest"
import { InvalidInput } from "../../src/domain/Errors.ts"
import { failure, longestText, success } from "../../src/mcp/ToolResult.ts"

const text = (value: string) => (success({ summary: value }).structuredContent as { readonly summary: string }).summary

describe("results", () => {
  it("strip control and invisible characters", () => {
    assert.strictEqual(text("a\u0000b\u001b[31mc\u007f\u0085d"), "ab[31mcd")
    assert.strictEqual(text("a\r\n\tb"), "a b")
    assert.strictEqual(text("pay\u202Epal\u200b\u2066x\ufeff\u00ad"), "paypalx")
    assert.strictEqual(text("tag\u{e0041}\u{e0042}s"), "tags")
    assert.strictEqual(text("Grüße, 東京 🚀 – “ok”"), "Grüße, 東京 🚀 – “ok”")
  })

  it("reach into lists and objects, and leave clean answers as they are", () => {
    const answer = { summary: "s", list: [{ name: "a" }, { name: "b\u0007" }], n: 1, none: null }
    assert.deepStrictEqual(success(answer).structuredContent, {
      summary: "s",
      list: [{ name: "a" }, { name: "b" }],
      n: 1,
      none: null
    })
    const clean = { summary: "s", list: [{ name: "a" }] }
    assert.strictEqual(success(clean).structuredContent, clean)
  })

  it("cut texts that have no end", () => {
    assert.strictEqual(text("x".repeat(1_000_000)).length, longestText + 1)
  })

  it("are the same document as text", () => {
    const error = new InvalidInput({ message: "m\u001b", hint: "h", field: "f", validValues: ["v"] })
    const result = failure(error)
    assert.strictEqual(result.text, JSON.stringify(result.structuredContent))
    assert.deepStrictEqual(JSON.parse(result.text), {
      error: { code: "INVALID_INPUT", message: "m", retryable: false, field: "f", valid_values: ["v"], hint: "h" }
    })
    assert.strictEqual(result.code, "INVALID_INPUT")
  })
})
