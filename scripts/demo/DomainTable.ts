/** The routed names as a table for people. */
import type { DomainItem } from "../../src/program/DomainShapes.ts"

const heads = ["domain", "pool", "shares with", "servers"] as const

const cells = (item: DomainItem): ReadonlyArray<string> => [
  item.domain,
  item.backend,
  item.shares_with ?? "",
  item.servers.length === 0
    ? "none"
    : item.servers.map(({ addr, name, state }) => `${name} ${addr}${state === "ready" ? "" : ` (${state})`}`).join(", ")
]

/** One line per domain beneath a head; columns as wide as they must be. */
export const domainTable = (domains: ReadonlyArray<DomainItem>): ReadonlyArray<string> => {
  const rows = [heads, heads.map((head) => "-".repeat(head.length)), ...domains.map(cells)]
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  rows[1] = widths.map((width) => "-".repeat(width))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
}
