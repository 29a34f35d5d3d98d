/** The answer of a run: a table for people, a document for machines. */
import type { Machine } from "./Machine.ts"
import { type Measurement, met, type Side } from "./Row.ts"

/** What became of one row. */
export interface RowReport {
  readonly row: string
  readonly title: string
  readonly seconds: number
  readonly measurements: ReadonlyArray<Measurement>
  /** Why there are none. */
  readonly skipped?: string
  readonly failed?: string
}

/** A whole run. */
export interface Report {
  readonly at: string
  readonly quick: boolean
  readonly commit: string | null
  readonly machine: Machine
  readonly rows: ReadonlyArray<RowReport>
}

const number = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

const sideText = (side: Side): string =>
  `${side.unit === "" ? side.value : `${number(side.value)} ${side.unit}`}${
    side.p99 === undefined ? "" : ` (p99 ${number(side.p99)})`
  }`

const targetText = ({ target }: Measurement): string =>
  target === undefined ? "–" : "atMost" in target ? `≤ ${target.atMost}×` : `≥ ${target.atLeast}×`

const verdictText = (measurement: Measurement): string => {
  const verdict = met(measurement)
  return verdict === null ? "" : verdict ? "met" : "MISSED"
}

const ratioText = ({ ratio }: Measurement): string =>
  ratio.lowest === ratio.highest
    ? `${number(ratio.value)}×`
    : `${number(ratio.value)}× (${number(ratio.lowest)}–${number(ratio.highest)})`

/** One measurement in words: name, measured, against, what that is, ratio, target, verdict. */
export const cells = (measurement: Measurement): ReadonlyArray<string> => [
  measurement.name,
  sideText(measurement.subject),
  sideText(measurement.against),
  measurement.against.what,
  ratioText(measurement),
  targetText(measurement),
  verdictText(measurement)
]

const pad = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}

const detailsText = (measurement: Measurement): string =>
  Object.entries(measurement.details ?? {}).map(([name, value]) => `${name} ${number(value)}`).join(", ")

/** One row as text. */
export const rowText = (report: RowReport): string => {
  const head = `\n${report.title} (${report.row}, ${report.seconds.toFixed(0)} s)`
  if (report.failed !== undefined) return `${head}\n  FAILED: ${report.failed}`
  if (report.skipped !== undefined) return `${head}\n  skipped: ${report.skipped}`
  const table = pad([
    ["", "measured", "against", "", "ratio", "target", ""],
    ...report.measurements.map(cells)
  ])
  const details = report.measurements.flatMap((measurement) => {
    const text = detailsText(measurement)
    return text === "" ? [] : [`  ${measurement.name}: ${text}`]
  })
  return [head, table.replace(/^/gm, "  "), ...details].join("\n")
}

/** The machine in some lines. */
export const machineText = (machine: Machine): string =>
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGb} GB; kernel ${machine.kernel}; ${machine.fileSystem}, `
  + `fsync p50 ${number(machine.fsyncP50)} ms, p99 ${number(machine.fsyncP99)} ms\n`
  + `node ${machine.node}, SQLite ${machine.sqlite}, HAProxy ${machine.haproxy}; load before ${
    machine.loadBefore.toFixed(2)
  }`

/** The last line: how many targets were met. */
export const verdictLine = (report: Report): string => {
  const verdicts = report.rows.flatMap((row) => row.measurements.map(met)).filter((verdict) => verdict !== null)
  const missed = verdicts.filter((verdict) => !verdict).length
  const failed = report.rows.filter((row) => row.failed !== undefined).length
  const skipped = report.rows.filter((row) => row.skipped !== undefined).length
  return `${verdicts.length - missed} of ${verdicts.length} targets met`
    + (failed > 0 ? `, ${failed} rows failed` : "") + (skipped > 0 ? `, ${skipped} rows skipped` : "")
    + ". Compare ratios only: the milliseconds are this machine's, and others may have been at work on it."
}
