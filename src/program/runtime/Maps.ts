/** The verbs that look at maps and ACLs: which there are, and what stands in one. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import * as Acls from "../../haproxy/AclCommands.ts"
import * as MapCommands from "../../haproxy/MapCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import type { ProgramServices } from "../Services.ts"
import { type Kind, type ListItem, listsOf, requireList } from "./Lists.ts"
import { page, type RowsInput, scanPage } from "./Rows.ts"

export interface ListMapsInput extends RowsInput {
  readonly kind?: Kind
  readonly search?: string
}

export interface ListMapsAnswer extends Answer {
  readonly lists: ReadonlyArray<ListItem>
  readonly total: number
  readonly next_cursor: string | null
}

/** Maps and ACLs that HAProxy loaded from files. */
export const listMaps = Tracing.fn("listMaps")(function*(
  input: ListMapsInput
): Effect.fn.Return<ListMapsAnswer, ControlError, ProgramServices> {
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const all = [
    ...(input.kind === "acl" ? [] : yield* listsOf("map")),
    ...(input.kind === "map" ? [] : yield* listsOf("acl"))
  ]
  const found = search === undefined ? all : all.filter(({ name }) => name.toLowerCase().includes(search))
  const { next_cursor, rows, total } = yield* page(found, input)
  return { summary: `${rows.length} of ${total} maps and ACLs`, lists: rows, total, next_cursor }
})

/** An entry; an ACL's has no value. */
export interface Entry {
  readonly key: string
  readonly value: string | null
}

export interface ShowMapInput extends RowsInput {
  readonly list: string
  readonly kind?: Kind
  readonly key?: string
  readonly search?: string
}

export interface ShowMapAnswer extends Answer {
  readonly kind: Kind
  readonly list: string
  readonly ours: boolean
  readonly entries: ReadonlyArray<Entry>
  readonly entries_total: number | null
  readonly scanned: number
  readonly next_cursor: string | null
}

const entryOf = (kind: Kind) => (line: string): Entry | null => {
  const text = Acls.entryOfLine(line)
  if (text === null) return null
  const space = kind === "acl" ? -1 : text.indexOf(" ")
  return space < 0
    ? { key: text, value: kind === "acl" ? null : "" }
    : { key: text.slice(0, space), value: text.slice(space + 1) }
}

/** What a look-up of one value finds, by the list's own way of matching. */
export const lookUp = Effect.fnUntraced(function*({ kind, name }: ListItem, key: string) {
  if (kind === "map") return yield* inTime(ask(MapCommands.lookup(name, key)))
  const pattern = yield* inTime(ask(Acls.get(name, key)))
  return pattern === null ? null : { key: pattern, value: null }
})

/** Entries in HAProxy's order, or with `key` the one that a look-up of it finds. */
export const showMap = Tracing.fn("showMap")(function*(
  input: ShowMapInput
): Effect.fn.Return<ShowMapAnswer, ControlError, ProgramServices> {
  const kind = input.kind ?? "map"
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const key = input.key === undefined ? undefined : yield* RuntimeInput.word("key", input.key)
  const list = yield* requireList(kind, input.list)
  const head = { kind, list: list.name, ours: list.ours, entries_total: list.entries }
  if (key !== undefined) {
    const found = yield* lookUp(list, key)
    return {
      summary: found === null
        ? `${list.name} has nothing for ${key}`
        : `${key} meets ${found.key}${found.value === null ? "" : `: ${found.value}`}`,
      ...head,
      entries: found === null ? [] : [found],
      scanned: 0,
      next_cursor: null
    }
  }
  const { next_cursor, rows, scanned } = yield* inTime(
    scanPage(["show", kind, list.name], input, entryOf(kind), (entry) =>
      search === undefined
      || entry.key.toLowerCase().includes(search)
      || (entry.value?.toLowerCase().includes(search) ?? false))
  )
  return {
    summary: `${rows.length} entries of ${list.name}, which has ${list.entries ?? "some"}${
      next_cursor === null ? "" : "; more with next_cursor"
    }`,
    ...head,
    entries: rows,
    scanned,
    next_cursor
  }
})
