/** What the doctor says of the tokens of the database. */
import { assert, describe, it } from "@effect/vitest"
import { judgeTokens } from "../../src/doctor/StoredTokens.ts"
import type { Token } from "../../src/domain/Token.ts"

const now = Date.parse("2026-06-01T00:00:00Z")
const days = 86_400_000
const token = (id: string, over: Partial<Token> = {}): Token => ({
  id,
  hash: "",
  name: `n-${id}`,
  scopes: ["read"],
  domains: null,
  created: now - 1,
  expires: now + 30 * days,
  revokedAt: null,
  lastUsed: null,
  ...over
})
const said = (...tokens: ReadonlyArray<Token>) =>
  judgeTokens(tokens, now).map(({ found, level }) => `${level}: ${found}`).join("\n")

describe("stored tokens", () => {
  it("that never end, may do everything or are forgotten are named; ended ones count no more", () => {
    assert.strictEqual(said(), "")
    assert.strictEqual(said(token("a"), token("b", { revokedAt: 1 })), "ok: 1 good, 1 ended")
    assert.strictEqual(said(token("a", { expires: null })), "warning: 1 without an end: n-a (a)")
    assert.strictEqual(said(token("a", { expires: null, revokedAt: 1 }), token("b")), "ok: 1 good, 1 ended")
    const admins = ["a", "b", "c", "d"].map((id) => token(id, { scopes: ["admin"] }))
    assert.include(said(...admins.slice(0, 3)), "ok: ")
    assert.include(said(...admins), "warning: 4 may do everything: n-a (a), n-b (b)")
    assert.include(said(...admins.slice(0, 3), token("e", { scopes: ["admin"], domains: ["a.example"] })), "ok: ")
    assert.include(said(token("a", { created: now - 61 * days })), "warning: 1 not used for 60 days: n-a (a)")
    assert.include(said(token("a", { created: now - 61 * days, lastUsed: now - days })), "ok: ")
  })
})
