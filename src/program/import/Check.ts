/**
 * The rows of a file as a whole, without the database: each by itself (Row.ts), then against one another. A domain that
 * comes twice with the same content counts once, with a warning; with different content both lines are refused, for
 * nobody knows which was meant. A hundred thousand rows take a second, with pauses for others.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { InvalidInput } from "../../domain/Errors.ts"
import { parseRouteName, type RouteName } from "../../domain/RouteName.ts"
import { Caller } from "../Caller.ts"
import type { Limits } from "../Limits.ts"
import { problemOf, readRow, type Row } from "./Row.ts"
import type { Problem } from "./Shapes.ts"

/** Rows of one import. */
export const mostRows = 200_000

/** Rows between two reports of progress. */
const stride = 5_000

/** What the rows are. */
export interface Checked {
  /** Good rows by name, in the order of the file. */
  readonly rows: ReadonlyMap<RouteName, Row>
  /** Names of bad rows, as far as they could be read, and their line. */
  readonly bad: ReadonlyMap<RouteName, number>
  readonly problems: ReadonlyArray<Problem>
  readonly warnings: ReadonlyArray<string>
  /** All rows, bad ones included. */
  readonly count: number
  readonly badRows: number
}

const content = ({ name, pool, servers, sharesWith, wildcard }: Row): string =>
  JSON.stringify([name, pool, sharesWith, wildcard, servers.map((server) => Object.values(server))])

const malformed = (index: number) =>
  new InvalidInput({ message: `rows[${index}] is not a line number and a row`, hint: "Use haproxy-mcp import." })

/** A name that a bad row is about, so that rows which share with it can say so. */
const nameOf = (row: unknown): RouteName | null => {
  const text = (row as { readonly domain?: unknown } | null | undefined)?.domain
  const parsed = typeof text === "string" ? parseRouteName(text.trim()) : null
  return parsed !== null && Result.isSuccess(parsed) ? parsed.success : null
}

/** Checks all rows. `unread`: lines that could not be read at all. Progress goes from 0 to 25 of 100. */
export const checkRows = Effect.fnUntraced(function*(
  limits: Limits["Service"],
  given: unknown,
  unread: ReadonlyArray<Problem>
): Effect.fn.Return<Checked, InvalidInput> {
  const caller = yield* Caller
  if (!Array.isArray(given)) {
    return yield* new InvalidInput({ message: "rows is not a list", hint: "Use haproxy-mcp import.", field: "rows" })
  }
  if (given.length > mostRows) {
    return yield* new InvalidInput({
      message: `The file has more than ${mostRows} rows`,
      hint: "Split it: rows that share go with or after those that they share with.",
      field: "rows"
    })
  }
  const rows = new Map<RouteName, Row>()
  const bad = new Map<RouteName, number>()
  const problems: Array<Problem> = [...unread]
  let badRows = unread.length
  let repeated = 0
  let firstRepeated = 0
  for (let index = 0; index < given.length; index++) {
    if (index % stride === 0) yield* caller.progress(25 * index / given.length, 100, `checked ${index} rows`)
    const pair: unknown = given[index]
    if (!Array.isArray(pair) || typeof pair[0] !== "number") return yield* malformed(index)
    const line: number = pair[0]
    const read = yield* Effect.result(readRow(limits, line, pair[1]))
    if (Result.isFailure(read)) {
      problems.push(problemOf(line, read.failure))
      badRows++
      const name = nameOf(pair[1])
      if (name !== null && !bad.has(name)) bad.set(name, line)
      continue
    }
    const row = read.success
    const first = rows.get(row.name)
    const elsewhere = first?.line ?? bad.get(row.name)
    if (elsewhere === undefined) rows.set(row.name, row)
    else if (first !== undefined && content(first) === content(row)) {
      if (repeated++ === 0) firstRepeated = line
    } else {
      const twice = (at: number, other: number): Problem => ({
        line: at,
        field: "domain",
        message: `${row.name} stands on line ${other} too, with other content`,
        hint: "Keep one of the two."
      })
      problems.push(twice(line, elsewhere))
      badRows++
      if (first !== undefined) {
        problems.push(twice(first.line, line))
        badRows++
        rows.delete(row.name)
        bad.set(row.name, first.line)
      }
    }
  }
  return {
    rows,
    bad,
    problems,
    warnings: repeated === 0
      ? []
      : [`${repeated} rows say what an earlier row says (the first on line ${firstRepeated}); each counts once`],
    count: given.length + unread.length,
    badRows
  }
})
