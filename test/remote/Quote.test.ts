import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as Backoff from "../../src/remote/Backoff.ts"
import { bounded, quote } from "../../src/remote/Quote.ts"

const words = ["", "a b", "it's", "$HOME `id` $(id) ${x}", "\\", "\"", "a\\'b", "*", "~", "-n", "é 漢", "#", "!x", "\t"]

describe("words for a shell", () => {
  it("arrive as they are", () => {
    const { stdout } = spawnSync("/bin/sh", ["-c", quote(["printf", "%s\\n", ...words])], { encoding: "utf8" })
    assert.strictEqual(stdout, words.map((word) => `${word}\n`).join(""))
  })

  it.each(["a\nb", "a\0b", "a\rb"])("hold no line end and no NUL", (word) => {
    assert.throws(() => quote(["echo", word]), TypeError)
  })

  it("are at least one", () => {
    assert.throws(() => quote([]), TypeError)
  })

  it("arrive so below the time limit as well, which ends them", () => {
    const run = (line: string) => spawnSync("/bin/sh", ["-c", line], { encoding: "utf8" })
    assert.strictEqual(run(bounded(["printf", "%s|", ...words], 5)).stdout, words.map((word) => `${word}|`).join(""))
    assert.strictEqual(run(bounded(["sleep", "30"], 0.1)).status, 124)
    assert.strictEqual(
      spawnSync("/bin/sh", ["-c", bounded(["/bin/echo", "x"], 5)], { encoding: "utf8", env: { PATH: "/none" } }).stdout,
      "x\n"
    )
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
