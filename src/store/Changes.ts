/**
 * The change log. It keeps the newest changes and every one whose fate is not recorded; the whole of it travels
 * with each copy of the database, so it is bounded.
 */
import type { Actor, Change, ChangeHead, Edit, Outcome } from "../domain/Change.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Database, Row } from "./Database.ts"
import { decodeEdits, encodeEdits } from "./EditJson.ts"

/** What a change row is made of; revision and time are the commit's. */
export interface ChangeDraft {
  readonly changeId: string
  readonly actor: Actor
  readonly tool: string
  readonly summary: string
  readonly edits: ReadonlyArray<Edit>
  readonly outcome: Outcome
  /** For the audit chain: the public id of the caller's token, and the call's arguments without secrets, as JSON. */
  readonly audit?: { readonly token: string | null; readonly args: unknown }
}

/** Which changes to list. Newest first. */
export interface ChangeQuery {
  /** Only older ones than this place in the log: {@link ChangePage.next} of the page before. */
  readonly before?: number
  /** Only of later revisions than this one. */
  readonly since?: number
  /** Only those of this revision. */
  readonly revision?: number
  /** Only those that speak of this name. */
  readonly name?: RouteName
  /** Only those of this caller: `ci/3f9k2m7q1z`, a token's name, or a token's public id. */
  readonly who?: string
  /** Only those of this time or later, and of this time or earlier, milliseconds since 1970. */
  readonly from?: number
  readonly until?: number
  readonly limit: number
}

/** Some changes, and where the next page begins; null on the last. */
export interface ChangePage {
  readonly changes: ReadonlyArray<ChangeHead>
  readonly next: number | null
}

/** Old changes are dropped in steps of this many, not one with each commit. */
const pruneEvery = 64

const columns = "change_id, revision, at, via, who, request_id, tool, summary, edits, outcome"

const headColumns = "id, change_id, revision, at, via, who, request_id, tool, summary, outcome"

/** A row without its edits, with what was settled since it was written. */
const toHead = (row: Row, settled: ReadonlyMap<string, Outcome>): ChangeHead => {
  const changeId = row["change_id"] as string
  return {
    changeId,
    revision: row["revision"] as number,
    at: row["at"] as number,
    actor: {
      via: row["via"] as string,
      who: row["who"] as string,
      requestId: row["request_id"] as string
    },
    tool: row["tool"] as string,
    summary: row["summary"] as string,
    outcome: settled.get(changeId) ?? row["outcome"] as Outcome
  }
}

const toChange = (row: Row, settled: ReadonlyMap<string, Outcome>): Change => ({
  ...toHead(row, settled),
  edits: decodeEdits(row["edits"] as string)
})

/** Rows read at once; one more look is a walk down the primary key. */
const pageRows = 200

/** Does a text speak of a name, and not of a longer one? */
const speaksOf = (text: string, name: RouteName): boolean => {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    if (
      !/[a-z0-9*.-]/.test(text[at - 1] ?? " ") &&
      !/[a-z0-9-]|\.[a-z0-9]/.test(text.slice(at + name.length, at + name.length + 2))
    ) {
      return true
    }
  }
  return false
}

/** Is a change of this caller, named as a whole or by one part of `name/id`? */
const isBy = (row: Row, who: string): boolean => {
  const found = row["who"] as string
  return found === who || found.startsWith(`${who}/`) || found.endsWith(`/${who}`)
}

/** The place in the log behind the changes of a revision. Looks through the log, which is bounded, but not at edits. */
const placeAfter = (db: Database, revision: number): number =>
  Number(db.get("SELECT max(id) AS id FROM changes WHERE revision = ?", revision)?.["id"] ?? 0) + 1

/** Numbers of revisions that begin so, newest first. */
export const revisions = (db: Database, prefix: string, limit: number): ReadonlyArray<number> =>
  db.all(
    "SELECT DISTINCT revision FROM changes WHERE substr(revision, 1, ?) = ? ORDER BY revision DESC LIMIT ?+0",
    prefix.length,
    prefix,
    limit
  ).map((row) => row["revision"] as number)

/** Newest first, by their place in the log. Edits name routes and owners; a change of servers names them in its words. */
export const list = (db: Database, query: ChangeQuery, settled: ReadonlyMap<string, Outcome>): ChangePage => {
  const { from, limit, name, revision, since, until, who } = query
  const found: Array<ChangeHead> = []
  let before = query.before ?? (revision === undefined ? Number.MAX_SAFE_INTEGER : placeAfter(db, revision))
  for (;;) {
    const rows = name === undefined
      ? db.all(`SELECT ${headColumns} FROM changes WHERE id < ? ORDER BY id DESC LIMIT ?+0`, before, pageRows)
      : db.all(
        `SELECT ${headColumns}, instr(edits, ?) > 0 AS named FROM changes WHERE id < ? ORDER BY id DESC LIMIT ?+0`,
        JSON.stringify(name),
        before,
        pageRows
      )
    for (const row of rows) {
      // Revisions grow with the log.
      const of = row["revision"] as number
      if (of <= (since ?? -1) || of < (revision ?? 0)) return { changes: found, next: null }
      // Not their order: a clock may have been set back.
      const at = row["at"] as number
      if ((from !== undefined && at < from) || (until !== undefined && at > until)) continue
      if (who !== undefined && !isBy(row, who)) continue
      if (name !== undefined && row["named"] !== 1 && !speaksOf(row["summary"] as string, name)) continue
      if (found.length === limit) return { changes: found, next: before }
      found.push(toHead(row, settled))
      before = row["id"] as number
    }
    if (rows.length < pageRows) return { changes: found, next: null }
    before = rows.at(-1)!["id"] as number
  }
}

export const find = (db: Database, changeId: string, settled: ReadonlyMap<string, Outcome>): Change | null => {
  const row = db.get(`SELECT ${columns} FROM changes WHERE change_id = ?`, changeId)
  return row === undefined ? null : toChange(row, settled)
}

/** Oldest first. */
export const pending = (db: Database, settled: ReadonlyMap<string, Outcome>): ReadonlyArray<Change> =>
  db.all(`SELECT ${columns} FROM changes WHERE outcome = 'pending' ORDER BY id`)
    .map((row) => toChange(row, settled))
    .filter((change) => change.outcome === "pending")

/** What became of a row that was added: its place and the text of its edits; and up to which place older ones were dropped. */
export interface Inserted {
  readonly id: number
  readonly edits: string
  readonly through: number | null
}

/** Adds a row, and now and then drops those that are older than the newest `keep`. */
export const insert = (db: Database, draft: ChangeDraft, revision: number, at: number, keep: number): Inserted => {
  const edits = encodeEdits(draft.edits)
  const { lastInsertRowid } = db.prepare(
    `INSERT INTO changes (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
  ).run(
    draft.changeId,
    revision,
    at,
    draft.actor.via,
    draft.actor.who,
    draft.actor.requestId,
    draft.tool,
    draft.summary,
    edits,
    draft.outcome
  )
  const id = Number(lastInsertRowid)
  const drops = id % pruneEvery === 0
    && db.run("DELETE FROM changes WHERE id <= ? AND outcome <> 'pending'", id - keep) > 0
  return { id, edits, through: drops ? id - keep : null }
}
