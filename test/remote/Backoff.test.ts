/** The pauses between attempts, beside what sshd makes of them: its own arithmetic, for hours. */
import { assert, describe, it } from "@effect/vitest"
import * as Backoff from "../../src/remote/Backoff.ts"
import type { FailureKind } from "../../src/remote/Failure.ts"

/** Milliseconds, as OpenSSH 10.0p2 has them where sshd_config says nothing (srclimit.c, srclimit_penalise). */
const penalties = { noauth: 1_000, authfail: 5_000, min: 15_000 }

/** What one attempt costs at worst. Where only a fingerprint is known, a host is asked for each of its three keys. */
const costs: Readonly<Record<FailureKind, number>> = {
  network: penalties.noauth,
  "turned-away": 0,
  "host-key": 3 * penalties.noauth,
  "user-key": penalties.authfail,
  server: 3 * penalties.noauth
}

/** The most that is ever held against us while attempts fail one after the other for `hours`. */
const worst = (kinds: (attempt: number) => FailureKind, hours: number, random: () => number): number => {
  let now = 0
  let until = 0
  let most = 0
  for (let attempt = 1; now < hours * 3_600_000; attempt++) {
    const kind = kinds(attempt)
    until = Math.max(until, now) + costs[kind]
    most = Math.max(most, until - now)
    now += Backoff.wait(kind, attempt, random())
  }
  return most
}

describe("the pauses between attempts", () => {
  const quickest = () => 0
  it.each<readonly [what: string, kinds: (attempt: number) => FailureKind, most: number]>([
    ["handshakes that are cut", () => "network", 5_000],
    ["a refused key", () => "user-key", 5_000],
    ["a host's key that is not believed", () => "host-key", 3_000],
    ["a server that lacks something", () => "server", 3_000],
    ["a key that is refused after a bad start", (attempt) => attempt < 8 ? "network" : "user-key", 8_000],
    ["all of it in turns", (attempt) => (["network", "user-key", "host-key", "server"] as const)[attempt % 4]!, 8_000]
  ])("keep sshd's count of us below what it bears: %s", (_, kinds, most) => {
    assert.isBelow(worst(kinds, 3, quickest), penalties.min)
    assert.isAtMost(worst(kinds, 3, quickest), most)
    // It is counted at all.
    assert.isAtLeast(worst(kinds, 3, quickest), penalties.noauth)
  })

  it("are a minute for what does not go away, and ten seconds at most for what does", () => {
    for (let attempt = 1; attempt < 200; attempt++) {
      for (const random of [0, 0.5, 1]) {
        assert.isAtLeast(Backoff.wait("user-key", attempt, random), 60_000)
        assert.isAtMost(Backoff.wait("network", attempt, random), 10_000)
        assert.isAtMost(Backoff.wait("turned-away", attempt, random), 10_000)
        assert.isAtLeast(Backoff.wait("turned-away", attempt, random), 500)
      }
    }
    assert.isAtMost(Backoff.wait("network", 1, 1), 100)
  })
})

describe("the wait before the next attempt", () => {
  it("grows to ten seconds after failures of the network", () => {
    assert.deepStrictEqual([1, 2, 3, 4, 8, 9, 100].map((attempt) => Backoff.wait("network", attempt, 1)), [
      100,
      200,
      400,
      800,
      10_000,
      10_000,
      10_000
    ])
    assert.strictEqual(Backoff.wait("network", 1, 0), 50)
  })

  it.each(["host-key", "user-key", "server"] as const)("is a minute at least after %s", (kind) => {
    assert.isAtLeast(Backoff.wait(kind, 1, 0), 60_000)
    assert.isAtLeast(Backoff.wait(kind, 100, 0), 60_000)
  })
})
