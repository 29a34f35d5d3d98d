/** Verbs of the command line on the change log. */
import * as Schema from "effect/Schema"
import { listChanges, showChange } from "../../program/ChangeList.ts"
import { revert } from "../../program/Revert.ts"
import { reads, removes, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

const change = Schema.Struct({
  time: Field.text("When it was committed, ISO 8601 in UTC."),
  revision: Field.count("Revision of the desired state that it made."),
  change_id: Field.text("Id of the change."),
  via: Field.text("How it came: mcp, stdio, cli, migration."),
  who: Field.text("Token name, peer address or user."),
  request_id: Field.text("Request id in the log."),
  tool: Field.text("Tool or verb."),
  summary: Field.text("What it did, in one sentence."),
  outcome: Schema.Literals(["pending", "applied", "reverted", "unknown"]).annotate({
    description: "What became of it."
  })
})

export const listChangesVerb = tool({
  name: "list_changes",
  title: "List changes",
  description: "Lists the changes of the desired state, newest first: when, who, by which tool, what, and its outcome.",
  annotations: reads,
  input: {
    limit: Schema.optionalKey(Field.whole(1, 1000, "Most changes on one page.", 50)),
    cursor: Schema.optionalKey(Field.text("next_cursor of the page before.")),
    since: Schema.optionalKey(Field.whole(0, Number.MAX_SAFE_INTEGER, "Only changes of later revisions than this.")),
    domain: Schema.optionalKey(Field.text("Only changes that speak of this name.")),
    who: Schema.optionalKey(Field.text("Only by this token (name or id), address or user.")),
    from: Schema.optionalKey(Field.text("Only since then, ISO 8601.")),
    until: Schema.optionalKey(Field.text("Only until then, ISO 8601."))
  },
  output: {
    summary: Field.summary,
    changes: Schema.Array(change).annotate({ description: "One page, newest first." }),
    next_cursor: Field.textOrNull("Cursor of the next page; null on the last.")
  },
  program: listChanges
})

export const showChangeVerb = tool({
  name: "show_change",
  title: "Show a change",
  description: "Says what one change did: every row before and after.",
  annotations: reads,
  input: { change_id: Field.text("Id of the change.") },
  output: {
    summary: Field.summary,
    change: change.annotate({ description: "The change." }),
    edits: Schema.Array(
      Schema.Struct({
        what: Field.text("A name, a slot, or the owner of a pool."),
        before: Field.textOrNull("Null: it was not there."),
        after: Field.textOrNull("Null: it is gone.")
      })
    ).annotate({ description: "What it did; at most 500." }),
    edit_count: Field.count("How many edits it has.")
  },
  program: showChange
})

export const revertVerb = tool({
  name: "revert_change",
  title: "Revert a change",
  description: "Takes one change back as a new one: its domains and servers are what they were before, all or none.",
  annotations: removes,
  input: { change_id: Field.text("Id of the change."), ...Field.force, ...Field.dryRun },
  output: {
    summary: Field.summary,
    reverted: Field.text("The change that was taken back."),
    rows: Field.count("Rows that it had changed."),
    ...Field.written,
    ...Field.planned
  },
  long: true,
  guarded: true,
  program: revert
})
