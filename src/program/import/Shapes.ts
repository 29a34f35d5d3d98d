/** Input and answer of the import. Field names are those of the files (docs/operations.md). */
import type { ServerState } from "../../domain/Pool.ts"
import type { Answer } from "../Answer.ts"

/** A line of the file and what stands there: a row as it was read, of any shape. */
export type ReadRow = readonly [line: number, row: unknown]

/** What is wrong with a line: the field, the rule and how to write it right. */
export interface Problem {
  readonly line: number
  readonly field: string
  readonly message: string
  readonly hint: string
}

/** A server of a row in a JSON file, and of an exported row. */
export interface ServerEntry {
  readonly slot: number
  readonly ip: string
  readonly port: number
  readonly weight: number
  readonly state: ServerState
}

/** A row of an export: what {@link ReadRow} may hold, with every field. */
export interface ExportedRow {
  readonly domain: string
  /** Its own pool, null when it shares. */
  readonly pool: string | null
  readonly shares_with: string | null
  /** Only where it is not as the name says: a registrable domain without, a subdomain with its implicit wildcard. */
  readonly wildcard?: boolean
  readonly servers: ReadonlyArray<ServerEntry>
}

export interface ImportInput {
  /** Rows as {@link ReadRow}; checked by hand, for a schema over 100,000 rows takes seconds. */
  readonly rows: unknown
  /** Lines that could not even be read. */
  readonly problems?: ReadonlyArray<Problem>
  readonly dry_run?: boolean
  /** Import the good rows although others are not. */
  readonly skip_bad?: boolean
}

/** How an import ended. `refused` and `checked` wrote nothing. */
export type ImportOutcome = "imported" | "unchanged" | "refused" | "checked"

export interface ImportAnswer extends Answer {
  readonly outcome: ImportOutcome
  /** Rows that were read, bad ones included. */
  readonly rows: number
  /** Domains that came (or would come) with this import. */
  readonly added: number
  /** Rows whose domain is as they say already. */
  readonly unchanged: number
  /** Bad rows. */
  readonly bad: number
  /** Implicit wildcards that came with their domains. */
  readonly wildcards: number
  readonly pools: number
  readonly servers: number
  /** The first hundred, by line. */
  readonly problems: ReadonlyArray<Problem>
  readonly problem_count: number
  readonly changed: boolean
  readonly change_id?: string
  readonly revision: number
  readonly warnings: ReadonlyArray<string>
}

export interface ExportAnswer extends Answer {
  /** Of the desired state that the rows are. */
  readonly revision: number
  /** Oldest first: the order decides who inherits a pool. */
  readonly rows: ReadonlyArray<ExportedRow>
}
