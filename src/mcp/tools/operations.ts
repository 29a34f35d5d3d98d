/** The tool that follows work which outlived its call. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { operation } from "../../program/Operations.ts"
import { errorCodes, ErrorDocument } from "../ErrorDocument.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "./fields.ts"

const described = ErrorDocument.properties

export const operationTool = tool({
  name: "haproxy_operation",
  title: "Follow an operation",
  scope: "read",
  reach: "filtered",
  description:
    "Says how a long operation (operation_id) or a change (change_id, as in OUTCOME_UNKNOWN) stands, after waiting "
    + "up to wait seconds for its end: status and, once done, the result or error of the tool that began it.",
  annotations: reads,
  input: {
    operation_id: Field.text("operation_id or change_id from an earlier answer."),
    wait: Schema.optionalKey(Field.whole(0, 45, "Seconds to wait for its end.", 0))
  },
  output: {
    summary: Field.summary,
    operation_id: Field.text("The id that was asked for."),
    tool: Field.text("The tool that began it."),
    status: Schema.Literals(["running", "done", "failed", "applied", "reverted", "pending", "unknown"]).annotate({
      description: "Operations: running, done, failed. Changes: pending, applied, reverted, unknown."
    }),
    started_at: Field.text("When it began, ISO 8601 in UTC."),
    finished_at: Field.textOrNull("When it ended; null while it runs."),
    result: Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)).annotate({
      description: "The answer of the tool that began it; null until then."
    }),
    // Its own name: `error` at the root means that this call failed.
    failure: Schema.NullOr(
      Schema.Struct({
        code: Schema.Literals(errorCodes).annotate({ description: described.code.description }),
        message: Field.text(described.message.description),
        retryable: Field.flag(described.retryable.description),
        field: Schema.optionalKey(Field.text(described.field.description)),
        valid_values: Schema.optionalKey(Field.texts(described.valid_values.description)),
        hint: Field.text(described.hint.description),
        change_id: Schema.optionalKey(Field.text(described.change_id.description))
      })
    ).annotate({ description: "Why the operation failed; null otherwise." })
  },
  long: true,
  program: (input) =>
    Effect.map(operation(input), ({ error, result, ...answer }) => ({
      ...answer,
      result: result as { readonly [name: string]: unknown } | null,
      failure: error
    }))
})
