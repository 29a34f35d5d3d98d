/** docs/metrics.md, from what a running control plane shows. */
import type { Family } from "./Exposition.ts"

const table = (lines: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const [head, ...body] = lines.map((line) =>
    `| ${line.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`
  )
  return [head, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body].join("\n")
}

const groups: ReadonlyArray<readonly [title: string, has: (name: string) => boolean]> = [
  ["Tools and HTTP", (name) => /^haproxy_mcp_(tool|http|streams|ready)/.test(name)],
  ["Writes", (name) => /^haproxy_mcp_(batch|apply|queue|store_commit|file_write)/.test(name)],
  ["HAProxy", (name) => /^haproxy_mcp_(runtime|haproxy|epochs|in_sync|reconcile|drift|foreign|reloads)/.test(name)],
  ["Certificates", (name) => name.startsWith("haproxy_mcp_certificate_")],
  ["HAProxy's host and the copy there", (name) => /^haproxy_mcp_(ssh|remote)_/.test(name)],
  ["What there is", (name) => /^haproxy_mcp_(revision|domains|wildcards|servers|pools|build)/.test(name)],
  ["Process", (name) => /^(process|nodejs)_/.test(name)]
]

/** The page as it should stand in docs/metrics.md. Throws for a metric that is in no group, or in two. */
export const metricsPage = (families: ReadonlyMap<string, Family>): string => {
  const names = [...families.keys()].sort()
  for (const name of names) {
    if (groups.filter(([, has]) => has(name)).length !== 1) throw new Error(`${name} belongs to no group, or to two`)
  }
  const parts = groups.map(([title, has]) => {
    const lines = names.filter(has).map((name) => {
      const { help, labels, type } = families.get(name)!
      const shown = [...labels].sort().map((label) => `\`${label}\``).join(", ")
      return [`\`${name}\``, type, shown, help.replaceAll("|", "\\|")]
    })
    return `## ${title}\n\n${table([["metric", "type", "labels", "what it is"], ...lines])}`
  })
  return `# Metrics

What \`/metrics\` shows; how to scrape it is in [observability.md](observability.md). This page comes from a running
control plane: \`UPDATE_GOLDEN=1 npx vitest run test/observability/Metrics.test.ts\` writes it, and the same test
compares the two.

Counters begin at 0 with the process, and every series of a closed set of labels is there from the start; of
\`haproxy_mcp_tool_calls_total\` those with \`code="OK"\`, while \`haproxy_mcp_tool_errors_total\` has every code. Times are
in seconds. Labels never hold what a caller sent. Those of HAProxy's host exist only with \`HAPROXY_SSH_HOST\`.

${parts.join("\n\n")}
`
}
