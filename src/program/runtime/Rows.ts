/** Pages of rows in HAProxy's own order: a position is how many rows, or lines of a long answer, came before. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import { HaproxyRefused, HaproxyUnreachable, InvalidInput } from "../../domain/Errors.ts"
import { plain } from "../../haproxy/Cli.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import { cursorOf, fitting, positionOf, rowsFor } from "../Page.ts"

/** What asks for a page. */
export interface RowsInput {
  readonly limit?: number
  readonly cursor?: string
}

/** Bytes that one look at a long answer reads at most: HAProxy writes no more than is read. */
export const longestScan = 8 * 1024 * 1024

const position = /^(\d{1,9})$/

/** Rows before a page at most: they are read again for it. */
const furthest = 100_000

/** Rows that a page may hold, and how many come before it. */
export const pageOf = Effect.fnUntraced(function*(input: RowsInput) {
  const limit = yield* rowsFor(input.limit)
  const from = input.cursor === undefined ? 0 : Number((yield* positionOf(input.cursor, position))[1])
  if (from > furthest) {
    return yield* new InvalidInput({
      message: `cursor leads further than ${furthest} rows`,
      hint: "Ask for one key, or narrow the list by a search or a filter.",
      field: "cursor"
    })
  }
  return { limit, from }
})

/** A page of rows that are all known. */
export const page = Effect.fnUntraced(function*<A>(rows: ReadonlyArray<A>, input: RowsInput) {
  const { from, limit } = yield* pageOf(input)
  const some = fitting(rows.slice(from, from + limit))
  const end = from + some.length
  return { rows: some, total: rows.length, next_cursor: end < rows.length ? cursorOf(String(end)) : null }
})

/** A page out of a long answer. */
export interface ScannedPage<A> {
  readonly rows: ReadonlyArray<A>
  readonly next_cursor: string | null
  /** Lines of HAProxy's answer that were looked at. */
  readonly scanned: number
}

/**
 * Reads a long answer as far as a page needs, at most {@link longestScan} bytes; then the page may be short, or empty,
 * and goes on with its cursor. `parse`: undefined: a line that counts for nothing; null: no such line, so HAProxy refuses.
 */
export const scanPage = Effect.fnUntraced(function*<A>(
  words: ReadonlyArray<string>,
  input: RowsInput,
  parse: (line: string) => A | null | undefined,
  keep: (row: A) => boolean
): Effect.fn.Return<ScannedPage<A>, ControlError, RuntimeApi> {
  const { from, limit } = yield* pageOf(input)
  const runtime = yield* RuntimeApi
  const found: Array<{ readonly row: A; readonly at: number }> = []
  let scanned = 0
  let refusal: string | null = null
  const { complete } = yield* runtime.scan({
    words,
    // What came before the page is read again, so it does not count.
    limit: longestScan + from * 400,
    line: (line) => {
      if (line === "") return true
      const row = parse(line)
      if (row === undefined) return true
      if (row === null) {
        refusal = line
        return false
      }
      scanned++
      if (scanned > from && keep(row)) found.push({ row, at: scanned })
      return found.length <= limit
    }
  }).pipe(
    Effect.mapError(({ reason }) =>
      new HaproxyUnreachable({
        message: `HAProxy cannot be asked: ${reason}`,
        hint: "Check that HAProxy runs; haproxy_health says more."
      })
    )
  )
  if (refusal !== null) {
    return yield* new HaproxyRefused({
      message: `HAProxy does not answer "${words.slice(0, 3).join(" ")}" as expected: ${plain(refusal, 300)}`,
      hint: "Check the names in the call."
    })
  }
  const rows = fitting(found.slice(0, limit).map(({ row }) => row))
  const more = rows.length < found.length
  const next = more ? found[rows.length - 1]!.at : complete ? null : scanned
  return { rows, scanned, next_cursor: next === null ? null : cursorOf(String(next)) }
})
