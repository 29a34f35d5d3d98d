/**
 * Changes of the desired state. A change is a list of row edits, each with the row before and after it. The
 * inverse swaps the two, so what was recorded is all that is needed to take a change back; HAProxy commands and
 * file contents are derived from the same edits and from nothing else.
 */
import type { PoolNumber, Server, SlotNumber } from "./Pool.ts"
import type { RouteName } from "./RouteName.ts"

/** A routed name and its pool. */
export interface Route {
  readonly name: RouteName
  readonly pool: PoolNumber
  /** A wildcard that came with its registrable domain and leaves with it. */
  readonly implicit: boolean
  /** Age: smaller is older. Decides which share inherits a pool. */
  readonly seq: number
}

/** One difference of one row. `null` means the row is not there (a pool: it is free). */
export type Edit =
  | { readonly kind: "route"; readonly name: RouteName; readonly before: Route | null; readonly after: Route | null }
  | {
    readonly kind: "server"
    readonly pool: PoolNumber
    readonly slot: SlotNumber
    readonly before: Server | null
    readonly after: Server | null
  }
  | {
    /** The owner of a pool: the name whose servers these are; others share. */
    readonly kind: "owner"
    readonly pool: PoolNumber
    readonly before: RouteName | null
    readonly after: RouteName | null
  }

const invert = (edit: Edit): Edit => ({ ...edit, before: edit.after, after: edit.before } as Edit)

/** The edits that take `edits` back, in the order in which they must run. */
export const inverse = (edits: ReadonlyArray<Edit>): ReadonlyArray<Edit> => edits.map(invert).toReversed()

/**
 * What a change reads and writes, for group commit: two changes may share a batch when neither writes what the
 * other reads or writes. Keys are `route:example.com` and `pool:7`.
 */
export interface Footprint {
  readonly reads: ReadonlySet<string>
  readonly writes: ReadonlySet<string>
}

/** The keys that edits write. */
export const writesOf = (edits: ReadonlyArray<Edit>): Set<string> => {
  const keys = new Set<string>()
  for (const edit of edits) keys.add(edit.kind === "route" ? `route:${edit.name}` : `pool:${edit.pool}`)
  return keys
}

/** Must the two run in different batches? */
export const collide = (a: Footprint, b: Footprint): boolean => {
  for (const key of a.writes) if (b.writes.has(key) || b.reads.has(key)) return true
  for (const key of b.writes) if (a.reads.has(key)) return true
  return false
}

/** What became of a change. `pending`: committed, its fate not recorded yet (the reconciler settles it). */
export type Outcome = "pending" | "applied" | "reverted" | "unknown"

/** Who asked for a change. */
export interface Actor {
  /** `mcp`, `cli`, `stdio` or a program's own name. */
  readonly via: string
  /** An identity that is no secret: token name, peer address or user. */
  readonly who: string
  /** The request id that the log lines carry. */
  readonly requestId: string
}

/** One row of the change log, without its edits: they can be many. */
export interface ChangeHead {
  readonly changeId: string
  readonly revision: number
  /** Milliseconds since 1970. */
  readonly at: number
  readonly actor: Actor
  readonly tool: string
  readonly summary: string
  readonly outcome: Outcome
}

/** One row of the change log. */
export interface Change extends ChangeHead {
  readonly edits: ReadonlyArray<Edit>
}
