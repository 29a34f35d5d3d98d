import { execFileSync } from "node:child_process"
import { describe, expect, it } from "vitest"
import { cheatSheet, type CheatSheetFacts, shellWord } from "../../scripts/demo/CheatSheet.ts"

const facts: CheatSheetFacts = {
  repository: "/home/ann/it's here",
  mcpUrl: "http://127.0.0.1:8100/mcp",
  token: "t0ken",
  httpAddress: "127.0.0.1:8180",
  node: "/usr/bin/node",
  database: "/home/ann/it's here/.demo/data/haproxy_mcp.db",
  folder: "/home/ann/it's here/.demo",
  site: "shop.example.com",
  secure: { site: "example.net", port: 8543, root: "/home/ann/it's here/.demo/acme/root.pem" },
  spare: { ip: "127.0.0.1", port: 40001 }
}
const plain = (text: string) => text
const sheet = cheatSheet(facts, { bold: plain, dim: plain })

/** The lines under a title, up to the empty one. */
const block = (title: string): string => {
  const lines = sheet.split("\n")
  const start = lines.findIndex((line) => line.startsWith(title))
  expect(start, title).toBeGreaterThanOrEqual(0)
  const rest = lines.slice(start + 1)
  return rest.slice(0, rest.indexOf("")).join("\n")
}

describe("the cheat sheet", () => {
  it.each(["Claude Desktop", "VS Code", "Cursor"])("has JSON that parses for %s", (client) => {
    const config = JSON.parse(block(client)) as Record<string, { haproxy: Record<string, unknown> }>
    const entry = (config["servers"] ?? config["mcpServers"])?.haproxy
    expect(entry).toBeDefined()
    if (client === "Claude Desktop") expect(entry).toMatchObject({ env: { HAPROXY_DB_FILE: facts.database } })
    else expect(entry).toMatchObject({ url: facts.mcpUrl, headers: { Authorization: "Bearer t0ken" } })
  })

  it("gives Claude Code and Codex the address and the token", () => {
    expect(block("Claude Code")).toContain(
      `--transport http haproxy ${facts.mcpUrl} --header "Authorization: Bearer t0ken"`
    )
    expect(block("Codex")).toContain(`url = "${facts.mcpUrl}"`)
  })

  it.each(["Say hello in MCP", "Call a tool", "Visit the sites", "See how everything is"])(
    "has shell lines for \"%s\" that a shell reads as they are meant",
    (title) => {
      const script = `curl() { printf '%s\\n' "$@"; }\n/usr/bin/node() { printf '%s\\n' "$HAPROXY_DB_FILE" "$@"; }\n`
      const read = execFileSync("bash", ["--norc", "-c", script + block(title)], { encoding: "utf8" }).split("\n")
      if (title.startsWith("See")) {
        expect(read).toEqual([facts.database, `${facts.repository}/src/main.ts`, "status", ""])
      } else expect(read).toContain(title.startsWith("Visit") ? `Host: ${facts.site}` : "Authorization: Bearer t0ken")
      const body = read[read.indexOf("-d") + 1]
      if (read.includes("-d")) expect(JSON.parse(body ?? "")).toMatchObject({ jsonrpc: "2.0" })
    }
  )

  it("quotes only what a shell would read otherwise", () => {
    expect(shellWord("/usr/bin/node")).toBe("/usr/bin/node")
    expect(shellWord("it's")).toBe(`'it'\\''s'`)
  })
})
