/**
 * The committed reference run: `bench/results/reference.json`, and its summary between two marks in
 * docs/benchmarks.md. The texts outside of the marks are written by hand.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { cells, machineText, type Report, verdictLine } from "./Report.ts"

const jsonFile = fileURLToPath(new URL("results/reference.json", import.meta.url))
const docsFile = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url))
const begin = "<!-- reference run: written by `npm run bench -- --reference` -->"
const end = "<!-- end of the reference run -->"

/** A table in the form that the formatter leaves alone. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) => `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`
  const [head, ...body] = rows
  return [line(head!), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...body.map(line)].join("\n")
}

const summary = (report: Report): string => {
  const lines = report.rows.flatMap((row) =>
    row.measurements.length > 0
      ? row.measurements.map((measurement) => [row.row, ...cells(measurement)])
      : [[row.row, row.skipped === undefined ? "failed" : "skipped", "", "", "", "", "", ""]]
  )
  return [
    `${report.at.slice(0, 10)}${report.commit === null ? "" : `, ${report.commit}`}${report.quick ? ", --quick" : ""}`,
    "",
    "```",
    machineText(report.machine),
    "```",
    "",
    table([["row", "", "measured", "against", "", "ratio (rounds)", "target", ""], ...lines]),
    "",
    verdictLine(report)
  ].join("\n")
}

/** Replaces both. */
export const writeReference = (report: Report): void => {
  writeFileSync(jsonFile, `${JSON.stringify(report, null, 2)}\n`)
  const text = readFileSync(docsFile, "utf8")
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has lost the marks of the reference run`)
  writeFileSync(docsFile, `${text.slice(0, from + begin.length)}\n\n${summary(report)}\n\n${text.slice(to)}`)
}
