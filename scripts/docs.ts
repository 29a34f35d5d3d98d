/** Writes docs/settings.md from the table in src/config/Table.ts. A test compares the two. Run: node scripts/docs.ts */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { notUsedYet, rows } from "../src/config/Table.ts"

const cell = (text: string): string => text.replaceAll("|", "\\|")

const code = (text: string): string => text === "" ? "empty" : `\`${cell(text)}\``

/** A table with aligned columns, as the formatter of this repository writes it. */
const table = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const [head, ...body] = lines.map((line) =>
    `| ${line.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`
  )
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n")
}

const group = (name: string): string => {
  const lines = rows.filter((row) => row.group === name).map((row) => [
    `\`${row.name}\``,
    row.initial === null ? cell(row.initialText) : code(row.initialText),
    cell(row.description),
    row.secret ? cell(row.example) : code(row.example),
    row.usedBy.join(", ")
  ])
  return `## ${name}\n\n${table([["variable", "default", "meaning", "example", "used by"], ...lines])}`
}

const standard = table([
  ["variable", "meaning"],
  ["`NO_COLOR`", "no colours in help and `status` (there are none anyway when the output is not a terminal)"],
  [
    "`OTEL_EXPORTER_OTLP_ENDPOINT`, other `OTEL_*`",
    "where to send traces and metrics by OTLP over HTTP (JSON); nothing is sent without it"
  ],
  ["`XDG_CACHE_HOME`", "where the program's compile cache lies, in a folder `haproxy-mcp` (`~/.cache` when not set)"]
])

/** The page as it should stand in docs/settings.md. */
export const settingsPage = (): string =>
  `# Settings

<!-- Written by scripts/docs.ts from src/config/Table.ts. -->

Every setting is an environment variable, and a flag of the commands that use it: \`HAPROXY_HOST\` is \`--haproxy-host\`. A flag wins over its variable. Secrets have no flag, because an argument list is public on its machine. An empty variable counts as not set; relative paths are taken from the working directory; lists are separated by commas.

Unknown variables that begin with \`MCP_\`, \`HAPROXY_\` or \`ACME_\`, and values that break their rule, stop the start (exit code 2) with one message that lists all of them. Variables that Kubernetes injects for a Service of that name are ignored, except one that replaces a setting (\`HAPROXY_PORT=tcp://…\`): set \`enableServiceLinks: false\` in the pod.

${[...new Set(rows.map((row) => row.group))].map(group).join("\n\n")}

## Standard variables

${standard}

## Known, not used by this version

These are accepted and answered with one line in the log: ${notUsedYet.map((name) => `\`${name}\``).join(", ")}.
`

if (import.meta.main) writeFileSync(join(import.meta.dirname, "..", "docs", "settings.md"), settingsPage())
