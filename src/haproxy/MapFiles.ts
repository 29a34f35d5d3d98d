/**
 * The files HAProxy starts from: domains.map, wildcards.map and, when set, pools.cfg.
 *
 * Guarantees: what `apply` or `reset` reports as done is durable under its final name (temp file, fsync, rename,
 * directory fsync) and complete; a failure leaves every file as it was, on disk and in memory. Entries whose
 * value is not one of our pools are kept verbatim, also when someone edits a file between two of our writes.
 * Callers wait for one writer; writes that wait together share one file write.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Edit, Route } from "../domain/Change.ts"
import type { StorageFailed } from "../domain/Errors.ts"
import type { Server } from "../domain/Pool.ts"

/** A map. */
export type MapKind = "domains" | "wildcards"

/** An entry that is not ours. */
export interface ForeignEntry {
  readonly map: MapKind
  readonly key: string
  readonly value: string
}

/** The desired state as files need it. */
export interface FileState {
  readonly routes: ReadonlyArray<Route>
  readonly servers: ReadonlyArray<Server>
}

/** What `reset` did. */
export interface FileReport {
  /** Files that differed and were written. */
  readonly written: ReadonlyArray<string>
  readonly foreign: number
}

export class MapFiles extends Context.Service<MapFiles, {
  /** Paths as we know them: domains.map, wildcards.map beside it, and pools.cfg when set. */
  readonly paths: { readonly domains: string; readonly wildcards: string; readonly pools: string | null }
  /** Makes all files equal to this state plus the foreign entries found in them; writes only what differs. */
  readonly reset: (state: FileState) => Effect.Effect<FileReport, StorageFailed>
  /** Applies edits to the state that the last `reset` or `apply` left; touches only the files they change. */
  readonly apply: (edits: ReadonlyArray<Edit>) => Effect.Effect<void, StorageFailed>
  /** The foreign entry under a key, if any, as last read. */
  readonly foreignEntry: (map: MapKind, key: string) => Effect.Effect<ForeignEntry | null>
  readonly foreign: Effect.Effect<ReadonlyArray<ForeignEntry>>
  /** For health: can each file be written (directory writable, file regular)? */
  readonly check: Effect.Effect<ReadonlyArray<{ readonly path: string; readonly ok: boolean; readonly reason: string }>>
  /** For comparing with HAProxy: how many entries each file holds, foreign ones included. */
  readonly counts: Effect.Effect<{ readonly [K in MapKind]: number }>
}>()("haproxy-mcp/haproxy/MapFiles") {}
