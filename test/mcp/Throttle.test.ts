/** Wrong tokens by source: how many, for how long, and in how much memory. */
import { assert, describe, it } from "@effect/vitest"
import { withAllRights } from "../../src/domain/Principal.ts"
import { allTools } from "../../src/mcp/Catalogue.ts"
import { type GateOptions, makeGate, parseAddress, type RequestFacts } from "../../src/mcp/Gate.ts"
import { burst, makeThrottle, refill, sourceOf } from "../../src/mcp/Throttle.ts"
import { refusalOf, unrestricted, visible } from "../../src/mcp/Visible.ts"
import { grantOf, tokenGate } from "./harness.ts"

const stored = `hmcp_aaaaaaaaaa_${"s".repeat(43)}`

const clocked = () => {
  let now = 1_000
  const options: GateOptions = {
    ...tokenGate,
    trustedProxies: ["10.9.0.1"],
    tokens: {
      find: (given) => given === "right" || given === stored ? grantOf(withAllRights("token", given)) : "wrong",
      any: () => true
    },
    now: () => now
  }
  const gate = makeGate(options)
  const ask = (token: string | null, peer = "203.0.113.9", forwardedFor: string | null = null) => {
    const facts: RequestFacts = {
      rawHeaders: [
        "Host",
        "localhost",
        ...(token === null ? [] : ["Authorization", `Bearer ${token}`]),
        ...(forwardedFor === null ? [] : ["X-Forwarded-For", forwardedFor])
      ],
      method: "POST",
      peer,
      local: "198.51.100.1"
    }
    const decision = gate(facts)
    return decision._tag === "refused" ? decision.status : decision._tag
  }
  return { ask, gate, pass: (ms: number) => (now += ms) }
}

describe("wrong tokens", () => {
  it("are few per source, and then it waits seconds", () => {
    const { ask, pass } = clocked()
    for (let n = 0; n < burst; n++) assert.strictEqual(ask(`guess-${n}`), 401)
    assert.strictEqual(ask("guess"), 429)
    // Nothing is learnt from a hit either.
    assert.strictEqual(ask("right"), 429)
    assert.strictEqual(ask("right", "203.0.113.10"), "allowed")
    pass(refill)
    assert.strictEqual(ask("right"), "allowed")
    assert.strictEqual(ask("guess"), 401)
    assert.strictEqual(ask("guess"), 429)
    pass(burst * refill)
    for (let n = 0; n < burst; n++) assert.strictEqual(ask("guess"), 401)
  })

  it("keep nobody out for longer than one try takes, however long they go on", () => {
    const { ask, pass } = clocked()
    for (let n = 0; n < 1_000; n++) ask("guess")
    pass(refill)
    assert.strictEqual(ask("right"), "allowed")
  })

  it("never keep a stored token out, which cannot be guessed", () => {
    const { ask } = clocked()
    for (let n = 0; n < 100; n++) ask("guess")
    assert.strictEqual(ask(stored), "allowed")
    assert.strictEqual(ask(`hmcp_aaaaaaaaaa_${"x".repeat(43)}`), 429)
  })

  it("are not counted where none was shown, and say when to come again", () => {
    const { ask, gate } = clocked()
    for (let n = 0; n < 100; n++) assert.strictEqual(ask(null), 401)
    assert.strictEqual(ask("right"), "allowed")
    for (let n = 0; n < 100; n++) ask("guess")
    const decision = gate({
      rawHeaders: ["Host", "localhost", "Authorization", "Bearer guess"],
      method: "POST",
      peer: "203.0.113.9",
      local: null
    })
    assert.deepInclude(decision, { status: 429, reason: "too_many", retryAfter: refill / 1000 })
  })

  it("are the client's behind a trusted proxy, and the peer's behind any other", () => {
    const { ask } = clocked()
    for (let n = 0; n <= burst; n++) ask("guess", "10.9.0.1", "198.51.100.7")
    assert.strictEqual(ask("right", "10.9.0.1", "198.51.100.7"), 429)
    assert.strictEqual(ask("right", "10.9.0.1", "198.51.100.8"), "allowed")
    for (let n = 0; n <= burst; n++) ask("guess", "192.0.2.1", `198.51.100.${n}`)
    assert.strictEqual(ask("right", "192.0.2.1", "198.51.100.99"), 429)
  })

  it("are none while the database is not read: the machine itself may look, everybody else comes again", () => {
    const gate = makeGate({
      ...tokenGate,
      open: "local",
      tokens: { find: (given) => given.startsWith("hmcp_") ? "unready" : "wrong", any: () => null }
    })
    const ask = (token: string | null, peer: string) =>
      gate({
        rawHeaders: ["Host", "localhost", ...(token === null ? [] : ["Authorization", `Bearer ${token}`])],
        method: "POST",
        peer,
        local: "127.0.0.1"
      })
    const here = ask(null, "127.0.0.1")
    assert(here._tag === "allowed")
    const { principal } = here.grant
    assert.deepInclude(principal, { scopes: ["read"], undecided: true })
    // Clients keep the list of tools: it is the whole one. What is more than a look is to be tried again.
    assert.deepStrictEqual(visible(principal, unrestricted), visible(withAllRights("open", "here"), unrestricted))
    for (const tool of visible(principal, unrestricted)) {
      assert.strictEqual(
        refusalOf(tool, principal, unrestricted)?.code,
        tool.scope === "read" ? undefined : "BUSY",
        tool.name
      )
    }
    assert.strictEqual(refusalOf(allTools[0]!, principal, { ...unrestricted, allow: [[]] })?.code, "FORBIDDEN")
    for (let n = 0; n < 3 * burst; n++) {
      assert.deepInclude(ask(stored, "203.0.113.9"), { status: 503, reason: "unready", retryAfter: 1 })
    }
    assert.deepInclude(ask(null, "203.0.113.9"), { status: 401 })
  })

  it("are remembered of so many sources and no more", () => {
    const throttle = makeThrottle(() => 0)
    for (let n = 0; n < 100_000; n++) throttle.failed(`source-${n}`)
    assert.isAtMost(throttle.size(), 4_096)
    const source = (text: string) => sourceOf(parseAddress(text))
    assert.strictEqual(source("2001:db8:1:2::5"), source("2001:db8:1:2:ffff::1"))
    assert.notStrictEqual(source("2001:db8:1:2::5"), source("2001:db8:1:3::5"))
    assert.strictEqual(source("2001:db8::1"), "2001:db8:0:0::/64")
    assert.strictEqual(source("::ffff:192.0.2.1"), "192.0.2.1")
    assert.strictEqual(source("::1"), "0:0:0:0::/64")
  })
})
