/**
 * What travels between the database (store/) and the generation log (remote/), which do not know each other: bytes with the
 * name of the content that they lead to.
 */
import type { State } from "./Lineage.ts"

/** The content that a copy leads to, with what people want to know of it. */
export interface Snapshot extends State {
  readonly revision: number
  /** Number of the last migration. */
  readonly schema: number
}

/** A whole database, checked. */
export interface FullCopy {
  readonly kind: "full"
  readonly state: Snapshot
  readonly bytes: Uint8Array
  /** Of the bytes, hex. */
  readonly sha256: string
}

/** The commits after `from` up to the state's, one changeset each (store/DeltaFrame.ts). */
export interface Delta {
  readonly kind: "delta"
  readonly state: Snapshot
  /** Number of the commit that this builds on. */
  readonly from: number
  readonly bytes: Uint8Array
  readonly sha256: string
}

/** What one generation carries. */
export type Capture = FullCopy | Delta

/** A generation's content as it was fetched and verified: a whole copy, and what came after it, in order. */
export interface Fetched {
  readonly state: Snapshot
  readonly full: Uint8Array
  /** The first may begin before the copy's commit; what the copy holds already is left out when they are applied. */
  readonly deltas: ReadonlyArray<Uint8Array>
}
