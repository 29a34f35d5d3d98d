/**
 * What the verbs on maps and ACLs share: which lists there are, which one is meant, and which are ours.
 *
 * Only lists from files are there to be told from outside; patterns that stand in haproxy.cfg itself have no name.
 */
import * as Effect from "effect/Effect"
import { type ControlError, Forbidden, InvalidInput, OutcomeUnknown } from "../../domain/Errors.ts"
import * as Acls from "../../haproxy/AclCommands.ts"
import { isWord } from "../../haproxy/Cli.ts"
import * as Maps from "../../haproxy/MapCommands.ts"
import { RuntimeApi } from "../../haproxy/RuntimeApi.ts"
import { shown } from "../Input.ts"
import { ourMaps } from "../OurMaps.ts"
import { ask, inTime } from "../Proxies.ts"
import type { ProgramServices } from "../Services.ts"
import { longestScan } from "./Rows.ts"
import { absent } from "./Telling.ts"

export const kinds = ["map", "acl"] as const
export type Kind = typeof kinds[number]

/** A list. */
export interface ListItem {
  readonly kind: Kind
  /** Its file, as HAProxy knows it. */
  readonly name: string
  /**
   * As HAProxy counts them; null where its count is no number of entries. Every `add` that it refuses, such as a name to
   * a list of networks, lowers the count by one, below 0 too (3.0.11, 3.2.26, 3.4.7).
   */
  readonly entries: number | null
  /** One of our two maps. */
  readonly ours: boolean
}

/** All lists of a kind. */
export const listsOf = Effect.fnUntraced(function*(kind: Kind): Effect.fn.Return<
  ReadonlyArray<ListItem>,
  ControlError,
  ProgramServices
> {
  const all = yield* inTime(ask(kind === "map" ? Maps.list : Acls.list))
  const { maybe } = yield* inTime(ourMaps)
  return all.filter(({ path }) => path !== "").map(({ entries, path }) => ({
    kind,
    name: path,
    entries: Number.isSafeInteger(entries) ? entries : null,
    ours: kind === "map" && maybe.has(path)
  }))
})

/**
 * How many entries a list really has (of a key, where one is given), read and counted, up to `most`: what is told of HAProxy's own count holds for lists
 * that nobody was refused by.
 */
export const counted = Effect.fnUntraced(function*({ kind, name }: ListItem, most: number, key?: string) {
  const runtime = yield* RuntimeApi
  let entries = 0
  yield* inTime(
    runtime.scan({
      words: ["show", kind, name],
      limit: longestScan,
      line: (line) => {
        const text = Acls.entryOfLine(line)
        const isMeant = key === undefined || text === key || (kind === "map" && text?.startsWith(`${key} `) === true)
        if (text !== null && isMeant) entries++
        return entries < most
      }
    }).pipe(
      Effect.mapError(({ reason }) =>
        new OutcomeUnknown({
          message: `What ${name} holds now is not known: ${reason}`,
          hint: "Look with haproxy_map_show, or repeat the call."
        })
      )
    )
  )
  return entries
})

const fileName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** The list that a caller means, by its file or, where no other one is called so, its last part. */
export const requireList = Effect.fnUntraced(function*(kind: Kind, name: string): Effect.fn.Return<
  ListItem,
  ControlError,
  ProgramServices
> {
  const all = yield* listsOf(kind)
  const exact = all.find((list) => list.name === name)
  const called = all.filter((list) => fileName(list.name) === name)
  const found = exact ?? (called.length === 1 ? called[0]! : undefined)
  if (found === undefined) {
    return yield* absent(kind, "list", name, all.map((list) => list.name), `haproxy_map_list with kind=${kind}`)
  }
  if (!isWord(found.name)) {
    return yield* new InvalidInput({
      message: `list ${shown(found.name)} has a path that a Runtime API command cannot carry`,
      hint: "Name the file in haproxy.cfg without spaces and quotes.",
      field: "list"
    })
  }
  return found
})

/** The same for a write: our maps are refused. */
export const requireForeignList = Effect.fnUntraced(function*(kind: Kind, name: string) {
  const list = yield* requireList(kind, name)
  if (list.ours) {
    return yield* new Forbidden({
      message: `${list.name} is a map of the control plane: what is told to HAProxy alone would be undone`,
      hint: "Use haproxy_add_domain or haproxy_remove_domain.",
      field: "list"
    })
  }
  return list
})
