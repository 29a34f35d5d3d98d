/** Strict decoding of arguments: what is refused, and how the refusal reads. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { InvalidInput } from "../../src/domain/Errors.ts"
import { decodeArguments } from "../../src/mcp/Arguments.ts"
import { anySlot, domain, httpPort, ip, whole } from "../../src/mcp/tools/fields.ts"

const fields = {
  domain,
  weight: Schema.optionalKey(whole(0, 256, "w")),
  dry_run: Schema.optionalKey(Schema.Boolean),
  servers: Schema.optionalKey(
    Schema.Array(Schema.Struct({ ip, http_port: httpPort, slot: anySlot })).check(Schema.isBetweenLength(1, 10))
  )
}
const decode = decodeArguments(fields, ["servers"])
const run = (args: unknown) => Effect.runSync(Effect.result(decode(args)))
const refused = (args: unknown): InvalidInput => {
  const result = run(args)
  if (Result.isSuccess(result)) throw new Error(`${JSON.stringify(args)} was taken`)
  return result.failure
}
const taken = (args: unknown): unknown => Result.getOrThrow(run(args))

describe("arguments", () => {
  it("takes what fits, and adds nothing", () => {
    assert.deepStrictEqual(taken({ domain: "a.example" }), { domain: "a.example" })
    assert.deepStrictEqual(taken({ domain: "a.example", weight: 256 }), { domain: "a.example", weight: 256 })
  })

  it("takes null for an optional parameter as absent, and for a needed one as wrong", () => {
    assert.deepStrictEqual(taken({ domain: "a.example", weight: null, servers: null }), { domain: "a.example" })
    assert.strictEqual(refused({ domain: null }).field, "domain")
  })

  it("names the field and the rule", () => {
    const rows: ReadonlyArray<readonly [args: unknown, field: string | undefined, message: RegExp]> = [
      [{}, "domain", /^domain is missing/],
      [undefined, "domain", /^domain is missing/],
      [{ domain: 5 }, "domain", /^domain must be string/],
      [{ domain: "a", weight: 257 }, "weight", /^weight must be a value between 0 and 256/],
      [{ domain: "a", weight: 1.5 }, "weight", /^weight must be an integer/],
      [{ domain: "a", weight: "10" }, "weight", /^weight must be/],
      [{ domain: "a", weight: Number.POSITIVE_INFINITY }, "weight", /^weight must be/],
      [{ domain: "a", dry_run: "true" }, "dry_run", /^dry_run must be boolean/],
      [{ domain: "a", servers: [] }, "servers", /^servers must be a value with a length/],
      [{ domain: "a", servers: Array.from({ length: 11 }, () => ({ ip: "10.0.0.1" })) }, "servers", /length/],
      [{ domain: "a", servers: [{ ip: "10.0.0.1" }, {}] }, "servers[1].ip", /^servers\[1\]\.ip is missing/],
      [{ domain: "a", servers: [{ ip: "10.0.0.1", http_port: 0 }] }, "servers[0].http_port", /between 1 and 65535/],
      [{ domain: "a", servers: [{ ip: "10.0.0.1", port: 1 }] }, "servers[0].port", /is not a parameter/],
      [{ domain: "a", servers: {} }, "servers", /^servers must be array/],
      [[], undefined, /^The arguments must be an object/],
      ["x", undefined, /^The arguments must be an object/]
    ]
    for (const [args, field, message] of rows) {
      const error = refused(args)
      assert.strictEqual(error.field, field, JSON.stringify(args))
      assert.match(error.message, message)
      assert.isAbove(error.hint.length, 10)
    }
  })

  it("refuses unknown fields and names the nearest one", () => {
    const error = refused({ domian: "a.example" })
    assert.deepInclude(error, { field: "domian", hint: "Did you mean domain?" })
    assert.deepStrictEqual(error.validValues, Object.keys(fields))
    assert.strictEqual(refused({ domain: "a", completely_else: 1 }).field, "completely_else")
    assert.strictEqual(refused(JSON.parse("{\"domain\":\"a\",\"__proto__\":{\"weight\":1}}")).field, "__proto__")
    assert.strictEqual(refused({ domain: "a", constructor: 1 }).field, "constructor")
    // A hostile name cannot smuggle anything into a message.
    const hostile = refused({ domain: "a", [`x\n\u001b[31m${"y".repeat(5000)}`]: 1 })
    assert.match(hostile.message, /^x\?\?\[31my+ is not a parameter$/)
    assert.isBelow(hostile.message.length, 120)
  })

  it("takes a list as JSON text, up to 10 KB", () => {
    const servers = [{ ip: "10.0.0.1", http_port: 8080 }]
    assert.deepStrictEqual(taken({ domain: "a", servers: JSON.stringify(servers) }), { domain: "a", servers })
    assert.match(refused({ domain: "a", servers: "10.0.0.1" }).message, /not JSON/)
    assert.match(refused({ domain: "a", servers: "{}" }).message, /^servers must be array/)
    assert.match(refused({ domain: "a", servers: `[${" ".repeat(10_300)}]` }).message, /longer than 10 KB/)
    assert.strictEqual(refused({ domain: "[\"a\"]", servers: "[{}]" }).field, "servers[0].ip")
  })

  it("refuses anything where there are no parameters", () => {
    const none = decodeArguments({}, [])
    assert.deepStrictEqual(Effect.runSync(none({})), {})
    assert.deepStrictEqual(Effect.runSync(none(undefined)), {})
    assert.strictEqual(Effect.runSync(Effect.flip(none({ x: 1 }))).field, "x")
    assert.isUndefined(Effect.runSync(Effect.flip(none([]))).field)
  })
})
