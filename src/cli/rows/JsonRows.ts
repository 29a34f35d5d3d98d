/**
 * Rows from JSON: one list of objects, or one object per line (NDJSON). A list is cut into its elements first, so that
 * each has its line, and each is parsed alone.
 */
import type { Problem, ReadRow } from "../../program/import/Shapes.ts"
import { cutOff, type Rows, tooManyRows, Unreadable } from "./Rows.ts"

const parse = (text: string): { readonly value: unknown } | string => {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return (error as Error).message.replace(/ \(line \d+ column \d+\)$/, "").replace(/ in JSON.*$/s, "")
  }
}

const isBlank = (code: number) => code === 32 || code === 10 || code === 13 || code === 9

const readList = (text: string, start: number, most: number): Rows | Unreadable => {
  const rows: Array<ReadRow> = []
  let line = 1
  for (let at = 0; at < start; at++) if (text.charCodeAt(at) === 10) line++
  const firstLine = line
  let depth = 0
  let inText = false
  let from = start + 1
  /** Line of the first letter of the element. */
  let elementLine = 0
  let end = -1
  const take = (to: number): Unreadable | null => {
    const element = text.slice(from, to)
    from = to + 1
    if (elementLine === 0) return new Unreadable(`is not JSON: a row is missing on line ${line}`, "Take a comma away.")
    if (rows.length >= most) return tooManyRows(most)
    const parsed = parse(element)
    if (typeof parsed === "string") {
      return new Unreadable(`is not JSON, on line ${elementLine}: ${parsed}`, "Correct it there.")
    }
    rows.push([elementLine, parsed.value])
    elementLine = 0
    return null
  }
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 10) line++
    if (elementLine === 0 && !isBlank(code) && code !== 44 && code !== 93) elementLine = line
    if (inText) {
      if (code === 92) at++
      else if (code === 34) inText = false
    } else if (code === 34) inText = true
    else if (code === 123 || code === 91) depth++
    else if (code === 125 || (code === 93 && depth > 0)) depth--
    else if (depth === 0 && (code === 44 || code === 93)) {
      // An empty list has no element before its end.
      if (code === 44 || rows.length > 0 || elementLine !== 0) {
        const trouble = take(at)
        if (trouble !== null) return trouble
      }
      if (code === 93) {
        end = at
        break
      }
    }
  }
  if (end < 0) return new Unreadable(`ends within the list, on line ${line}`, cutOff)
  if (text.slice(end + 1).trim() !== "") {
    return new Unreadable(`goes on behind its list, on line ${line}`, "Write one list.")
  }
  if (line > firstLine || rows.length < 2) return { format: "json", unit: "line", rows, problems: [], warnings: [] }
  return {
    format: "json",
    unit: "row",
    rows: rows.map(([, row], index) => [index + 1, row]),
    problems: [],
    warnings: []
  }
}

const readLines = (text: string, most: number): Rows | Unreadable => {
  const rows: Array<ReadRow> = []
  const problems: Array<Problem> = []
  let line = 0
  for (let from = 0; from < text.length;) {
    const newline = text.indexOf("\n", from)
    const end = newline < 0 ? text.length : newline
    const part = text.slice(from, end).trim()
    from = end + 1
    line++
    if (part === "") continue
    if (rows.length + problems.length >= most) return tooManyRows(most)
    const parsed = parse(part)
    if (typeof parsed !== "string") rows.push([line, parsed.value])
    else if (newline < 0 && line > 1) return new Unreadable(`ends within line ${line}: ${parsed}`, cutOff)
    else {problems.push({
        line,
        field: "",
        message: `This is not JSON: ${parsed}`,
        hint: "Write one object on each line."
      })}
  }
  return rows.length === 0 && problems.length > 0
    ? new Unreadable(
      `is not JSON, on line ${problems[0]!.line}`,
      "Write one list of objects, or one object on each line."
    )
    : { format: "json", unit: "line", rows, problems, warnings: [] }
}

/** Reads JSON; at most `most` rows. */
export const readJson = (text: string, most: number): Rows | Unreadable => {
  const start = text.search(/\S/)
  if (start < 0) return new Unreadable("is empty", "Write one list of objects, or one object on each line.")
  return text[start] === "[" ? readList(text, start, most) : readLines(text, most)
}
