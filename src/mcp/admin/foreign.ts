/** Verbs of the command line on map entries that are not ours. */
import * as Schema from "effect/Schema"
import { adoptForeign, listForeign } from "../../program/Foreign.ts"
import { reads, sets, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

export const listForeignVerb = tool({
  name: "list_foreign",
  title: "List foreign entries",
  description: "Lists the entries of our maps that are not ours, in the files and in HAProxy, each with the reason.",
  annotations: reads,
  input: { limit: Schema.optionalKey(Field.whole(1, 10_000, "Most entries to list.", 100)) },
  output: {
    summary: Field.summary,
    entries: Schema.Array(
      Schema.Struct({
        map: Schema.Literals(["domains", "wildcards"]).annotate({ description: "The map it stands in." }),
        key: Field.text("Its key."),
        value: Field.text("Its value: where it leads."),
        where: Schema.Literals(["file", "haproxy", "both"]).annotate({ description: "Where it stands." }),
        why: Field.text("Why it is not ours."),
        adopt_as: Field.textOrNull("The domain that adopting it adds; null when it cannot be adopted."),
        hint: Field.text("What to do about it.")
      })
    ).annotate({ description: "By map and key." }),
    total: Field.count("How many there are."),
    warnings: Field.texts("What to know about the list.")
  },
  program: listForeign
})

export const adoptForeignVerb = tool({
  name: "adopt_foreign",
  title: "Adopt foreign entries",
  description: "Adds the domains that foreign entries mean to the desired state. The entries stay where they are.",
  annotations: sets,
  input: {
    names: Schema.optionalKey(Field.texts("Keys of entries, or the names they are adopted as.")),
    all: Field.offUnlessSaid("All that can be adopted; beside an empty database, everything that HAProxy runs."),
    dry_run: Field.offUnlessSaid("Only say what would be done.")
  },
  output: {
    summary: Field.summary,
    dry_run: Field.flag("Nothing was done: this was a dry run."),
    adopted: Schema.Array(
      Schema.Struct({ domain: Field.text("The domain."), backend: Field.backend })
    ).annotate({ description: "What was (or would be) adopted." }),
    refused: Schema.Array(
      Schema.Struct({
        key: Field.text("Key of the entry."),
        why: Field.text("Why it is not ours."),
        hint: Field.text("What to do about it.")
      })
    ).annotate({ description: "Entries that stay foreign." }),
    ...Field.written
  },
  program: adoptForeign
})
