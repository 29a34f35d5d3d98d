/** `haproxy-mcp audit`: verifies the audit chain of the database, and writes it out as lines of JSON. */
import * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { AuditItem, AuditRecordsAnswer, VerifyAuditAnswer } from "../program/Audit.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { clean } from "./TextTable.ts"
import { answer, answerOf, put, withTools } from "./Verb.ts"

/** Milliseconds that a whole chain gets to be verified. */
const patience = 40_000

/** The verdict for people. */
export const verdictText = (found: VerifyAuditAnswer): string =>
  [
    found.summary,
    ...found.faults.map(({ change_id: change, seq, what }) =>
      `  ${
        [seq === null ? null : `record ${seq}`, change === null ? null : clean(change)].filter((at) => at !== null)
          .join(", ")
      }: ${clean(what)}`
    ),
    ...(found.anchor_seq === 0 ? [] : [`begins after record ${found.anchor_seq}  ${found.anchor_hash}`]),
    `ends with record ${found.head_seq}  ${found.head_hash}`,
    ""
  ].join("\n")

/** Verifies; exit code 1 when something is not as it was written. */
export const verify = Effect.fnUntraced(function*<R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: { readonly json: boolean }
) {
  const found = (yield* answer(handlers, sources, {
    name: "verify_audit",
    kind: "admin",
    timeout: patience,
    args: {}
  })) as unknown as VerifyAuditAnswer
  process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : verdictText(found))
  if (!found.ok) return yield* new Ended({ code: exitCodes.failed })
})

/** A record as a line: with its payload as it was hashed, and readable beside it. */
export const lineOf = ({ at, hash, kind, payload, seq, time }: AuditItem): string => {
  let content: unknown = null
  try {
    content = JSON.parse(payload)
  } catch {
    // Somebody edited it: `audit verify` says so.
  }
  return `${JSON.stringify({ seq, time, kind, content, at, payload, hash })}\n`
}

/** Writes the records, oldest first. */
export const writeOut = <R>(
  handlers: Pick<Handlers<R>, "alone">,
  sources: Sources,
  options: { readonly since: string | null }
) =>
  withTools(
    handlers,
    sources,
    Effect.gen(function*() {
      let after: number | null = 0
      while (after !== null) {
        const args: Record<string, unknown> = { after, ...(options.since === null ? {} : { since: options.since }) }
        const result = yield* put({ name: "audit_records", kind: "admin", timeout: patience, args })
        const page = (yield* answerOf(result)) as unknown as AuditRecordsAnswer
        process.stdout.write(page.records.map(lineOf).join(""))
        after = page.next_after
      }
    })
  )
