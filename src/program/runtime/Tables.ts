/**
 * The verbs on stick tables: list, show, set, clear. A table may hold millions of entries, so it is read no further than a
 * page needs; conditions are HAProxy's own, checked where the entries are.
 */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Tables from "../../haproxy/StickTableCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import type { ProgramServices } from "../Services.ts"
import { page, type RowsInput, scanPage } from "./Rows.ts"
import { absent, asWriter, endBeforeTelling, notSo, tell, untilRestart } from "./Telling.ts"

/** How a condition compares. */
export const operators = Tables.operators

export interface TablesAnswer extends Answer {
  readonly tables: ReadonlyArray<Tables.StickTable>
  readonly total: number
  readonly next_cursor: string | null
}

/** All tables with their type and how full they are. */
export const listTables = Tracing.fn("listTables")(function*(
  input: RowsInput & { readonly search?: string }
): Effect.fn.Return<TablesAnswer, ControlError, RuntimeApi> {
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const all = yield* inTime(ask(Tables.list))
  const found = search === undefined ? all : all.filter(({ name }) => name.toLowerCase().includes(search))
  const { next_cursor, rows, total } = yield* page(found, input)
  return { summary: `${rows.length} of ${total} stick tables`, tables: rows, total, next_cursor }
})

interface Which {
  readonly key?: string
  readonly data?: string
  readonly operator?: typeof Tables.operators[number]
  readonly value?: number
}

const requireTable = Effect.fnUntraced(function*(value: string) {
  const name = yield* Input.proxyName("table", value)
  const all = yield* inTime(ask(Tables.list))
  const found = all.find((table) => table.name === name)
  return found ??
    (yield* absent("stick table", "table", name, all.map((table) => table.name), "haproxy_stick_table_list"))
})

const dataName = (field: string, value: string): Effect.Effect<string, InvalidInput> =>
  /^[a-z][a-z0-9_]{0,40}$/.test(value) ? Effect.succeed(value) : Effect.fail(
    new InvalidInput({
      message: `${field} ${Input.shown(value)} is no kind of data`,
      hint: "Name it as the table stores it, such as gpc0 or http_req_rate.",
      field
    })
  )

const largest = 2 ** 32 - 1

/** The key or the condition that is given; both are refused. */
const whichOf = Effect.fnUntraced(function*({ data, key, operator, value }: Which) {
  if (key !== undefined && data !== undefined) {
    return yield* new InvalidInput({
      message: "key stands beside data",
      hint: "Give a key, or a condition on data.",
      field: "data"
    })
  }
  if ((data === undefined) !== (value === undefined) || (data === undefined && operator !== undefined)) {
    return yield* new InvalidInput({
      message: "A condition needs data and value",
      hint: "Such as data=gpc0, operator=gt, value=0.",
      field: data === undefined ? "data" : "value"
    })
  }
  return {
    ...(key === undefined ? {} : { key: yield* RuntimeInput.word("key", key) }),
    ...(data === undefined ? {} : {
      filter: {
        data: yield* dataName("data", data),
        operator: operator ?? ("gt" as const),
        value: yield* Input.whole("value", value!, 0, largest)
      }
    })
  }
})

export interface ShowTableInput extends RowsInput, Which {
  readonly table: string
  readonly search?: string
}

export interface ShowTableAnswer extends Answer {
  readonly table: string
  readonly type: string
  readonly size: number
  readonly used: number
  readonly entries: ReadonlyArray<{
    readonly key: string
    readonly use: number
    readonly expires_ms: number
    readonly data: Readonly<Record<string, string>>
  }>
  readonly scanned: number
  readonly next_cursor: string | null
}

/** Entries in HAProxy's order: all, one by its key, those with a text in the key, or those that a condition holds of. */
export const showTable = Tracing.fn("showTable")(function*(
  input: ShowTableInput
): Effect.fn.Return<ShowTableAnswer, ControlError, RuntimeApi> {
  const which = yield* whichOf(input)
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const table = yield* requireTable(input.table)
  const { next_cursor, rows, scanned } = yield* inTime(
    scanPage(
      Tables.showWords(table.name, which),
      input,
      (line) => Tables.parseTable(line) !== null ? undefined : Tables.parseEntry(line),
      (entry) => search === undefined || entry.key.toLowerCase().includes(search)
    )
  )
  return {
    summary: `${rows.length} entries of ${table.name}, which holds ${table.used} of ${table.size}${
      next_cursor === null ? "" : "; more with next_cursor"
    }`,
    table: table.name,
    type: table.type,
    size: table.size,
    used: table.used,
    entries: rows.map(({ data, expiresIn, key, use }) => ({ key, use, expires_ms: expiresIn, data })),
    scanned,
    next_cursor
  }
})

export interface TableWriteAnswer extends Answer {
  readonly changed: boolean
  readonly table: string
  readonly used: number
}

export interface SetTableInput {
  readonly table: string
  readonly key: string
  readonly data: ReadonlyArray<{ readonly name: string; readonly value: number }>
}

/** Makes an entry, or changes its data. */
export const setTableEntry = asWriter(
  Tracing.fn("setTableEntry")(function*(
    input: SetTableInput
  ): Effect.fn.Return<TableWriteAnswer, ControlError, ProgramServices> {
    const key = yield* RuntimeInput.word("key", input.key)
    const data: Record<string, number> = {}
    for (const [index, { name, value }] of input.data.entries()) {
      data[yield* dataName(`data[${index}].name`, name)] = yield* Input.whole(`data[${index}].value`, value, 0, largest)
    }
    const table = yield* requireTable(input.table)
    const before = yield* inTime(ask(Tables.get(table.name, key)))
    const set = Tables.set(table.name, key, data)
    yield* endBeforeTelling({
      summary: `${table.name} has ${key}, ${untilRestart}`,
      commands: [set],
      now: { table: table.name, used: table.used }
    })
    yield* tell(set)
    const now = yield* inTime(ask(Tables.get(table.name, key)))
    if (now === null) return yield* notSo(`${table.name} has no ${key}`)
    // Rates and counts of what is open move by themselves.
    const other = Object.entries(data).find(([name, value]) =>
      /^gp[ct]/.test(name) && now.data[name] !== undefined
      && Number(now.data[name]) !== value
    )
    if (other !== undefined) return yield* notSo(`${other[0]} of ${key} is ${now.data[other[0]]}`)
    return {
      summary: `${table.name} has ${key}, ${untilRestart}`,
      changed: before === null || JSON.stringify(before.data) !== JSON.stringify(now.data),
      table: table.name,
      used: (yield* requireTable(table.name)).used
    }
  })
)

export interface ClearTableInput extends Which {
  readonly table: string
  readonly all?: boolean
}

/** Forgets one entry, those that a condition holds of, or with `all` every one. */
export const clearTable = asWriter(
  Tracing.fn("clearTable")(function*(
    input: ClearTableInput
  ): Effect.fn.Return<TableWriteAnswer, ControlError, ProgramServices> {
    const which = yield* whichOf(input)
    if ((Object.keys(which).length === 0) !== (input.all === true)) {
      return yield* new InvalidInput({
        message: input.all === true ? "all stands beside a key or a condition" : "Nothing is named",
        hint: "Give a key, a condition (data, operator, value), or all=true.",
        field: "all"
      })
    }
    const table = yield* requireTable(input.table)
    const there = "key" in which ? yield* inTime(ask(Tables.get(table.name, which.key!))) : null
    const clear = Tables.clear(table.name, which)
    yield* endBeforeTelling({
      summary: `${
        "key" in which ? which.key : "filter" in which ? "What the condition holds of" : "Every entry"
      } of ${table.name} is gone`,
      commands: there === null && "key" in which ? [] : [clear],
      now: { table: table.name, used: table.used }
    })
    yield* tell(clear)
    if ("key" in which && (yield* inTime(ask(Tables.get(table.name, which.key!)))) !== null) {
      return yield* notSo(`${which.key} is there; traffic may have made it anew`)
    }
    const { used } = yield* requireTable(table.name)
    return {
      summary: `${table.name} holds ${used} of ${table.size} entries now`,
      changed: "key" in which ? there !== null : used < table.used,
      table: table.name,
      used
    }
  })
)
