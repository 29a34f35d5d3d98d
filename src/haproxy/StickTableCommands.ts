/**
 * Stick tables: `show table`, `set table`, `clear table`. Entries are read by RuntimeApi.scan: a table may hold millions.
 *
 * Traps, seen on 3.0.11, 3.2.26 and 3.4.7: `clear table NAME key K` is silent whether K was there or not; `set table` with a
 * rate sets its counter of the present period.
 */
import * as Result from "effect/Result"
import { plain, refused, silent } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** A table. */
export interface StickTable {
  readonly name: string
  /** `ip`, `ipv6`, `integer`, `string`, `binary`. */
  readonly type: string
  /** Entries that it may hold. */
  readonly size: number
  readonly used: number
}

/*
 * show table (3.0.11, 3.2.26, 3.4.7): nothing at all where there is none
 *
 * # table: rates, type: ip, size:10240, used:1
 */
const tableLine = /^# table: (\S+), type: (\S+), size:(\d+), used:(\d+)$/

/** The head of a table; null when the line is none. */
export const parseTable = (line: string): StickTable | null => {
  const match = tableLine.exec(line)
  return match === null
    ? null
    : { name: match[1]!, type: match[2]!, size: Number(match[3]), used: Number(match[4]) }
}

const parseTables = (answer: string): Verdict<ReadonlyArray<StickTable>> => {
  const tables: Array<StickTable> = []
  for (const line of answer.split("\n")) {
    if (line === "") continue
    const table = parseTable(line)
    if (table === null) return refused(line)
    tables.push(table)
  }
  return Result.succeed(tables)
}

/** `show table`: all tables with their counts. */
export const list: Command<ReadonlyArray<StickTable>> = { words: ["show", "table"], parse: parseTables }

/** An entry. */
export interface StickEntry {
  readonly key: string
  /** Streams that use it now. */
  readonly use: number
  /** Milliseconds until it expires. */
  readonly expiresIn: number
  /** The stored numbers and texts by their names: `gpc0`, `http_req_rate(10000)`. */
  readonly data: Readonly<Record<string, string>>
}

/*
 * show table rates (3.4.7, one line)
 *
 * # table: rates, type: ip, size:10240, used:2
 * 0x7f8fc66d93a8: key=1.2.3.4 use=0 exp=600000 shard=0 gpc0=7 conn_cur=0 http_req_rate(10000)=7 bytes_out_rate(60000)=0 gpc1=0
 *
 * A key's control characters and spaces are escaped (`\x20`, `\ `).
 */
const entryLine = /^0x[0-9a-f]+: key=((?:\\.|[^\\ ])*) use=(\d+)(?: exp=(\d+))?(.*)$/

/** An entry's line; null when it is none. */
export const parseEntry = (line: string): StickEntry | null => {
  const match = entryLine.exec(line)
  if (match === null) return null
  const data: Record<string, string> = {}
  for (const [, name, value] of match[4]!.matchAll(/ ([a-z_0-9]+(?:\(\d+\))?)=((?:\\.|[^\\ ])*)/g)) {
    if (name !== "shard") data[name!] = plain(value!, 100)
  }
  return { key: plain(match[1]!, 200), use: Number(match[2]), expiresIn: Number(match[3] ?? 0), data }
}

/** Compares a stored number. */
export const operators = ["eq", "ne", "le", "ge", "lt", "gt"] as const

/** A condition on the stored data. */
export interface StickFilter {
  /** `gpc0`, `http_req_rate`. */
  readonly data: string
  readonly operator: typeof operators[number]
  readonly value: number
}

const filterWords = ({ data, operator, value }: StickFilter): ReadonlyArray<string> => [
  `data.${data}`,
  operator,
  String(value)
]

/** The words of `show table NAME`, for one key or for those that a condition holds of. */
export const showWords = (
  name: string,
  which: { readonly key?: string; readonly filter?: StickFilter }
): ReadonlyArray<string> => [
  "show",
  "table",
  name,
  ...(which.key === undefined ? [] : ["key", which.key]),
  ...(which.filter === undefined ? [] : filterWords(which.filter))
]

/** `set table NAME key K data.D V …`: makes or changes one entry. Silent when done. */
export const set = (name: string, key: string, data: Readonly<Record<string, number>>): Command<void> =>
  silent([
    "set",
    "table",
    name,
    "key",
    key,
    ...Object.entries(data).flatMap(([field, value]) => [`data.${field}`, String(value)])
  ])

/** `clear table NAME [key K | data.D OP V]`: forgets one entry, those that a condition holds of, or all. */
export const clear = (
  name: string,
  which: { readonly key?: string; readonly filter?: StickFilter }
): Command<void> =>
  silent([
    "clear",
    "table",
    name,
    ...(which.key === undefined ? [] : ["key", which.key]),
    ...(which.filter === undefined ? [] : filterWords(which.filter))
  ])

/** One entry, whole: `show table NAME key K`; null: there is none. */
export const get = (name: string, key: string): Command<StickEntry | null> => ({
  words: showWords(name, { key }),
  parse: (answer) => {
    const lines = answer.split("\n").filter((line) => line !== "")
    if (lines.length === 0) return Result.succeed(null)
    const entry = lines.length === 2 && parseTable(lines[0]!) !== null ? parseEntry(lines[1]!) : null
    return entry === null ? refused(answer) : Result.succeed(entry)
  }
})
