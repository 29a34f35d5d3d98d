/**
 * Guardrails (MCP_GUARDRAILS=strict): a write that takes the last healthy server of a domain, or with which more than 20
 * domains would have been removed within a minute, is refused unless its caller says `force`.
 *
 * Guarantees: judged by the edits of a write, whatever the tool, inside the commit and before anything is written, so a
 * refusal is that nothing happened. Removals are counted for all callers of this process together. What counts is what is
 * committed and stays: neither a refused call nor one that was taken back, nor the removal of what is not there; repeating
 * a refused call changes nothing of the count. A dry run is judged like the call, and does not count. Without `strict` all
 * of this is silent: what there is to warn of, answers and dry runs say.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import { Conflict, type StorageFailed } from "../domain/Errors.ts"
import type { GuardrailMode } from "../domain/Guardrail.ts"
import { isWildcard, parentOf } from "../domain/RouteName.ts"
import type { CallerShape } from "./Caller.ts"
import { lastHealthy } from "./LastHealthy.ts"
import type { Plane } from "./Reconciler.ts"

/** Domains that may be removed within {@link window} without `force`. */
const mostRemoved = 20
/** Milliseconds. */
const window = 60_000

export interface Guardrails {
  readonly mode: GuardrailMode
  /** Refuses a write that needs `force`. Inside the commit, before its edits are written. */
  readonly check: (
    plane: Plane,
    caller: Pick<CallerShape, "force">,
    edits: ReadonlyArray<Edit>
  ) => Effect.Effect<void, Conflict | StorageFailed>
  /** The edits of this change are written. */
  readonly count: (changeId: string, edits: ReadonlyArray<Edit>) => void
  /** They were taken back, or never committed. */
  readonly forget: (changeId: string) => void
}

/** Names that edits remove. A wildcard that leaves with its domain is no other one. */
export const removed = (edits: ReadonlyArray<Edit>): number => {
  const leaving = new Set<string>()
  const implicit: Array<string> = []
  for (const edit of edits) {
    if (edit.kind !== "route" || edit.before === null || edit.after !== null) continue
    leaving.add(edit.name)
    if (edit.before.implicit && isWildcard(edit.name)) implicit.push(parentOf(edit.name))
  }
  return leaving.size - implicit.filter((parent) => leaving.has(parent)).length
}

const needsForce = (message: string) =>
  new Conflict({
    message: `${message} (MCP_GUARDRAILS=strict)`,
    hint: "Nothing was changed. Ask the user; if it is meant, repeat the call with force=true."
  })

/** `now`: milliseconds that only grow. */
export const make = (mode: GuardrailMode, now: () => number = () => performance.now()): Guardrails => {
  /** Removals by change, oldest first. */
  let counted: ReadonlyArray<{ readonly changeId: string; readonly at: number; readonly names: number }> = []
  const recent = (): number => {
    const since = now() - window
    counted = counted.filter(({ at }) => at > since)
    return counted.reduce((sum, { names }) => sum + names, 0)
  }
  return {
    mode,
    check: Effect.fnUntraced(function*(plane, { force }, edits) {
      if (mode === "inform" || force === true) return
      const names = removed(edits)
      const before = names === 0 ? 0 : recent()
      if (before + names > mostRemoved) {
        return yield* needsForce(
          `${names === 1 ? "One more domain" : `${names} more domains`} would be removed, after ${before} within `
            + `the last minute: more than ${mostRemoved}`
        )
      }
      const [last] = yield* lastHealthy(plane, edits)
      if (last !== undefined) return yield* needsForce(last.sentence)
    }),
    count: (changeId, edits) => {
      const names = mode === "inform" ? 0 : removed(edits)
      if (names > 0) counted = [...counted, { changeId, at: now(), names }]
    },
    forget: (changeId) => {
      if (counted.length > 0) counted = counted.filter((one) => one.changeId !== changeId)
    }
  }
}
