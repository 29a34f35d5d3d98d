/**
 * The desired state: the only place that speaks SQL.
 *
 * Guarantees: what `commit` reports as done is durable (WAL, `synchronous=FULL`, read back at start); what it
 * reports as failed is not in the database; when neither can be known it says so ({@link CommitUncertain}) and
 * refuses further writes until the file has been reopened and compared. One process holds the file.
 * Not here: what HAProxy runs, what the map files hold.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Actor, Change, Edit, Outcome, Route } from "../domain/Change.ts"
import type { StorageFailed } from "../domain/Errors.ts"
import type { PoolNumber, Server } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"

/** The commit's fate is not known: the disk failed under it and the file could not be compared afterwards. */
export class CommitUncertain extends Schema.TaggedError<CommitUncertain>()("CommitUncertain", {
  message: Schema.String
}) {}

/** Which routes to list. Sorted by name. */
export interface RouteQuery {
  /** Part of the name, case-insensitive; no wildcards of SQL. */
  readonly search?: string
  readonly includeWildcards: boolean
  /** Names after this one. */
  readonly after?: RouteName
  readonly limit: number
}

/** What a change row is made of; revision and time are the commit's. */
export interface ChangeDraft {
  readonly changeId: string
  readonly actor: Actor
  readonly tool: string
  readonly summary: string
  readonly edits: ReadonlyArray<Edit>
  readonly outcome: Outcome
}

/** Numbers for health and metrics. */
export interface Counts {
  readonly domains: number
  readonly wildcards: number
  readonly poolsUsed: number
  readonly poolsDeclared: number
  readonly servers: number
}

export class Store extends Context.Service<Store, {
  /** Random identity of this database, made with it. */
  readonly lineage: string
  /** Revision of the last commit; 0 for a new database. */
  readonly revision: Effect.Effect<number>

  readonly route: (name: RouteName) => Effect.Effect<Route | null, StorageFailed>
  readonly routes: (query: RouteQuery) => Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  /** Names nearest to one that does not exist (same prefix or suffix), at most `limit`, for error hints. */
  readonly nearestRoutes: (name: string, limit: number) => Effect.Effect<ReadonlyArray<RouteName>, StorageFailed>
  /** The routes of a pool, oldest first. */
  readonly routesOf: (pool: PoolNumber, limit: number) => Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  readonly countRoutesOf: (pool: PoolNumber) => Effect.Effect<number, StorageFailed>
  /** All routes; order unspecified. For the reconciler and the files: 100,000 rows in well under a second. */
  readonly allRoutes: Effect.Effect<ReadonlyArray<Route>, StorageFailed>
  /** The age that the next new route gets; unique within the database. */
  readonly nextSeq: Effect.Effect<number, StorageFailed>

  /** Owner of a pool, null when it is free. */
  readonly owner: (pool: PoolNumber) => Effect.Effect<RouteName | null, StorageFailed>
  readonly owners: (
    pools: ReadonlyArray<PoolNumber>
  ) => Effect.Effect<ReadonlyMap<PoolNumber, RouteName>, StorageFailed>
  /** Free declared pools with a number above `after`, lowest first. O(log n). */
  readonly freePools: (after: number, limit: number) => Effect.Effect<ReadonlyArray<PoolNumber>, StorageFailed>
  /** The servers of a pool by slot. */
  readonly servers: (pool: PoolNumber) => Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  readonly serversOf: (pools: ReadonlyArray<PoolNumber>) => Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  readonly allServers: Effect.Effect<ReadonlyArray<Server>, StorageFailed>
  readonly counts: Effect.Effect<Counts, StorageFailed>

  readonly change: (changeId: string) => Effect.Effect<Change | null, StorageFailed>
  /** Changes whose fate was not recorded before the last stop. */
  readonly pendingChanges: Effect.Effect<ReadonlyArray<Change>, StorageFailed>

  /**
   * Runs `body` in one transaction (`BEGIN IMMEDIATE`) and commits it durably, with the outcomes queued by
   * `settle`. Bumps the revision by one if `body` recorded a change. A failure of `body` rolls all back.
   * One caller at a time: others wait.
   */
  readonly commit: <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageFailed | CommitUncertain, R>
  /** Inside `commit`: runs `body` in a savepoint; its failure undoes only what it wrote. */
  readonly savepoint: <A, E, R>(body: Effect.Effect<A, E, R>) => Effect.Effect<A, E | StorageFailed, R>
  /** Inside `commit`: the revision that this commit will have. */
  readonly nextRevision: Effect.Effect<number>
  /** Inside `commit`: writes rows. Each edit's `before` must be what is there, else it is a defect. */
  readonly apply: (edits: ReadonlyArray<Edit>) => Effect.Effect<void, StorageFailed>
  /** Inside `commit`: adds a row to the change log under the commit's revision. */
  readonly record: (change: ChangeDraft) => Effect.Effect<void, StorageFailed>
  /** Notes what became of a change; written with the next commit, or by `flush`. Costs no commit of its own. */
  readonly settle: (changeId: string, outcome: Outcome) => Effect.Effect<void>
  /** Writes queued outcomes now. Also runs when the layer closes. */
  readonly flush: Effect.Effect<void, StorageFailed>
}>()("haproxy-mcp/store/Store") {}
