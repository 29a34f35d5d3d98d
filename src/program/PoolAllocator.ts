/** The actor that every write goes through. */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import type { ControlError, StorageFailed } from "../domain/Errors.ts"

/** What a verb decided inside the actor's transaction, under its permit. */
export interface Plan<A> {
  /** The edits to make; empty: the desired state is there already. */
  readonly edits: ReadonlyArray<Edit>
  /** What it read beside what it writes: `route:NAME`, `pool:N`. */
  readonly reads: ReadonlyArray<string>
  readonly summary: string
  readonly answer: A
}

/** What a verb may ask about HAProxy while it decides: what the last reconcile saw, no round trip. */
export interface View {
  /** Does the pool exist in HAProxy, with this slot, and is no neighbour of this batch writing it? */
  readonly usable: (pool: PoolNumber, slot?: SlotNumber) => boolean
  /** The value of a foreign entry under a route's key, in the file or in HAProxy; null when there is none. */
  readonly foreign: (name: RouteName) => Effect.Effect<string | null>
}

/** A write: decides on the state it finds, and is run again if its batch could not take it. Reads only the store. */
export type Decide<A> = (view: View) => Effect.Effect<Plan<A>, ControlError>

/** How a submitted write ended well. */
export interface Written<A> {
  readonly answer: A
  readonly changed: boolean
  readonly changeId: string | null
  readonly revision: number
}

/** What the reconciler knows. */
export interface SyncState {
  /** HAProxy is known to run the desired state, in this epoch. */
  readonly inSync: boolean
  readonly reason: string
  /** Milliseconds since 1970 of the last full comparison. */
  readonly lastRunAt: number | null
  readonly lastDrift: number
  /** Entries in HAProxy's maps that are not ours. */
  readonly foreign: number
}

export class PoolAllocator extends Context.Service<PoolAllocator, {
  /** Queues a write and waits for its verdict, at most the caller's timeout (see Caller). */
  readonly submit: <A>(decide: Decide<A>) => Effect.Effect<Written<A>, ControlError>
  readonly sync: Effect.Effect<SyncState>
  /** Asks for a reconcile and waits until one that began after now has ended. */
  readonly reconcile: Effect.Effect<SyncState, ControlError>
  /** Writes waiting for their turn. */
  readonly queued: Effect.Effect<number>
}>()("haproxy-mcp/program/PoolAllocator") {}
