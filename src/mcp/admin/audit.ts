/** Verbs of the command line on the audit chain. */
import * as Schema from "effect/Schema"
import { auditRecords, verifyAudit } from "../../program/Audit.ts"
import { reads, tool } from "../Tool.ts"
import * as Field from "../tools/fields.ts"

export const verifyAuditVerb = tool({
  name: "verify_audit",
  title: "Verify the audit chain",
  description:
    "Recomputes the audit chain and compares the log of changes with it; names what is not as it was written.",
  annotations: reads,
  input: {},
  output: {
    summary: Field.summary,
    ok: Field.flag("All is as it was written."),
    records: Field.count("Records that were verified."),
    changes: Field.count("Changes of the log that were compared."),
    head_seq: Field.count("Number of the last record."),
    head_hash: Field.text("Its hash."),
    anchor_seq: Field.count("Number of the last record that was dropped for its age; 0: none."),
    anchor_hash: Field.text("Its hash."),
    faults: Schema.Array(Schema.Struct({
      seq: Field.countOrNull("Record of the chain."),
      change_id: Field.textOrNull("Change of the log."),
      what: Field.text("What is wrong.")
    })).annotate({ description: "At most 100." })
  },
  long: true,
  program: verifyAudit
})

export const auditRecordsVerb = tool({
  name: "audit_records",
  title: "Records of the audit chain",
  description: "Answers the records of the audit chain as they are hashed, oldest first.",
  annotations: reads,
  input: {
    after: Schema.optionalKey(Field.whole(0, Number.MAX_SAFE_INTEGER, "Only records after this number.", 0)),
    since: Schema.optionalKey(Field.text("Only of this time or later, ISO 8601.")),
    limit: Schema.optionalKey(Field.whole(1, 1000, "Most records.", 500))
  },
  output: {
    summary: Field.summary,
    records: Schema.Array(Schema.Struct({
      seq: Field.count("Number."),
      time: Field.text("ISO 8601 in UTC."),
      at: Field.count("The same in milliseconds since 1970, as it is hashed."),
      kind: Field.text("What it tells of."),
      payload: Field.text("JSON, as it is hashed."),
      hash: Field.text("SHA-256 of the hash before, seq, at, kind and payload, one a line.")
    })).annotate({ description: "Oldest first." }),
    next_after: Field.countOrNull("Number after which the next page begins; null on the last.")
  },
  bulk: true,
  program: auditRecords
})
