/**
 * What a verb hands to the actor: a decision, which reads the desired state and answers the edits that are to be made.
 * It changes nothing itself; everything else is derived from the edits.
 */
import type * as Effect from "effect/Effect"
import type { Port, ServerIp } from "../domain/Address.ts"
import type { Edit } from "../domain/Change.ts"
import type { ControlError } from "../domain/Errors.ts"
import type { PoolNumber, SlotNumber } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { ChangePlan } from "./DryRun.ts"

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
  /** Does a foreign entry lead to the pool? Then it is not free, whatever the database says. */
  readonly reserved: (pool: PoolNumber) => boolean
  /** The value of a foreign entry under a route's key, in the file or in HAProxy; null when there is none. */
  readonly foreign: (name: RouteName) => Effect.Effect<string | null>
  /** Which of HAProxy's own listeners this address leads back to, in words; null when it is none. */
  readonly ownListener: (ip: ServerIp, port: Port) => string | null
}

/** A write: decides on the state it finds, and is run again if its batch could not take it. Reads only the store. */
export type Decide<A> = (view: View) => Effect.Effect<Plan<A>, ControlError>

/** How a submitted write ended well. */
export interface Written<A> {
  readonly answer: A
  readonly changed: boolean
  readonly changeId: string | null
  readonly revision: number
  /** It is not on the remote host yet, and follows (HAPROXY_REMOTE_SYNC=async). */
  readonly follows: boolean
  /** Of a dry run: what it would do. Nothing was done. */
  readonly foreseen?: Foresight
}

/** What edits would do, and what to think of before. */
export interface Foresight {
  readonly edits: ReadonlyArray<Edit>
  readonly plan: ChangePlan
  readonly warnings: ReadonlyArray<string>
}

/** What a decision answers before it is known under which change and revision. */
export type Draft<A> = Omit<A, "changed" | "change_id" | "revision">
