/** A value passes only when its schema would leave it as it is; the schema itself is asked for comparison. */
import { it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { describe, expect } from "vitest"
import { plainTest } from "../../src/mcp/PlainValue.ts"
import { count, flag, serverStatus, text, textOrNull } from "../../src/mcp/tools/fields.ts"

const schema = Schema.Struct({
  summary: text("What is so."),
  total: count("How many."),
  implicit: Schema.optionalKey(flag("Or not.")),
  next: textOrNull("Where it goes on."),
  servers: Schema.Array(serverStatus)
})

const server = {
  slot: 1,
  name: "pool_1_1",
  addr: "10.0.0.1:80",
  weight: 1,
  state: "ready",
  status: null,
  check_status: "L4OK",
  current_sessions: 0
}
const answer = { summary: "One.", total: 1, implicit: true, next: null, servers: [server, server] }

/** What the schema makes of it, as the text that goes out; null when it refuses. */
const encoded = (value: unknown): string | null => {
  const result = Schema.encodeUnknownResult(schema)(value)
  return result._tag === "Success" ? JSON.stringify(result.success) : null
}

describe("a value that is its own encoding", () => {
  const isPlain = plainTest(schema)!
  const { implicit: _, ...withoutOptional } = answer

  it.each([answer, withoutOptional, { ...answer, servers: [] }])("passes, and encodes to itself (%#)", (value) => {
    expect(isPlain(value)).toBe(true)
    expect(encoded(value)).toBe(JSON.stringify(value))
  })

  const { total, ...withoutTotal } = answer
  const others: Readonly<Record<string, unknown>> = {
    "another order of keys": { ...withoutTotal, total },
    "a key too many": { ...answer, secret: "x" },
    "a key too many inside": { ...answer, servers: [{ ...server, secret: "x" }] },
    "a key too few": withoutTotal,
    "the last key missing": { summary: "One.", total: 1, next: null },
    "an optional key that is undefined": { ...answer, implicit: undefined },
    "a number out of its bounds": { ...answer, total: -1 },
    "a number that is not whole": { ...answer, total: 1.5 },
    "another type": { ...answer, next: 1 },
    "a word that is none of the words": { ...answer, servers: [{ ...server, state: "off" }] },
    "an object that is no array": { ...answer, servers: { 0: server } },
    "an array for the struct": [answer],
    "an object with a prototype of its own": Object.assign(Object.create({ toJSON: () => 1 }), answer),
    "null": null,
    "nothing": undefined
  }
  it.each(Object.keys(others))("does not pass with %s", (name) => {
    expect(isPlain(others[name])).toBe(false)
  })
})

describe("a schema that does more than test", () => {
  const schemas: Readonly<Record<string, Schema.Top>> = {
    "a transformation": Schema.Struct({ n: Schema.NumberFromString }),
    "a transformation in a list": Schema.Array(Schema.NumberFromString),
    "a union of structs": Schema.Union([
      Schema.Struct({ a: text("A") }),
      Schema.Struct({ a: text("A"), b: text("B") })
    ]),
    "exactly one of": Schema.Union([text("A"), Schema.Literal("a")], { mode: "oneOf" }),
    "keys of any name": Schema.Record(Schema.String, Schema.String),
    "anything": Schema.Struct({ any: Schema.Unknown })
  }
  it.each(Object.keys(schemas))("has no test: %s", (name) => {
    expect(plainTest(schemas[name]!)).toBeNull()
  })
})
