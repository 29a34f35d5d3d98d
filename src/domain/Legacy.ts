/**
 * What the predecessor (the Python version) left behind, as it was found: texts and numbers that no rule of ours has
 * seen yet. The adapters read it, MigrationPlan.ts judges it.
 */

/** An entry of a map file. */
export interface LegacyEntry {
  readonly key: string
  readonly value: string
}

/** A domain of the predecessor's database. */
export interface LegacyRoute {
  /** `example.com`; a wildcard as `*.example.com` or `.example.com`. */
  readonly name: string
  /** `pool_3`, or what else stands there. */
  readonly pool: string
  /** The domain whose pool it uses, when the database says so. */
  readonly sharesWith: string | null
}

/** A server of servers.json or of the database. */
export interface LegacyServer {
  /** A domain or a pool. */
  readonly of: string
  readonly slot: number
  readonly ip: string
  readonly port: number
  /** Null: not said. */
  readonly weight: number | null
  readonly state: string | null
}

/** The predecessor's database. */
export interface LegacyDatabase {
  readonly file: string
  /** Oldest first. */
  readonly routes: ReadonlyArray<LegacyRoute>
  readonly servers: ReadonlyArray<LegacyServer>
  /** Domains of its table of certificates; null when it has none. */
  readonly certificates: ReadonlyArray<string> | null
}

/** A source and what was found in it, for the report. */
export interface LegacySource {
  readonly file: string
  readonly found: string
}
