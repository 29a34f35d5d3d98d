/**
 * The verbs on map entries that are not ours: list them, adopt those that lead to one of our pools.
 *
 * To adopt is to add the name that an entry means to the desired state, in the pool that the entry leads to. The entry
 * itself stays where it is, so nobody who is served by it notices. An entry that leads to another program's backend
 * cannot be adopted: its servers are not in a pool of ours. Beside an empty database `all` means everything that
 * HAProxy runs: its names and servers become the desired state, and nothing changes in HAProxy.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import { type ControlError, InvalidInput, NotFound } from "../domain/Errors.ts"
import { poolName } from "../domain/Pool.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer, WriteAnswer } from "./Answer.ts"
import type { Decide, Draft } from "./Decision.ts"
import { adopted, type ForeignItem, readForeign } from "./ForeignEntries.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { counted } from "./MigrationReport.ts"
import { PoolAllocator, write } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

export interface ListForeignAnswer extends Answer {
  readonly entries: ReadonlyArray<ForeignItem>
  readonly total: number
  readonly warnings: ReadonlyArray<string>
}

export interface AdoptForeignInput {
  readonly names?: ReadonlyArray<string>
  readonly all?: boolean
  readonly dry_run?: boolean
}

export interface AdoptForeignAnswer extends WriteAnswer {
  readonly dry_run: boolean
  readonly adopted: ReadonlyArray<{ readonly domain: string; readonly backend: string }>
  /** Entries that stay foreign, of those that were asked for. */
  readonly refused: ReadonlyArray<{ readonly key: string; readonly why: string; readonly hint: string }>
}

const unseenText = (unseen: string): ReadonlyArray<string> =>
  unseen === "" ? [] : [`Only the files were read, HAProxy was not: ${unseen}`]

/** All foreign entries, by map and key. */
export const listForeign = Tracing.fn("listForeign")(function*(
  input: { readonly limit?: number }
): Effect.fn.Return<ListForeignAnswer, ControlError, ProgramServices> {
  const limit = yield* Input.whole("limit", input.limit ?? 100, 1, 10_000)
  const { entries, unseen } = yield* readForeign()
  const able = entries.filter((entry) => entry.adopt_as !== null).length
  return {
    summary: entries.length === 0
      ? "No foreign entry"
      : `${counted(entries.length, "foreign entry", "foreign entries")}, ${able} of them can be adopted`,
    entries: entries.slice(0, limit),
    total: entries.length,
    warnings: unseenText(unseen)
  }
})

const none = { dry_run: false, adopted: [], refused: [], warnings: [] }

/** Beside an empty database: everything that HAProxy runs. */
const adoptEverything = Effect.fnUntraced(function*(dryRun: boolean) {
  const allocator = yield* PoolAllocator
  const store = yield* Store
  if (dryRun) {
    const { reason } = yield* allocator.sync
    const answer: AdoptForeignAnswer = {
      ...none,
      dry_run: true,
      summary: "The database is empty: everything that HAProxy runs in our pools would become the desired state",
      changed: false,
      revision: yield* store.revision,
      warnings: reason === "" ? [] : [reason]
    }
    return answer
  }
  yield* allocator.takeOver
  const { domains, servers, wildcards } = yield* store.counts
  const revision = yield* store.revision
  const { changes: [change] } = yield* store.changes({ limit: 1 })
  const answer: AdoptForeignAnswer = {
    ...none,
    summary: revision === 0
      ? "HAProxy runs nothing in our pools: there is nothing to take over"
      : `${counted(domains, "domain")}, ${counted(wildcards, "wildcard")} and ${
        counted(servers, "server")
      } are taken over as HAProxy runs them`,
    changed: revision > 0,
    ...(change === undefined ? {} : { change_id: change.changeId }),
    revision
  }
  return answer
})

const refusal = ({ hint, key, why }: ForeignItem) => ({ key, why, hint })

/** The entries that were asked for. */
const choose = Effect.fnUntraced(function*(entries: ReadonlyArray<ForeignItem>, input: AdoptForeignInput) {
  if (input.all === true) return entries.filter((entry) => entry.adopt_as !== null)
  const chosen: Array<ForeignItem> = []
  for (const name of input.names ?? []) {
    const found = entries.filter((entry) => entry.key === name || entry.adopt_as === name)
    if (found.length === 0) {
      return yield* new NotFound({
        message: `No foreign entry has the key ${Input.shown(name)}`,
        hint: "`haproxy-mcp foreign list` says which there are.",
        field: "names",
        validValues: entries.slice(0, 5).map(({ key }) => key)
      })
    }
    chosen.push(...found)
  }
  return chosen
})

/** Adds what entries mean to the desired state; what cannot be adopted is refused one by one. */
export const adoptForeign = Tracing.fn("adoptForeign")(function*(
  input: AdoptForeignInput
): Effect.fn.Return<AdoptForeignAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = (yield* Limits).pools
  const dryRun = input.dry_run === true
  const named = input.names?.length ?? 0
  if (named > 0 === (input.all === true)) {
    return yield* new InvalidInput({
      message: named > 0 ? "names stand beside all" : "Nothing is named",
      hint: "Name the entries to adopt, or all of them with --all.",
      field: "names"
    })
  }
  if (input.all === true && (yield* store.revision) === 0) return yield* adoptEverything(dryRun)
  const { entries, unseen } = yield* readForeign()
  const chosen = yield* choose(entries, input)
  const refused = chosen.filter((entry) => entry.adopt_as === null).map(refusal)
  // One name may be meant by several entries: the first counts, as in HAProxy.
  const meant = chosen.flatMap((entry) => adopted(entry, limits) ?? [])
  const wanted = meant.filter((one, index) => meant.findIndex(({ name }) => name === one.name) === index)
  const items = wanted.map(({ name, pool }) => ({ domain: name, backend: poolName(pool) }))
  const summaryOf = (verb: string) =>
    `${counted(items.length, "entry", "entries")} ${verb}${refused.length === 0 ? "" : `; ${refused.length} cannot be`}`
  const answer: Draft<AdoptForeignAnswer> = {
    summary: summaryOf(dryRun ? "would be adopted" : "adopted"),
    dry_run: dryRun,
    adopted: items,
    refused,
    warnings: unseenText(unseen)
  }
  if (dryRun || wanted.length === 0) return { ...answer, changed: false, revision: yield* store.revision }
  const decide: Decide<Draft<AdoptForeignAnswer>> = Effect.fnUntraced(function*(view) {
    const edits: Array<Edit> = []
    const owned = new Set<number>()
    const first = yield* store.nextSeq
    for (const [index, { name, pool }] of wanted.entries()) {
      if ((yield* store.route(name)) !== null || (yield* view.foreign(name)) !== null) continue
      if (!owned.has(pool) && (yield* store.owner(pool)) === null) {
        edits.push({ kind: "owner", pool, before: null, after: name })
      }
      owned.add(pool)
      edits.push({ kind: "route", name, before: null, after: { name, pool, implicit: false, seq: first + index } })
    }
    return { edits, reads: wanted.map(({ pool }) => `pool:${pool}`), summary: answer.summary, answer }
  })
  return yield* write(decide)
})
