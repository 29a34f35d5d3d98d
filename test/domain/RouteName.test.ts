import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import { fromMapKey, mapKey, parseRouteName, type RouteName } from "../../src/domain/RouteName.ts"

const corpora = path.resolve(import.meta.dirname, "../../../shared/corpora")

const good = [
  "example.com",
  "a.b.c.example.com",
  "xn--mnchen-3ya.de",
  "1.example.com",
  "a-b.example.com",
  "*.example.com",
  "x".repeat(63) + ".com",
  "EXAMPLE.Com"
]

/** Each with the word its rule is told by. */
const bad: ReadonlyArray<readonly [string, RegExp]> = [
  ["", /empty/],
  ["com", /one label/],
  ["example.com.", /dot/],
  ["exa_mple.com", /underscore/],
  ["-a.example.com", /label/],
  ["a-.example.com", /label/],
  ["a..example.com", /empty label/],
  [".example.com", /empty label/],
  ["x".repeat(64) + ".com", /label/],
  [Array(50).fill("abcde").join(".") + ".com", /253/],
  ["1.2.3.4", /number/],
  ["example.123", /number/],
  ["example.0x7f", /number/],
  ["münchen.de", /ASCII/],
  ["xn--zzzzzzz999.de", /internationalised/],
  ["a.*.example.com", /wildcard/],
  ["**.example.com", /wildcard/],
  ["a*.example.com", /wildcard/],
  ["*.*.example.com", /wildcard/],
  ["*.com", /one label/],
  ["exam ple.com", /space/],
  ["example.com\n", /space|control/],
  ["example.com\u0000", /space|control/],
  ["http://example.com", /URL/],
  ["example.com:80", /port/],
  ["example.com/path", /port, path/],
  ["[::1]", /port/],
  ["example.com;show info", /space|label/],
  ["example.com;", /label/],
  ["#example.com", /port|label/],
  ["a\\b.com", /label/]
]

describe("RouteName", () => {
  it("takes canonical names and lower-cases", () => {
    for (const name of good) {
      const parsed = parseRouteName(name)
      assert(Result.isSuccess(parsed), name)
      assert.strictEqual(parsed.success, name.toLowerCase())
    }
  })

  it("refuses by rule, with a hint", () => {
    for (const [name, rule] of bad) {
      const parsed = parseRouteName(name)
      assert(Result.isFailure(parsed), JSON.stringify(name))
      assert.match(parsed.failure.rule, rule, JSON.stringify(name))
      assert.isAbove(parsed.failure.hint.length, 10)
    }
  })

  it("shows the punycode of a Unicode name", () => {
    const parsed = parseRouteName("münchen.de")
    assert(Result.isFailure(parsed))
    assert.include(parsed.failure.hint, "xn--mnchen-3ya.de")
  })

  it("keeps a wildcard under a key with a leading dot, and back", () => {
    assert.strictEqual(mapKey("*.example.com" as RouteName), ".example.com")
    assert.strictEqual(mapKey("example.com" as RouteName), "example.com")
    assert.deepStrictEqual(fromMapKey(".example.com"), Result.succeed("*.example.com" as RouteName))
  })

  /** Whatever text comes in: what is taken is safe in a map file and in a Runtime API command. */
  const safe = /^(?:\*\.)?[a-z0-9][a-z0-9.-]*[a-z0-9]$/
  const check = (text: string) => {
    const parsed = parseRouteName(text)
    if (Result.isSuccess(parsed)) {
      assert.match(parsed.success, safe)
      assert.isAtMost(parsed.success.length, 253)
      assert.deepStrictEqual(parseRouteName(parsed.success), parsed)
    }
  }

  it("never takes a text that is unsafe to write, generated", () => {
    const pieces = [
      "a",
      "b.c",
      ".",
      "-",
      "*",
      "xn--",
      "é",
      "\u0000",
      "\r\n",
      ";",
      " ",
      "\\",
      "<<",
      "#",
      "'",
      "\"",
      "$",
      "%0a",
      "com",
      "1",
      "_",
      "/",
      "@"
    ]
    let seed = 42
    const next = (bound: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return seed % bound
    }
    for (let i = 0; i < 20_000; i++) {
      let text = ""
      for (let n = 1 + next(6); n > 0; n--) text += pieces[next(pieces.length)]!
      check(text)
      check(`${text}.com`)
    }
  })

  it.skipIf(!fs.existsSync(corpora))("never takes a text that is unsafe to write, public corpora", () => {
    for (const text of JSON.parse(fs.readFileSync(path.join(corpora, "blns.json"), "utf8")) as Array<string>) {
      check(text)
    }
    for (const entry of JSON.parse(fs.readFileSync(path.join(corpora, "urltestdata.json"), "utf8")) as Array<unknown>) {
      if (typeof entry !== "object" || entry === null) continue
      for (const value of Object.values(entry)) if (typeof value === "string") check(value)
    }
  })
})
