/** The verbs that show certificates as HAProxy's memory has them: which name gets which, and the crt-lists. */
import * as Effect from "effect/Effect"
import type { ControlError } from "../../domain/Errors.ts"
import { NotFound } from "../../domain/Errors.ts"
import * as CrtLists from "../../haproxy/CrtListCommands.ts"
import type { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import * as Sni from "../../haproxy/SniCommands.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as Input from "../Input.ts"
import { ask, inTime } from "../Proxies.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import { page, type RowsInput, scanPage } from "./Rows.ts"
import { absent, requireCommand } from "./Telling.ts"

export interface SniInput extends RowsInput {
  readonly frontend?: string
  readonly search?: string
}

export interface SniAnswer extends Answer {
  readonly names: ReadonlyArray<{
    readonly sni: string
    readonly except: string
    readonly certificate: string
    readonly type: string
    readonly not_after: string | null
    readonly frontend: string
    readonly bind: string
  }>
  readonly scanned: number
  readonly next_cursor: string | null
}

/** HAProxy's `Feb 25 13:48:17 2027 GMT` as ISO 8601. */
const iso = (text: string): string | null => {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}

/** Names and the certificate that each gets: 3.2 and later. */
export const listSni = Tracing.fn("listSni")(function*(
  input: SniInput
): Effect.fn.Return<SniAnswer, ControlError, RuntimeApi> {
  const frontend = input.frontend === undefined ? undefined : yield* Input.proxyName("frontend", input.frontend)
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  yield* requireCommand("show ssl sni", "3.2")
  let unknown = false
  const { next_cursor, rows, scanned } = yield* inTime(scanPage(Sni.listWords(frontend), input, (line) => {
    if (Sni.isHead(line)) return undefined
    if (line.startsWith("Couldn't find the specified frontend")) {
      unknown = true
      return undefined
    }
    return Sni.parseLine(line)
  }, (entry) => search === undefined || entry.sni.toLowerCase().includes(search) || entry.file.includes(search)))
  if (unknown) {
    return yield* new NotFound({
      message: `HAProxy has no frontend ${Input.shown(frontend)} with certificates`,
      hint: "haproxy_list_frontends lists what there is.",
      field: "frontend",
      validValues: []
    })
  }
  return {
    summary: `${rows.length} names with their certificates${next_cursor === null ? "" : "; more with next_cursor"}`,
    names: rows.map(({ bind, except, file, frontend: name, notAfter, sni, type }) => ({
      sni,
      except,
      certificate: file,
      type,
      not_after: iso(notAfter),
      frontend: name,
      bind
    })),
    scanned,
    next_cursor
  }
})

export interface CrtListInput extends RowsInput {
  readonly list?: string
  readonly search?: string
}

export interface CrtListAnswer extends Answer {
  readonly lists: ReadonlyArray<string>
  readonly list: string | null
  readonly entries: ReadonlyArray<{ readonly certificate: string; readonly line: number; readonly options: string }>
  readonly total: number
  readonly next_cursor: string | null
}

/** All crt-lists, and the entries of one. */
export const showCrtList = Tracing.fn("showCrtList")(function*(
  input: CrtListInput
): Effect.fn.Return<CrtListAnswer, ControlError, RuntimeApi> {
  const search = input.search === undefined ? undefined : yield* Input.search("search", input.search)
  const asked = input.list === undefined ? undefined : yield* RuntimeInput.word("list", input.list)
  yield* requireCommand("show ssl crt-list", "2.2, in a build with a TLS library")
  const lists = yield* inTime(ask(CrtLists.lists))
  const list = asked ?? (lists.length === 1 ? lists[0]! : undefined)
  if (list === undefined) {
    const { next_cursor, rows, total } = yield* page(lists, input)
    return { summary: `${total} crt-lists: name one`, lists: rows, list: null, entries: [], total, next_cursor }
  }
  const entries = lists.includes(list) ? yield* inTime(ask(CrtLists.show(list))) : null
  if (entries === null) return yield* absent("crt-list", "list", list, lists, "haproxy_crt_list_show without list")
  const found = search === undefined
    ? entries
    : entries.filter(({ certificate, rest }) => `${certificate} ${rest}`.toLowerCase().includes(search))
  const { next_cursor, rows, total } = yield* page(found, input)
  return {
    summary: `${rows.length} of ${total} entries of ${list}`,
    lists: lists.slice(0, 20),
    list,
    entries: rows.map(({ certificate, line, rest }) => ({ certificate, line, options: rest })),
    total,
    next_cursor
  }
})
