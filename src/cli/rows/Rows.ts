/** What reading a file of rows gives, whatever its format. */
import type { Problem, ReadRow } from "../../program/import/Shapes.ts"

/** The formats. */
export const formats = ["csv", "json"] as const
export type Format = typeof formats[number]

export interface Rows {
  readonly format: Format
  /** What the numbers count: lines, or rows where a JSON list stands on one line. */
  readonly unit: "line" | "row"
  readonly rows: ReadonlyArray<ReadRow>
  /** Lines that could not be read. */
  readonly problems: ReadonlyArray<Problem>
  readonly warnings: ReadonlyArray<string>
}

/** The whole file cannot be read: where, why and what to do. */
export class Unreadable {
  readonly what: string
  readonly hint: string
  constructor(what: string, hint: string) {
    this.what = what
    this.hint = hint
  }
}

/** Said of a file that ends too early. */
export const cutOff = "The file may be cut off: export it or copy it again."

/** Said of too many rows. */
export const tooManyRows = (most: number) =>
  new Unreadable(
    `has more than ${most} rows`,
    "Split it: rows that share go with or after those that they share with."
  )
