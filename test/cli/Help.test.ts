/** What the command line answers without doing anything: help (golden files), version, refusals. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { version } from "../../src/Version.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"

const golden = (name: string) => join(import.meta.dirname, "..", "golden", `help${name}.txt`)
const run = (...args: ReadonlyArray<string>) => runNode(program, args, { limit: 60_000 })

describe("help", () => {
  it.each([
    "",
    "serve",
    "stdio",
    "config",
    "token",
    "token new",
    "token list",
    "token revoke",
    "token retire",
    "completion",
    "import",
    "export",
    "foreign",
    "foreign list",
    "foreign adopt",
    "certs",
    "certs list",
    "certs info",
    "certs issue",
    "certs renew",
    "certs renew-all",
    "certs delete",
    "certs load",
    "backup",
    "restore",
    "remote",
    "remote status",
    "remote list",
    "remote restore",
    "remote take-over",
    "changes",
    "audit",
    "audit verify",
    "audit export",
    "explain",
    "status",
    "doctor"
  ])(
    "of \"%s\" is the golden file (UPDATE_GOLDEN=1 refreshes it)",
    async (name) => {
      const { code, stderr, stdout } = await run(...(name === "" ? [] : name.split(" ")), "--help")
      assert.deepStrictEqual([code, stderr], [0, ""])
      const file = golden(name === "" ? "" : `-${name.replaceAll(" ", "-")}`)
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, stdout)
      assert.strictEqual(stdout, readFileSync(file, "utf8"))
      for (const line of stdout.split("\n")) assert.isAtMost(line.length, 100, line)
    }
  )

  it("has no colours when the output is no terminal", async () => {
    assert.notInclude(
      (await runNode(program, ["--help"], { env: { FORCE_COLOR: "1" }, limit: 60_000 })).stdout,
      "\u001b"
    )
  })
})

describe("the version", () => {
  it("is one line", async () => {
    assert.strictEqual((await run("--version")).stdout, `haproxy-mcp ${version}\n`)
  })
})

describe("a wrong command line", () => {
  it.each([
    { args: [], says: "Usage" },
    { args: ["serv"], says: "Unknown subcommand \"serv\" for \"haproxy-mcp\"; did you mean serve" },
    { args: ["serve", "--mcp-prot", "1"], says: "--mcp-prot in command haproxy-mcp serve; did you mean --mcp-port" },
    { args: ["serve", "--mcp-token", "hunter2"], says: "Unrecognized flag: --mcp-token" },
    { args: ["status", "extra"], says: "Unexpected positional argument: \"extra\"" },
    { args: ["config", "--mcp-port", "x"], says: "--mcp-port \"x\" must be a whole number" },
    { args: ["config", "--haproxy-port"], says: "--haproxy-port" }
  ])("$args ends with 2, says why on standard error and shows the way", async ({ args, says }) => {
    const { code, stderr, stdout } = await run(...args)
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.include(stderr, says)
    assert.include(stderr, "--help")
    assert.notInclude(stderr, "hunter2")
  })
})
