/**
 * The verb that imports many domains at once: checked as a whole, then one change, one commit, one swap of the maps.
 *
 * Guarantees: all or nothing (with `skip_bad`: all good rows or nothing), also when this process, HAProxy or the caller
 * dies in the middle; everything that is wrong is told together, by line; repeating an import changes nothing. Other
 * writes wait while it runs, some seconds for 100,000 rows.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import type { ControlError } from "../domain/Errors.ts"
import { isWildcard, type RouteName, wildcardOf } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { Caller } from "./Caller.ts"
import type { Decide, Draft, View } from "./Decision.ts"
import { type Checked, checkRows } from "./import/Check.ts"
import { Placement } from "./import/Placement.ts"
import type { ImportAnswer, ImportInput, ImportOutcome, Problem } from "./import/Shapes.ts"
import { readState } from "./import/State.ts"
import { Limits } from "./Limits.ts"
import { write } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

/** Problems that an answer lists. */
const mostListed = 100

/** Rows placed between two pauses for others. */
const stride = 2_000

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`

/** Names among the rows, and their wildcards, that a foreign entry holds. */
const foreignNames = Effect.fnUntraced(function*(view: View, checked: Checked) {
  const found = new Set<RouteName>()
  for (const { name, registrable, wildcard } of checked.rows.values()) {
    if ((yield* view.foreign(name)) !== null) found.add(name)
    if (isWildcard(name) || !(wildcard ?? registrable)) continue
    if ((yield* view.foreign(wildcardOf(name))) !== null) found.add(wildcardOf(name))
  }
  return found
})

const summaryOf = (outcome: ImportOutcome, added: number, unchanged: number, bad: number, shares: string): string => {
  const skipped = bad === 0 ? "" : `; ${counted(bad, "bad row")} left out`
  switch (outcome) {
    case "refused":
      return `Nothing was imported: ${counted(bad, "row")} of the file ${bad === 1 ? "is" : "are"} refused`
    case "unchanged":
      return `All ${counted(unchanged, "domain")} are as the file says already${skipped}`
    case "checked":
      return `Would import ${counted(added, "domain")}${shares}; ${unchanged} are there already${skipped}`
    case "imported":
      return `Imported ${counted(added, "domain")}${shares}; ${unchanged} were there already${skipped}`
  }
}

/** Imports the rows of a file. */
export const importDomains = Tracing.fn("importDomains")(function*(
  input: ImportInput
): Effect.fn.Return<ImportAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const limits = yield* Limits
  const caller = yield* Caller
  const checked = yield* checkRows(limits, input.rows, input.problems ?? [])
  yield* caller.progress(25, 100, "waiting for the turn of this write")

  const decide: Decide<Draft<ImportAnswer>> = Effect.fnUntraced(function*(view) {
    const state = yield* readState(store, limits.pools.pools)
    const foreign = yield* foreignNames(view, checked)
    const placement = new Placement({ ...checked, state, view, limits, foreign })
    placement.reserve()
    let index = 0
    for (const row of checked.rows.values()) {
      placement.place(row)
      if (++index % stride !== 0) continue
      yield* caller.progress(25 + 10 * index / checked.rows.size, 100, `compared ${index} rows with what is there`)
      yield* Effect.yieldNow
    }
    for (const row of checked.rows.values()) placement.addWildcard(row)

    const problems: ReadonlyArray<Problem> = [...checked.problems, ...placement.problems].toSorted((a, b) =>
      a.line - b.line
    )
    const bad = checked.badRows + placement.problems.length
    const refused = bad > 0 && input.skip_bad !== true
    const edits: Array<Edit> = []
    const added = placement.routes.length - placement.wildcards
    const keep = !refused && input.dry_run !== true
    if (keep) {
      const routes: Array<Edit> = []
      for (const { before, implicit, name, pool } of placement.routes) {
        const seq = before?.seq ?? (yield* store.nextSeq)
        routes.push({ kind: "route", name, before, after: { name, pool, implicit, seq } })
      }
      yield* Effect.yieldNow
      // In the order of the table, which writes it several times faster.
      routes.sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1)
      for (const edit of placement.edits) edits.push(edit)
      for (const edit of routes) edits.push(edit)
      yield* Effect.yieldNow
    }
    const outcome: ImportOutcome = refused
      ? "refused"
      : input.dry_run === true
      ? "checked"
      : edits.length === 0
      ? "unchanged"
      : "imported"
    const shares = placement.pools === 0 ? "" : ` in ${counted(placement.pools, "new pool")}`
    const summary = summaryOf(outcome, added, placement.unchanged, bad, shares)
    return {
      edits,
      reads: [...placement.reads],
      summary,
      answer: {
        summary,
        outcome,
        rows: checked.count,
        added: refused ? 0 : added,
        unchanged: placement.unchanged,
        bad,
        wildcards: refused ? 0 : placement.wildcards,
        pools: refused ? 0 : placement.pools,
        servers: refused ? 0 : placement.servers,
        problems: problems.slice(0, mostListed),
        problem_count: problems.length,
        warnings: [...checked.warnings, ...placement.notes()]
      }
    }
  })
  return yield* write(decide)
})

const nameOf = (edit: Edit): string => edit.kind === "route" ? edit.name : ""
