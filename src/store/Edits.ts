/**
 * Writes edits as rows. One statement each, whose WHERE is the row before: an edit that does not find what it says
 * it found changes no row, and that is a defect of the caller, who decided inside the same transaction.
 */
import type { Edit } from "../domain/Change.ts"
import type { PoolNumber } from "../domain/Pool.ts"
import type { Database } from "./Database.ts"

/** What the rows need beside the edits. */
export interface Surroundings {
  /** Pools up to this number have a row. */
  readonly declared: number
  /** Called with the age of each new route. */
  readonly usedSeq: (seq: number) => void
}

const insertPool = "INSERT INTO pools (pool, declared) VALUES (?, 0) ON CONFLICT DO NOTHING"
const countRoute = "UPDATE pools SET routes = routes + ? WHERE pool = ?"
const setOwner = "UPDATE pools SET owner = ? WHERE pool = ? AND owner IS ?"
const insertRoute = "INSERT INTO routes (name, pool, implicit, seq) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
const deleteRoute = "DELETE FROM routes WHERE name = ? AND pool = ? AND implicit = ? AND seq = ?"
const insertServer =
  "INSERT INTO servers (pool, slot, ip, port, weight, state) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
const updateServer = `UPDATE servers SET ip = ?, port = ?, weight = ?, state = ?
  WHERE pool = ? AND slot = ? AND ip = ? AND port = ? AND weight = ? AND state = ?`
const deleteServer =
  "DELETE FROM servers WHERE pool = ? AND slot = ? AND ip = ? AND port = ? AND weight = ? AND state = ?"
const updateRoute =
  "UPDATE routes SET pool = ?, implicit = ?, seq = ? WHERE name = ? AND pool = ? AND implicit = ? AND seq = ?"

/** How many more names lead to a pool, by pool: counted up, because a large change moves a few pools by thousands. */
type Steps = Map<PoolNumber, number>

const writeRoute = (
  db: Database,
  edit: Edit & { readonly kind: "route" },
  around: Surroundings,
  steps: Steps
): number => {
  const { after, before, name } = edit
  let changed = 0
  if (before === null && after !== null) {
    changed = db.run(insertRoute, name, after.pool, Number(after.implicit), after.seq)
  } else if (before !== null && after === null) {
    changed = db.run(deleteRoute, name, before.pool, Number(before.implicit), before.seq)
  } else if (before !== null && after !== null) {
    const was = [name, before.pool, Number(before.implicit), before.seq] as const
    changed = db.run(updateRoute, after.pool, Number(after.implicit), after.seq, ...was)
  }
  if (changed === 1 && before?.pool !== after?.pool) {
    if (before !== null) steps.set(before.pool, (steps.get(before.pool) ?? 0) - 1)
    if (after !== null) steps.set(after.pool, (steps.get(after.pool) ?? 0) + 1)
  }
  if (after !== null) around.usedSeq(after.seq)
  return changed
}

const writeServer = (db: Database, edit: Edit & { readonly kind: "server" }): number => {
  const { after, before, pool, slot } = edit
  if (before === null) {
    return after === null ? 0 : db.run(insertServer, pool, slot, after.ip, after.port, after.weight, after.state)
  }
  const was = [pool, slot, before.ip, before.port, before.weight, before.state] as const
  return after === null
    ? db.run(deleteServer, ...was)
    : db.run(updateServer, after.ip, after.port, after.weight, after.state, ...was)
}

const poolsOf = (edit: Edit): ReadonlyArray<PoolNumber> =>
  edit.kind === "route" ? [edit.after?.pool ?? edit.before!.pool] : [edit.pool]

/** Writes the edits in their order. Throws when one does not fit. */
export const write = (db: Database, edits: ReadonlyArray<Edit>, around: Surroundings): void => {
  const steps: Steps = new Map()
  for (const edit of edits) {
    for (const pool of poolsOf(edit)) if (pool > around.declared) db.run(insertPool, pool)
    const changed = edit.kind === "route"
      ? writeRoute(db, edit, around, steps)
      : edit.kind === "server"
      ? writeServer(db, edit)
      : db.run(setOwner, edit.after, edit.pool, edit.before)
    if (changed !== 1) throw new Error(`the edit does not fit what is there: ${JSON.stringify(edit)}`)
  }
  for (const [pool, step] of steps) if (step !== 0) db.run(countRoute, step, pool)
}
