/**
 * Rows from CSV as RFC 4180 has it: a header, commas, fields in quotes where they need it, lines that end with LF or
 * CRLF. Empty lines are skipped. Every line has as many fields as the header, so that a line that was cut off is found.
 */
import Papa from "papaparse"
import { columns } from "../../program/import/Row.ts"
import type { Problem, ReadRow } from "../../program/import/Shapes.ts"
import { cutOff, type Rows, tooManyRows, Unreadable } from "./Rows.ts"

const newlines = (fields: ReadonlyArray<string>): number => {
  let count = 0
  for (const field of fields) {
    for (let at = field.indexOf("\n"); at >= 0; at = field.indexOf("\n", at + 1)) count++
  }
  return count
}

const shown = (text: string): string => JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** The columns of the header, or why it is none. */
const headerOf = (fields: ReadonlyArray<string>): ReadonlyArray<string> | Unreadable => {
  const names = fields.map((field) => field.trim().toLowerCase())
  const unknown = names.find((name) => !columns.some((column) => column === name))
  if (unknown !== undefined) {
    return new Unreadable(
      `does not begin with a header: ${shown(unknown)} on line 1 is no column`,
      `The first line names the columns, such as ${columns.join(",")}; they are separated by commas.`
    )
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return new Unreadable(`names the column ${twice} twice`, "Name each column once.")
  return names.includes("domain")
    ? names
    : new Unreadable("has no column domain", "The header names it: domain,servers")
}

/** Reads CSV; at most `most` rows. */
export const readCsv = (input: string, most: number): Rows | Unreadable => {
  const text = input.includes("\r") ? input.replace(/\r\n?/g, "\n") : input
  const { data, errors } = Papa.parse<ReadonlyArray<string>>(text, {
    delimiter: ",",
    newline: "\n",
    // One more than allowed, and the header and the end.
    preview: most + 3
  })
  const faults = new Map(errors.map((error) => [error.row ?? -1, error]))
  const rows: Array<ReadRow> = []
  const problems: Array<Problem> = []
  let header: ReadonlyArray<string> | null = null
  let line = 1
  for (const [index, fields] of data.entries()) {
    const at = line
    line += 1 + newlines(fields)
    const fault = faults.get(index)
    if (fault !== undefined) {
      return new Unreadable(
        `is not CSV: ${fault.message.toLowerCase()}, on line ${at}`,
        fault.code === "MissingQuotes" ? cutOff : "Double every quote inside a quoted field."
      )
    }
    if (fields.length === 1 && fields[0]!.trim() === "") continue
    if (header === null) {
      const found = headerOf(fields)
      if (found instanceof Unreadable) return found
      header = found
      continue
    }
    if (rows.length + problems.length >= most) return tooManyRows(most)
    if (fields.length === header.length) {
      const row: Record<string, string> = {}
      for (const [column, name] of header.entries()) row[name] = fields[column]!
      rows.push([at, row])
    } else {
      const isLast = index === data.length - 1
      problems.push({
        line: at,
        field: "",
        message: `The line has ${fields.length} fields, and the header has ${header.length}`,
        hint: isLast ? cutOff : "Put fields that hold a comma in quotes; leave empty ones empty, with their commas."
      })
    }
  }
  if (header === null) return new Unreadable("is empty", `Begin with a header: ${columns.join(",")}`)
  return {
    format: "csv",
    unit: "line",
    rows,
    problems,
    warnings: text.endsWith("\n") ? [] : ["The last line has no end. Was the file cut off?"]
  }
}
