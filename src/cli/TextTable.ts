/** Columns of text for a terminal. What strangers wrote is printed without control characters. */

/** One line, safe to print. */
export const clean = (text: string): string =>
  // oxlint-disable-next-line no-control-regex
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?")

/**
 * Rows under a head, each column as wide as its widest cell; the last one ends where it ends. `paint` may colour a cell
 * of a row that is padded already.
 */
export const textTable = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  paint: (text: string, row: number, column: number) => string = (text) => text
): string => {
  const all = [head, ...rows].map((row) => row.map(clean))
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)))
  return all.map((row, index) => {
    const cells = row.map((cell, column) => cell.padEnd(widths[column]!))
    const shown = index === 0 ? cells : cells.map((cell, column) => paint(cell, index - 1, column))
    return `${shown.join("  ").trimEnd()}\n`
  }).join("")
}
