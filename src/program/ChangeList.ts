/** Who changed what: the change log, newest first, or one change with its edits in words. */
import * as Effect from "effect/Effect"
import { formatEndpoint } from "../domain/Address.ts"
import type { ChangeHead, Edit, Route } from "../domain/Change.ts"
import { type ControlError, InvalidInput, NotFound } from "../domain/Errors.ts"
import { poolName, type Server, slotName } from "../domain/Pool.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import * as Input from "./Input.ts"
import * as Page from "./Page.ts"
import type { ProgramServices } from "./Services.ts"

/** Changes of one page when nobody says. */
const usualLimit = 50
/** Edits of one change that are shown: a migration has thousands. */
const shownEdits = 500

export interface ListChangesInput {
  readonly limit?: number
  /** `next_cursor` of the page before. */
  readonly cursor?: string
  /** Only later revisions. */
  readonly since?: number
  /** Only changes that speak of this name. */
  readonly domain?: string
  /** Only changes of this caller: as the log names it, or a token's name or public id. */
  readonly who?: string
  /** Only changes of this time or later, and of this time or earlier, ISO 8601. */
  readonly from?: string
  readonly until?: string
}

/** A change, as scripts and tables take it. */
export interface ChangeItem {
  /** ISO 8601, UTC. */
  readonly time: string
  readonly revision: number
  readonly change_id: string
  readonly via: string
  readonly who: string
  readonly request_id: string
  readonly tool: string
  readonly summary: string
  readonly outcome: ChangeHead["outcome"]
}

export interface ListChangesAnswer extends Answer {
  readonly changes: ReadonlyArray<ChangeItem>
  readonly next_cursor: string | null
}

/** One row before and after; null: it was not, or is not, there. */
export interface EditItem {
  readonly what: string
  readonly before: string | null
  readonly after: string | null
}

export interface ShowChangeAnswer extends Answer {
  readonly change: ChangeItem
  /** At most 500. */
  readonly edits: ReadonlyArray<EditItem>
  readonly edit_count: number
}

const item = ({ actor, at, changeId, outcome, revision, summary, tool }: ChangeHead): ChangeItem => ({
  time: new Date(at).toISOString(),
  revision,
  change_id: changeId,
  via: actor.via,
  who: actor.who,
  request_id: actor.requestId,
  tool,
  summary,
  outcome
})

const routeText = (route: Route | null): string | null =>
  route === null ? null : `${poolName(route.pool)}${route.implicit ? ", with its domain" : ""}`

const serverText = (server: Server | null): string | null =>
  server === null ? null : `${formatEndpoint(server.ip, server.port)} weight ${server.weight} ${server.state}`

/** An edit in words. */
export const editItem = (edit: Edit): EditItem =>
  edit.kind === "route"
    ? { what: edit.name, before: routeText(edit.before), after: routeText(edit.after) }
    : edit.kind === "server"
    ? { what: slotName(edit.pool, edit.slot), before: serverText(edit.before), after: serverText(edit.after) }
    : { what: `owner of ${poolName(edit.pool)}`, before: edit.before, after: edit.after }

/** A page of the change log, newest first. */
export const listChanges = Tracing.fn("listChanges")(function*(
  input: ListChangesInput
): Effect.fn.Return<ListChangesAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limit = yield* Input.whole("limit", input.limit ?? usualLimit, 1, 1000)
  const name = input.domain === undefined ? undefined : yield* Input.existingName("domain", input.domain)
  const from = input.from === undefined ? undefined : yield* Input.time("from", input.from)
  const until = input.until === undefined ? undefined : yield* Input.time("until", input.until)
  const before = input.cursor === undefined
    ? undefined
    : Number((yield* Page.positionOf(input.cursor, /^[1-9]\d{0,14}$/))[0])
  if (input.who !== undefined) yield* Input.search("who", input.who)
  const { changes, next } = yield* store.changes({
    limit,
    ...(name === undefined ? {} : { name }),
    ...(before === undefined ? {} : { before }),
    ...(input.since === undefined ? {} : { since: input.since }),
    ...(input.who === undefined || input.who.trim() === "" ? {} : { who: input.who.trim() }),
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until })
  })
  return {
    summary: changes.length === 0 ? "No change" : `${changes.length} changes, newest first`,
    changes: changes.map(item),
    next_cursor: next === null ? null : Page.cursorOf(String(next))
  }
})

/** One change with what it did. */
export const showChange = Tracing.fn("showChange")(function*(
  input: { readonly change_id: string }
): Effect.fn.Return<ShowChangeAnswer, ControlError, ProgramServices> {
  const change = yield* (yield* Store).change(input.change_id.slice(0, 100))
  if (change === null) {
    return yield* new NotFound({
      message: `There is no change ${Input.shown(input.change_id)}`,
      hint: "haproxy_changes and `haproxy-mcp changes` list them; the log keeps the newest 10,000.",
      field: "change_id"
    })
  }
  return {
    summary: change.summary,
    change: item(change),
    edits: change.edits.slice(0, shownEdits).map(editItem),
    edit_count: change.edits.length
  }
})

/** Changes of one page for a model, when nobody says and at most; characters of a summary there; edits of one change. */
const modelLimit = 20
const modelMost = 50
const modelSummary = 200
const modelEdits = 50

export interface ChangesInput extends Omit<ListChangesInput, "since"> {
  readonly change_id?: string
}

export interface ChangesAnswer extends ListChangesAnswer {
  readonly edits: ReadonlyArray<EditItem>
  readonly edit_count: number
}

const shortened = (change: ChangeItem): ChangeItem =>
  change.summary.length > modelSummary ? { ...change, summary: `${change.summary.slice(0, modelSummary)}…` } : change

/** A page of the change log, or with `change_id` that change and its edits: at most what a model can read. */
export const changes = Tracing.fn("changes")(function*(
  input: ChangesInput
): Effect.fn.Return<ChangesAnswer, ControlError, ProgramServices> {
  const { change_id, limit = modelLimit, ...query } = input
  if (change_id === undefined) {
    const listed = yield* listChanges({ ...query, limit: Math.min(modelMost, limit) })
    return { ...listed, changes: listed.changes.map(shortened), edits: [], edit_count: 0 }
  }
  const beside = Object.keys(input).find((name) => name !== "change_id")
  if (beside !== undefined) {
    return yield* new InvalidInput({
      message: `${beside} does not go with change_id`,
      hint: "Give change_id alone for one change, or filters for a list.",
      field: beside
    })
  }
  const { change, edits, ...one } = yield* showChange({ change_id })
  return { ...one, changes: [change], next_cursor: null, edits: edits.slice(0, modelEdits) }
})
