/**
 * What resources and completions read that no tool answers alone. A reading is run as a tool is (decoded, timed, logged,
 * counted, over the admin socket too), but it is in no catalogue: `tools/list` does not name it and `tools/call` does not
 * reach it. Whether a caller may have one is said by the row of the tool that it stands beside (`by`), so rights and
 * rules have one table.
 */
import * as Schema from "effect/Schema"
import { completeDomains, completePools, completeRevisions } from "../program/Completions.ts"
import { showPool, showRevision } from "../program/Resources.ts"
import { findTool } from "./Catalogue.ts"
import { reads, type Tool, tool } from "./Tool.ts"
import { changesTool } from "./tools/changes.ts"
import { listDomainsTool } from "./tools/domains.ts"
import * as Field from "./tools/fields.ts"
import { backendsTool } from "./tools/monitoring.ts"

/** A reading: a tool without words for a model, and the tool that decides of it. */
export type Reading = Tool & { readonly by: NonNullable<Tool["by"]> }

const besides = (by: Reading["by"], made: Tool): Reading => Object.assign(made, { by })

const nullableText = Schema.NullOr(Schema.String)

const pool = besides(
  backendsTool,
  tool({
    name: "read_pool",
    title: "Pool",
    description: "A pool with its servers and the domains that lead there.",
    annotations: reads,
    scope: backendsTool.scope,
    reach: backendsTool.reach,
    input: { pool: Field.text("HAProxy's name, such as pool_3.") },
    output: {
      summary: Field.summary,
      pool: Schema.String,
      owner: nullableText,
      domains: Schema.Array(Schema.String),
      domain_count: Schema.Int,
      servers: Schema.Array(Schema.Struct({
        slot: Schema.Int,
        name: Schema.String,
        addr: Schema.String,
        weight: Schema.Int,
        state: Schema.String,
        status: nullableText,
        check_status: nullableText,
        current_sessions: Schema.NullOr(Schema.Int)
      })),
      server_count: Schema.Int,
      free_slots: Schema.Int
    },
    program: showPool
  })
)

const revision = besides(
  changesTool,
  tool({
    name: "read_revision",
    title: "Changes of a revision",
    description: "The changes that one commit made.",
    annotations: reads,
    scope: changesTool.scope,
    reach: changesTool.reach,
    input: { revision: Field.text("Number of the revision.") },
    output: {
      summary: Field.summary,
      revision: Schema.Int,
      changes: Schema.Array(Schema.Struct({
        time: Schema.String,
        revision: Schema.Int,
        change_id: Schema.String,
        via: Schema.String,
        who: Schema.String,
        request_id: Schema.String,
        tool: Schema.String,
        summary: Schema.String,
        outcome: Schema.String,
        edits: Schema.Array(Schema.Struct({ what: Schema.String, before: nullableText, after: nullableText })),
        edit_count: Schema.Int
      })),
      more: Schema.Boolean
    },
    program: showRevision
  })
)

const completion = (
  name: string,
  by: Reading["by"],
  program: Parameters<typeof tool<typeof typed, typeof values>>[0]["program"]
): Reading =>
  besides(
    by,
    tool({
      name,
      title: "Completion",
      description: "Names that begin so.",
      annotations: reads,
      scope: by.scope,
      reach: by.reach,
      input: typed,
      output: values,
      program
    })
  )

const typed = { prefix: Field.text("What has been typed.") }
const values = { values: Schema.Array(Schema.String), more: Schema.Boolean }

/** See the module's head. */
export const readings = {
  pool,
  revision,
  completeDomains: completion("complete_domains", listDomainsTool, completeDomains),
  completePools: completion("complete_pools", backendsTool, completePools),
  completeRevisions: completion("complete_revisions", changesTool, completeRevisions)
} as const

const byName: ReadonlyMap<string, Reading> = new Map(Object.values(readings).map((one) => [one.name, one]))

/** The reading of a name. */
export const findReading = (name: string): Reading | undefined => byName.get(name)

/** What decides whether a tool or a reading may be called, and whether it only reads. */
export const decisive = (name: string): NonNullable<Tool["by"]> | undefined => findTool(name) ?? findReading(name)?.by
