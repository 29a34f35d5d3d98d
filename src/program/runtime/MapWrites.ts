/**
 * The verbs that change maps and ACLs that are not ours, in HAProxy's memory, until its next start.
 *
 * Guarantees: every change is read back; setting and deleting name a desired state, so a repetition changes nothing; a
 * replacement is seen whole or not at all, and one that HAProxy refuses leaves the entries of before.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ControlError, InvalidInput } from "../../domain/Errors.ts"
import * as Acls from "../../haproxy/AclCommands.ts"
import type { Command } from "../../haproxy/Command.ts"
import * as MapCommands from "../../haproxy/MapCommands.ts"
import { mapPayloads } from "../../haproxy/MapSwap.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer } from "../Answer.ts"
import * as RuntimeInput from "../RuntimeInput.ts"
import type { ProgramServices } from "../Services.ts"
import { counted, type Kind, type ListItem, requireForeignList, requireList } from "./Lists.ts"
import { lookUp } from "./Maps.ts"
import { asWriter, endBeforeTelling, notSo, tell, untilRestart } from "./Telling.ts"

export interface MapWriteAnswer extends Answer {
  readonly changed: boolean
  readonly kind: Kind
  readonly list: string
  /** As HAProxy counts them; see ListItem. */
  readonly entries_total: number | null
}

/** Duplicates of a key at most: one that has more is cleared as a whole. */
const mostDuplicates = 1_000

const answer = Effect.fnUntraced(function*(list: ListItem, changed: boolean, summary: string) {
  const { entries, kind, name } = yield* requireList(list.kind, list.name)
  return {
    summary: changed ? `${summary}, ${untilRestart}` : summary,
    changed,
    kind,
    list: name,
    entries_total: entries
  }
})

/** The list as it is. */
const nowOf = ({ entries, kind, name }: ListItem) => ({ kind, list: name, entries_total: entries })

/** What a look-up finds, where the list can be asked for this text at all (a network is no address). */
const found = (list: ListItem, key: string) => Effect.map(Effect.result(lookUp(list, key)), Result.getOrNull)

export interface SetMapInput {
  readonly list: string
  readonly kind?: Kind
  readonly key: string
  readonly value?: string
}

/** Adds an entry, or gives the entries of a key another value. */
export const setMapEntry = asWriter(
  Tracing.fn("setMapEntry")(function*(
    input: SetMapInput
  ): Effect.fn.Return<MapWriteAnswer, ControlError, ProgramServices> {
    const kind = input.kind ?? "map"
    const key = yield* RuntimeInput.word("key", input.key)
    if ((kind === "map") !== (input.value !== undefined)) {
      return yield* new InvalidInput({
        message: kind === "map" ? "value is missing" : "value stands beside kind acl",
        hint: kind === "map" ? "An entry of a map has a value." : "An ACL's entry is its key alone.",
        field: "value"
      })
    }
    const value = input.value === undefined ? "" : yield* RuntimeInput.word("value", input.value)
    const list = yield* requireForeignList(kind, input.list)
    const before = yield* found(list, key)
    if (before?.key === key && (kind === "acl" || before.value === value)) {
      return yield* answer(list, false, `${list.name} has ${key} already`)
    }
    const isThere = before?.key === key
    yield* endBeforeTelling({
      summary: `${list.name} has ${key}${kind === "acl" ? "" : ` ${value}`}, ${untilRestart}`,
      commands: [
        kind === "acl"
          ? Acls.add(list.name, key)
          : isThere
          ? MapCommands.set(list.name, key, value)
          : MapCommands.add(list.name, key, value)
      ],
      now: nowOf(list)
    })
    if (kind === "acl") {
      yield* tell(Acls.add(list.name, key))
      const now = yield* found(list, key)
      // A network or an expression cannot be looked up by itself: then the count says it.
      const { entries } = yield* requireList(kind, list.name)
      if (now === null && entries !== null && list.entries !== null && entries <= list.entries) {
        return yield* notSo(`${list.name} has no ${key}`)
      }
      return yield* answer(list, true, `${list.name} has ${key}`)
    }
    if ((yield* tell(MapCommands.set(list.name, key, value))) === "not found") {
      yield* tell(MapCommands.add(list.name, key, value))
    }
    // Setting it once more changes nothing, and says whether the entry is there.
    if ((yield* tell(MapCommands.set(list.name, key, value))) === "not found") {
      return yield* notSo(`${list.name} has no ${key}`)
    }
    return yield* answer(list, true, `${list.name} has ${key} ${value}`)
  })
)

export interface DeleteMapInput {
  readonly list: string
  readonly kind?: Kind
  readonly key: string
}

/** Removes every entry of a key. */
export const deleteMapEntry = asWriter(
  Tracing.fn("deleteMapEntry")(function*(
    input: DeleteMapInput
  ): Effect.fn.Return<MapWriteAnswer, ControlError, ProgramServices> {
    const kind = input.kind ?? "map"
    const key = yield* RuntimeInput.word("key", input.key)
    const list = yield* requireForeignList(kind, input.list)
    const remove = kind === "map" ? MapCommands.del(list.name, key) : Acls.del(list.name, key)
    const entries = yield* counted(list, mostDuplicates, key)
    yield* endBeforeTelling({
      summary: entries > 0 ? `${key} is gone from ${list.name}, ${untilRestart}` : `${list.name} has no ${key}`,
      commands: entries > 0 ? [remove] : [],
      now: nowOf(list)
    })
    let deleted = 0
    while ((yield* tell(remove)) === "deleted") {
      if (++deleted > mostDuplicates) {
        return yield* notSo(`${list.name} has more than ${mostDuplicates} entries of ${key}`)
      }
    }
    return yield* answer(
      list,
      deleted > 0,
      deleted > 0 ? `${key} is gone from ${list.name}` : `${list.name} has no ${key}`
    )
  })
)

export interface ClearMapInput {
  readonly list: string
  readonly kind?: Kind
}

/** Removes every entry. */
export const clearMap = asWriter(
  Tracing.fn("clearMap")(function*(
    input: ClearMapInput
  ): Effect.fn.Return<MapWriteAnswer, ControlError, ProgramServices> {
    const kind = input.kind ?? "map"
    const list = yield* requireForeignList(kind, input.list)
    if ((yield* counted(list, 1)) === 0) return yield* answer(list, false, `${list.name} is empty already`)
    const clear = kind === "map" ? MapCommands.clear(list.name) : Acls.clear(list.name)
    yield* endBeforeTelling({
      summary: `The entries of ${list.name} are gone, ${untilRestart}`,
      commands: [clear],
      now: nowOf(list)
    })
    yield* tell(clear)
    if ((yield* counted(list, 1)) > 0) return yield* notSo(`${list.name} has entries`)
    return yield* answer(list, true, `The entries of ${list.name} are gone`)
  })
)

export interface ReplaceMapInput {
  readonly list: string
  readonly kind?: Kind
  readonly entries: ReadonlyArray<{ readonly key: string; readonly value?: string }>
}

/** How a new version of a list is made, by its kind. An ACL takes no payload: its patterns come one by one. */
const swapOf = (kind: Kind, name: string) =>
  kind === "map"
    ? {
      prepare: MapCommands.prepare(name),
      fill: (version: number, entries: ReadonlyArray<MapCommands.MapEntry>) =>
        mapPayloads(entries, payloadRoom).map((lines) => MapCommands.addVersion(name, version, lines)),
      commit: (version: number) => MapCommands.commit(name, version),
      drop: (version: number) => MapCommands.clearVersion(name, version)
    }
    : {
      prepare: Acls.prepare(name),
      fill: (version: number, entries: ReadonlyArray<MapCommands.MapEntry>) =>
        entries.map(({ key }) => Acls.addVersion(name, version, key)),
      commit: (version: number) => Acls.commit(name, version),
      drop: (version: number) => Acls.clearVersion(name, version)
    }

/** Bytes of a payload that every line of HAProxy takes, with room for the command. */
const payloadRoom = 11 * 1024

/** Entries that were checked: a list of what can be sent. */
const entriesOf = Effect.fnUntraced(function*(kind: Kind, given: ReplaceMapInput["entries"]) {
  const entries: Array<MapCommands.MapEntry> = []
  for (const [index, { key, value }] of given.entries()) {
    const at = `entries[${index}]`
    if ((kind === "map") !== (value !== undefined)) {
      return yield* new InvalidInput({
        message: kind === "map" ? `${at}.value is missing` : `${at}.value stands beside kind acl`,
        hint: kind === "map" ? "An entry of a map has a value." : "An ACL's entry is its key alone.",
        field: `${at}.value`
      })
    }
    yield* RuntimeInput.word(`${at}.key`, key)
    if (value !== undefined) yield* RuntimeInput.word(`${at}.value`, value)
    entries.push({ key, value: value ?? "" })
  }
  return entries
})

/** Puts these entries in place of all that there are: look-ups see the old ones until they see all the new ones. */
export const replaceMap = asWriter(
  Tracing.fn("replaceMap")(function*(
    input: ReplaceMapInput
  ): Effect.fn.Return<MapWriteAnswer, ControlError, ProgramServices> {
    const kind = input.kind ?? "map"
    const entries = yield* entriesOf(kind, input.entries)
    const list = yield* requireForeignList(kind, input.list)
    if (entries.length === 0) return yield* clearMap({ list: list.name, kind })
    const swap = swapOf(kind, list.name)
    yield* endBeforeTelling({
      summary: `${list.name} has these ${entries.length} entries and no others, ${untilRestart}`,
      commands: [swap.prepare],
      steps: [
        `${entries.length} entries are added under the version that this answers, and it is put in place at once`
      ],
      now: nowOf(list)
    })
    const version = yield* tell(swap.prepare)
    // A refusal of any part gives the version up; nobody has seen it.
    yield* Effect.forEach(swap.fill(version, entries), (part) => tell(part as Command<unknown>), { discard: true })
      .pipe(
        Effect.andThen(tell(swap.commit(version))),
        Effect.tapError(() => Effect.ignore(tell(swap.drop(version))))
      )
    const now = yield* counted(list, entries.length + 1)
    if (now !== entries.length) return yield* notSo(`${list.name} has ${now} entries of ${entries.length}`)
    return yield* answer(list, true, `${list.name} has these ${entries.length} entries and no others`)
  })
)
