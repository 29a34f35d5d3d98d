/** Verbs of the command line on all domains at once: import and export. */
import * as Schema from "effect/Schema"
import { exportDomains } from "../../program/Export.ts"
import { importDomains } from "../../program/Import.ts"
import { reads, sets, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

const problem = Schema.Struct({
  line: Field.count("Line of the file, from 1."),
  field: Field.text("Column or field at fault; empty for the whole line."),
  message: Field.text("The rule that is broken."),
  hint: Field.text("How to write it right.")
})

export const importVerb = tool({
  name: "import_domains",
  title: "Import domains",
  description: "Imports many domains as one change: checked as a whole, all or nothing unless skip_bad is set.",
  annotations: sets,
  input: {
    rows: Schema.Unknown.annotate({ description: "Pairs of a line number and a row of the file." }),
    problems: Schema.optionalKey(
      Schema.Array(problem).annotate({ description: "Lines that could not be read, with the reason." })
    ),
    dry_run: Field.offUnlessSaid("Only say what would be done."),
    skip_bad: Field.offUnlessSaid("Import the good rows although others are bad.")
  },
  output: {
    summary: Field.summary,
    outcome: Schema.Literals(["imported", "unchanged", "refused", "checked"]).annotate({
      description: "refused and checked wrote nothing."
    }),
    rows: Field.count("Rows of the file."),
    added: Field.count("Domains that came."),
    unchanged: Field.count("Domains that were there as the file says."),
    bad: Field.count("Bad rows."),
    wildcards: Field.count("Implicit wildcards that came with their domains."),
    pools: Field.count("New pools."),
    servers: Field.count("New servers."),
    problems: Schema.Array(problem).annotate({ description: "What is wrong, by line; at most 100." }),
    problem_count: Field.count("How many problems there are."),
    ...Field.written
  },
  program: importDomains
})

export const exportVerb = tool({
  name: "export_domains",
  title: "Export domains",
  description: "Answers every domain with its pool or owner and its servers, of one revision, as an import takes them.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    revision: Field.count("Revision of the desired state that the rows are."),
    // No schema for each row: encoding 100,000 of them by one takes seconds, and the program made them.
    rows: Schema.Array(Schema.Unknown).annotate({ description: "The rows, oldest first." })
  },
  bulk: true,
  program: exportDomains
})
