/** The one direction of imports is kept by lint. Here lint is asked about imports that must not be. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const root = join(import.meta.dirname, "../..")

const forbidden: ReadonlyArray<readonly [from: string, to: string]> = [
  ["domain", "../store/Store.ts"],
  ["domain", "../haproxy/RuntimeApi.ts"],
  ["domain", "../program/Domains.ts"],
  ["domain", "node:fs"],
  ["domain", "@effect/platform-node/NodeSocket"],
  ["store", "../haproxy/RuntimeApi.ts"],
  ["store", "../program/Domains.ts"],
  ["haproxy", "../store/Store.ts"],
  ["haproxy", "../program/Domains.ts"],
  ["program", "../mcp/Tool.ts"],
  ["program", "../cli/Commands.ts"],
  ["program", "node:net"],
  ["program", "node:sqlite"],
  ["program", "effect/sql/SqlClient"],
  ["mcp", "../store/Store.ts"],
  ["mcp", "../haproxy/RuntimeApi.ts"],
  ["mcp", "effect/sql/SqlClient"],
  ["cli", "../store/Store.ts"],
  ["mcp", "effect"]
]

const allowed: ReadonlyArray<readonly [from: string, to: string]> = [
  ["store", "../domain/Pool.ts"],
  ["haproxy", "../domain/Pool.ts"],
  ["program", "../store/Store.ts"],
  ["program", "../haproxy/RuntimeApi.ts"],
  ["mcp", "../program/Domains.ts"],
  ["mcp", "effect/Effect"]
]

/** Which of the imports lint refuses, in one run over a folder that has the project's rules and nothing else. */
const refused = (imports: ReadonlyArray<readonly [string, string]>): ReadonlyArray<boolean> => {
  const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-arrows-"))
  try {
    copyFileSync(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
    const files = imports.map(([from, to], index) => {
      const file = join("src", from, `zz${index}.ts`)
      mkdirSync(join(folder, dirname(file)), { recursive: true })
      writeFileSync(join(folder, file), `import * as Other from "${to}"\nconsole.log(Other)\n`)
      return file
    })
    const lint = spawnSync(join(root, "node_modules/.bin/oxlint"), ["--format", "unix", "src"], {
      cwd: folder,
      encoding: "utf8"
    })
    return files.map((file) =>
      lint.stdout.split("\n").some((line) => line.includes(file) && line.includes("no-restricted-imports"))
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe("the one direction of imports", () => {
  it("is refused the other way round", () => {
    const verdicts = refused(forbidden)
    assert.deepStrictEqual(forbidden.filter((_, index) => verdicts[index] !== true), [])
  })

  it("is allowed downwards", () => {
    const verdicts = refused(allowed)
    assert.deepStrictEqual(allowed.filter((_, index) => verdicts[index] === true), [])
  })
})
