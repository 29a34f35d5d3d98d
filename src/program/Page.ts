/**
 * Pages of a list: as many rows as a model can read whole, and a cursor that goes on after the last one, also when
 * that one has left meanwhile.
 */
import * as Effect from "effect/Effect"
import { InvalidInput } from "../domain/Errors.ts"
import * as Input from "./Input.ts"

/** Characters of JSON on one page: an answer stays under 8,000 tokens, with room for what stands beside the page. */
const pageChars = 20_000

/** Rows to prepare for a page at most: none is so small that more would fit. */
const mostRows = 70

/** A name of HAProxy's, twice, and a number. */
const longestCursor = 1_000

/** Rows that begin to be a page: at least one, and no more than fit. */
export const fitting = <A>(rows: ReadonlyArray<A>): ReadonlyArray<A> => {
  let size = 0
  const over = rows.findIndex((row) => (size += JSON.stringify(row).length) > pageChars)
  return over < 0 ? rows : rows.slice(0, Math.max(1, over))
}

/** How many rows to prepare for a page, from the parameter `limit`. */
export const rowsFor = (limit: number | undefined): Effect.Effect<number, InvalidInput> =>
  Effect.map(Input.whole("limit", limit ?? 50, 1, 1000), (whole) => Math.min(whole, mostRows))

/** Where a page ended, as text that clients pass back and do not read. */
export const cursorOf = (position: string): string => Buffer.from(position).toString("base64url")

/** The refusal of a cursor that is none of ours. */
export const notACursor = () =>
  new InvalidInput({
    message: "cursor is not one that this tool gave",
    hint: "Pass next_cursor of the page before as it is, or leave cursor out to start again.",
    field: "cursor"
  })

/** The position in a cursor of ours, in the form of `pattern`. */
export const positionOf = (cursor: string, pattern: RegExp): Effect.Effect<RegExpExecArray, InvalidInput> => {
  const text = cursor.length > longestCursor ? "" : Buffer.from(cursor, "base64url").toString()
  const match = pattern.exec(text)
  // One position has one cursor: nothing is skipped while decoding.
  return match !== null && cursorOf(text) === cursor
    ? Effect.succeed(match)
    : Effect.fail(notACursor())
}
