import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { withToolTable } from "../../scripts/readme.ts"

describe("README.md", () => {
  it("has the tool table of the catalogue (node scripts/readme.ts writes it)", () => {
    const text = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8")
    assert.strictEqual(withToolTable(text), text)
  })
})
