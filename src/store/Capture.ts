/**
 * What is shipped of the database: the commits since the last one that is durable elsewhere, or a whole copy.
 *
 * - Commits, as one {@link Delta}: where the run (Run.ts) leads from the last durable one, and they are smaller than half of
 *   the database.
 * - A {@link FullCopy} otherwise: the first time, after a start, after a migration, after an import, after the connection had
 *   to be made anew; and always while the database is small ({@link smallDatabase}), because then a copy costs no more than
 *   a delta and needs nothing before it to be read.
 *
 * Guarantees: a capture is of one committed content, never of a transaction that is open. A copy has passed quick_check, and
 * can be read without a log beside it.
 */
import * as Effect from "effect/Effect"
import { StorageFailed } from "../domain/Errors.ts"
import type { Capture, Delta, FullCopy, Snapshot } from "../domain/Generation.ts"
import { holds, type Position } from "../domain/Lineage.ts"
import { check } from "./Check.ts"
import type { Database } from "./Database.ts"
import * as DeltaFrame from "./DeltaFrame.ts"
import { snapshotOf } from "./Replica.ts"
import type { Run } from "./Run.ts"
import { digestOf, imageOf } from "./Snapshot.ts"

/** Bytes up to which a database is shipped whole. */
export const smallDatabase = 256 << 10

/** A whole copy that is not checked yet. Synchronous: about 1 ms for each 4 MiB. */
export interface Unchecked {
  readonly kind: "unchecked"
  readonly state: Snapshot
  readonly bytes: Uint8Array
}

/** A whole copy of what is committed. Not inside a transaction. */
export const copy = (db: Database, position: Position): Unchecked => ({
  kind: "unchecked",
  state: snapshotOf(position),
  bytes: imageOf(db)
})

/** The least that leads from a content to the last one; null when that is the last one. Not inside a transaction. */
export const since = (
  db: Database,
  run: Run | null,
  position: Position,
  after: Snapshot | null
): Delta | Unchecked | null => {
  const isAncestor = after !== null && after.schema === position.schema && holds(position, after)
  if (isAncestor && after.commits === position.commits) return null
  const steps = isAncestor ? run?.after(after.commits) ?? null : null
  const size = Number(db.get("SELECT page_count * page_size AS n FROM pragma_page_count, pragma_page_size")?.["n"])
  const isDelta = steps !== null && size > smallDatabase
    && steps.reduce((sum, step) => sum + DeltaFrame.sizeOf(step), 0) < size / 2
  if (!isDelta) return copy(db, position)
  const bytes = DeltaFrame.encode(steps)
  return { kind: "delta", state: snapshotOf(position), from: steps[0]!.from, bytes, sha256: digestOf(bytes) }
}

/** The copy as it may be shipped. */
export const checked = ({ bytes, state }: Unchecked): Effect.Effect<FullCopy, StorageFailed> =>
  Effect.flatMap(Effect.promise(() => check(bytes)), (found) =>
    "sha256" in found
      ? Effect.succeed<FullCopy>({ kind: "full", state, bytes, sha256: found.sha256 })
      : Effect.fail(
        new StorageFailed({
          message: `The database is damaged, so no copy of it is shipped: ${found.damage}.`,
          hint: "Stop the control plane and restore the newest good copy of the database."
        })
      ))

/** What {@link since} found, ready to be shipped. */
export const ready = (found: Delta | Unchecked | null): Effect.Effect<Capture | null, StorageFailed> =>
  found === null || found.kind === "delta" ? Effect.succeed(found) : checked(found)
