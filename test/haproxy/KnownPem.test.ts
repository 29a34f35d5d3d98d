/** A file that was checked before is taken as it was, and only then. */
import { assert, describe, it } from "@effect/vitest"
import * as Redacted from "effect/Redacted"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import * as KnownPem from "../../src/haproxy/certificates/KnownPem.ts"
import { bundleOf, makeCertificate } from "../support/Certificates.ts"

const blocksOf = (text: string) => text.match(/-----BEGIN [\s\S]*?-----END [^\n]*\n/g)!
const withoutKey = ({ facts, lines }: CertificateBundle) => ({
  facts,
  chain: Redacted.value(lines).slice(0, Redacted.value(lines).findIndex((line) => line.includes("PRIVATE KEY")))
})

describe("A PEM that was checked before", () => {
  for (const chain of [0, 1, 3]) {
    it(`is taken with ${chain} issuers, as the whole check has it`, () => {
      const { text } = makeCertificate(["a.test"], { chain })
      const checked = bundleOf(text)
      const known = KnownPem.make()
      if (chain > 0) assert.isNull(known.rebuild(Redacted.make(text), checked.facts), "an order that nobody saw")
      known.learn(checked)
      const again = known.rebuild(Redacted.make(`text; around $it\r\n${text.replaceAll("\n", "\r\n")}`), checked.facts)!
      assert.deepStrictEqual(withoutKey(again), withoutKey(checked))
      assert.strictEqual(Redacted.value(bundleOf(Redacted.value(again.text)).text), Redacted.value(checked.text))
      // Another one of the same CA has the same issuers.
      const sibling = makeCertificate(["b.test"], { chain })
      if (chain > 0) assert.isNotNull(known.rebuild(Redacted.make(sibling.text), bundleOf(sibling.text).facts))
    })
  }

  it("is read anew when it is another certificate, has another order, no key, two, or more than it had", () => {
    const made = makeCertificate(["a.test"], { chain: 3 })
    const checked = bundleOf(made.text)
    const known = KnownPem.make()
    known.learn(checked)
    const [own, first, second, third, key] = blocksOf(made.text) as [string, string, string, string, string]
    const rebuilt = (...blocks: ReadonlyArray<string>) => known.rebuild(Redacted.make(blocks.join("")), checked.facts)
    assert.isNotNull(rebuilt(own, first, second, third, key))
    assert.isNotNull(rebuilt(key, own, first, second, third))
    const other = makeCertificate(["a.test"], { chain: 3 })
    for (
      const blocks of [
        [own, second, first, third, key],
        [first, own, second, third, key],
        [own, first, second, key],
        [own, first, second, third, third, key],
        [own, first, second, third],
        [own, first, second, third, key, other.key],
        [blocksOf(other.text)[0]!, first, second, third, key],
        [own, first, second, third, key.replaceAll("EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")],
        [made.text.slice(0, -40)],
        ["garbage\n"]
      ]
    ) {
      assert.isNull(rebuilt(...blocks))
    }
  })
})
