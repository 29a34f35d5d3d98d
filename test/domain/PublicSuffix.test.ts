import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { domainToASCII } from "node:url"
import { make } from "../../src/domain/PublicSuffix.ts"
import type { DomainName } from "../../src/domain/RouteName.ts"

const list = path.resolve(import.meta.dirname, "../../../shared/corpora/test_psl.txt")
const name = (text: string) => text as DomainName

describe("PublicSuffix", () => {
  const rules = make(["it.com", ".example.test"])

  it("finds the registrable domain", () => {
    assert.strictEqual(rules.registrable(name("www.example.co.uk")), "example.co.uk")
    assert.strictEqual(rules.registrable(name("example.co.uk")), "example.co.uk")
    assert.isNull(rules.registrable(name("co.uk")))
    assert.strictEqual(rules.registrable(name("a.b.github.io")), "b.github.io")
    assert.isTrue(rules.isSuffix(name("github.io")))
  })

  it("adds the operator's own suffixes", () => {
    assert.strictEqual(rules.registrable(name("a.shop.it.com")), "shop.it.com")
    assert.isTrue(rules.isSuffix(name("it.com")))
    assert.strictEqual(rules.registrable(name("x.y.example.test")), "y.example.test")
    assert.strictEqual(make([]).registrable(name("shop.it.com")), make([]).registrable(name("a.shop.it.com")))
  })

  it.skipIf(!fs.existsSync(list))("agrees with the public suffix list's own checks", () => {
    const plain = make([])
    let checked = 0
    for (const line of fs.readFileSync(list, "utf8").split("\n")) {
      const match = /^checkPublicSuffix\('([^']*)', (?:'([^']*)'|null)\);/.exec(line)
      if (match === null) continue
      const host = domainToASCII(match[1]!.toLowerCase())
      // Names that no route can have: a leading dot, or one label.
      if (host === "" || host.startsWith(".") || !host.includes(".")) continue
      const want = match[2] === undefined ? null : domainToASCII(match[2].toLowerCase())
      assert.strictEqual(plain.registrable(name(host)), want, line)
      checked++
    }
    assert.isAbove(checked, 40)
  })
})
