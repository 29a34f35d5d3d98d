/** Writes the tool table of README.md from the catalogue. A test compares the two. Run: node scripts/readme.ts */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { catalogue } from "../src/mcp/Catalogue.ts"

const readme = join(import.meta.dirname, "..", "README.md")
const begin = "<!-- tools: written by scripts/readme.ts from the catalogue -->"
const end = "<!-- /tools -->"

interface InputSchema {
  readonly properties?: Readonly<Record<string, { readonly default?: unknown }>>
  readonly required?: ReadonlyArray<string>
}

/** `haproxy_add_domain(domain, ip?, http_port=80)` */
const signature = (name: string, schema: InputSchema): string => {
  const parameters = Object.entries(schema.properties ?? {}).map(([key, { default: initial }]) =>
    initial !== undefined
      ? `${key}=${JSON.stringify(initial)}`
      : schema.required?.includes(key) === true
      ? key
      : `${key}?`
  )
  return `\`${name}(${parameters.join(", ")})\``
}

/** The first sentence says what it does. */
const firstSentence = (text: string): string =>
  text.slice(0, text.indexOf(". ") < 0 ? text.length : text.indexOf(". ") + 1)

/** The table as it should stand in README.md. */
export const toolTable = (): string => {
  const rows = catalogue.map((tool) => [
    signature(tool.name, tool.inputSchema as InputSchema),
    tool.annotations.readOnlyHint === true ? "reads" : "writes",
    firstSentence(tool.description).replaceAll("|", "\\|")
  ])
  const head = ["tool", "", "what it does"]
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)))
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n")
}

/** README.md with the table as it should be. */
export const withToolTable = (text: string): string => {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error("README.md has no place for the tool table")
  return `${text.slice(0, from)}${begin}\n\n${toolTable()}\n\n${text.slice(to)}`
}

if (import.meta.main) writeFileSync(readme, withToolTable(readFileSync(readme, "utf8")))
