/** Verbs of the command line on the change log. */
import * as Schema from "effect/Schema"
import { listChanges, showChange } from "../../program/ChangeList.ts"
import { revert } from "../../program/Revert.ts"
import { reads, removes, tool } from "../Tool.ts"
import { changeFilters, changeItem, editItems, reverted } from "../tools/changes.ts"
import * as Field from "../tools/fields.ts"

export const listChangesVerb = tool({
  name: "list_changes",
  title: "List changes",
  description: "Lists the changes of the desired state, newest first: when, who, by which tool, what, and its outcome.",
  annotations: reads,
  input: {
    limit: Schema.optionalKey(Field.whole(1, 1000, "Most changes on one page.", 50)),
    cursor: Schema.optionalKey(Field.text("next_cursor of the page before.")),
    since: Schema.optionalKey(Field.whole(0, Number.MAX_SAFE_INTEGER, "Only changes of later revisions than this.")),
    ...changeFilters
  },
  output: {
    summary: Field.summary,
    changes: Schema.Array(changeItem).annotate({ description: "One page, newest first." }),
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
    change: changeItem.annotate({ description: "The change." }),
    edits: editItems.annotate({ description: "What it did; at most 500." }),
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
  output: reverted,
  long: true,
  guarded: true,
  program: revert
})
