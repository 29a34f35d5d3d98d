/** The verb of `haproxy-mcp backup`. */
import * as Schema from "effect/Schema"
import { copyDatabase } from "../../program/backup/CopyDatabase.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

export const copyDatabaseVerb = tool({
  name: "copy_database",
  title: "Copy the database",
  description: "Writes a whole copy of the database beside it, for the asking process to check and take away.",
  annotations: reads,
  input: { pid: Schema.Int.annotate({ description: "The asking process: the copy stays while it lives." }) },
  output: {
    summary: Field.summary,
    file: Field.text("Path of the copy."),
    revision: Field.count("Revision of the desired state that it holds."),
    bytes: Field.count("Its size.")
  },
  program: copyDatabase
})
