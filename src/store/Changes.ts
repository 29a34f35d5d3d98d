/**
 * The change log. It keeps the newest changes and every one whose fate is not recorded; the whole of it travels
 * with each copy of the database, so it is bounded.
 */
import type { Change, Outcome } from "../domain/Change.ts"
import type { Database, Row } from "./Database.ts"
import { decodeEdits, encodeEdits } from "./EditJson.ts"
import type { ChangeDraft } from "./Store.ts"

/** Old changes are dropped in steps of this many, not one with each commit. */
const pruneEvery = 64

const columns = "change_id, revision, at, via, who, request_id, tool, summary, edits, outcome"

/** A row, with what was settled since it was written. */
const toChange = (row: Row, settled: ReadonlyMap<string, Outcome>): Change => {
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
    edits: decodeEdits(row["edits"] as string),
    outcome: settled.get(changeId) ?? row["outcome"] as Outcome
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

/** Adds a row, and now and then drops those that are older than the newest `keep`. */
export const insert = (db: Database, draft: ChangeDraft, revision: number, at: number, keep: number): void => {
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
    encodeEdits(draft.edits),
    draft.outcome
  )
  const id = Number(lastInsertRowid)
  if (id % pruneEvery === 0) db.run("DELETE FROM changes WHERE id <= ? AND outcome <> 'pending'", id - keep)
}
