/** Tools on the change log: who did what, and taking it back. */
import * as Schema from "effect/Schema"
import { changes } from "../../program/ChangeList.ts"
import { revert } from "../../program/Revert.ts"
import { reads, removes, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

/** A row of the change log. */
export const changeItem = Schema.Struct({
  time: Field.text("When it was committed, ISO 8601 in UTC."),
  revision: Field.count("Revision of the desired state that it made."),
  change_id: Field.text("Id of the change."),
  via: Field.text("How it came: mcp, stdio, cli, migration."),
  who: Field.text("Token name and id, address or user."),
  request_id: Field.text("Request id in the log."),
  tool: Field.text("Tool or verb."),
  summary: Field.text("What it did."),
  outcome: Schema.Literals(["pending", "applied", "reverted", "unknown"]).annotate({
    description: "What became of it."
  })
})

/** What a change did, row by row. */
export const editItems = Schema.Array(Schema.Struct({
  what: Field.text("A name, a slot, or the owner of a pool."),
  before: Field.textOrNull("Null: it was not there."),
  after: Field.textOrNull("Null: it is gone.")
}))

/** Which changes to list. */
export const changeFilters = {
  domain: Schema.optionalKey(Field.text("Only changes that speak of this name.")),
  who: Schema.optionalKey(Field.text("Only by this token (name or id), address or user.")),
  from: Schema.optionalKey(Field.text("Only since then, ISO 8601.")),
  until: Schema.optionalKey(Field.text("Only until then, ISO 8601."))
}

/** What taking a change back answers. */
export const reverted = {
  summary: Field.summary,
  reverted: Field.text("The change that was taken back."),
  rows: Field.count("Rows that it had changed."),
  ...Field.written,
  ...Field.planned
}

export const changesTool = tool({
  name: "haproxy_changes",
  title: "List changes",
  scope: "read",
  description:
    "Who changed what and when, newest first: a history (audit log) of domains, servers, certificates and tokens. Filters by "
    + "domain, token and time. With change_id: that change alone, every row before and after. Undo one with haproxy_revert.",
  annotations: reads,
  input: {
    change_id: Schema.optionalKey(Field.text("Show this one, with its rows.")),
    ...changeFilters,
    limit: Schema.optionalKey(Field.whole(1, 50, "Most rows.", 20)),
    cursor: Schema.optionalKey(Field.text("next_cursor of the page before."))
  },
  output: {
    summary: Field.summary,
    changes: Schema.Array(changeItem).annotate({ description: "One page, newest first." }),
    next_cursor: Field.textOrNull("Cursor of the next page; null on the last."),
    edits: editItems.annotate({ description: "With change_id: what it did; at most 50." }),
    edit_count: Field.count("How many edits it has.")
  },
  program: changes
})

export const revertTool = tool({
  name: "haproxy_revert",
  title: "Revert a change",
  scope: "config",
  description:
    "Undoes one change (imports too) as a new change: its domains and servers go back to what they were before, all or "
    + "none. CONFLICT names later changes that stand in the way. Not for certificates. Look first: haproxy_changes.",
  annotations: removes,
  input: { change_id: Field.text("Id from haproxy_changes."), ...Field.force, ...Field.dryRun },
  output: reverted,
  long: true,
  guarded: true,
  program: revert
})
