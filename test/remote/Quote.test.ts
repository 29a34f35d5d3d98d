import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
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
