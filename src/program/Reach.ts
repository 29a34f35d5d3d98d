/**
 * What keeps a caller to its domains, where it has only some (a token made with `--domain`).
 *
 * Guarantees: a write is judged by what it changes, not by what it was asked for: every name that it adds, removes or
 * gives another pool, and every name whose traffic goes to a server that it changes, must be the caller's. So an implicit
 * wildcard, an heir of a pool or a share of it cannot be hit by the way. Names of others are in no answer of its own. The
 * arguments were judged before (mcp/Tool.ts); this is what they lead to.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import { Forbidden, type StorageFailed } from "../domain/Errors.ts"
import type { PoolNumber } from "../domain/Pool.ts"
import { isWithin, type Principal } from "../domain/Principal.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Store } from "../store/Store.ts"
import { Caller } from "./Caller.ts"

/** Routes of one pool that are looked at; a pool of more is nobody's who has few domains. */
const mostRoutes = 10_000

/** In place of the name of a domain that the caller may not see. */
const another = "another domain" as RouteName

/** A name as the caller may see it. */
export const shownTo = (principal: Principal, name: RouteName): RouteName => isWithin(principal, name) ? name : another

/** The domains that the caller is limited to; null: none. */
export const callersDomains: Effect.Effect<ReadonlyArray<string> | null> = Effect.map(
  Caller,
  ({ principal }) => principal.domains
)

/** Those of the names that the caller may see. */
export const visibleNames = <A extends string>(names: ReadonlyArray<A>): Effect.Effect<ReadonlyArray<A>> =>
  Effect.map(Caller, ({ principal }) => names.filter((name) => isWithin(principal, name)))

const beyond = (message: string, principal: Principal, field?: string) =>
  new Forbidden({
    message,
    hint:
      `Nothing was changed. This caller may only have to do with ${principal.domains?.join(", ")}; ask the operator `
      + "if the task needs more.",
    ...(field === undefined ? {} : { field })
  })

/** Refuses names that the caller has no right to; `field` names the parameter that led to them. */
export const requireWithin = (field: string, names: ReadonlyArray<string>): Effect.Effect<void, Forbidden> =>
  Effect.flatMap(Caller, ({ principal }) => {
    const outside = names.filter((name) => !isWithin(principal, name))
    if (outside.length === 0) return Effect.void
    return Effect.fail(
      beyond(
        `This is also about ${outside.slice(0, 3).join(", ")}, beyond what this caller is limited to`,
        principal,
        field
      )
    )
  })

/** The pools whose servers an edit changes, and the names that it speaks of. */
const touched = (edits: ReadonlyArray<Edit>) => {
  const names = new Set<string>()
  const pools = new Set<PoolNumber>()
  for (const edit of edits) {
    if (edit.kind === "route") names.add(edit.name)
    else if (edit.kind === "server") pools.add(edit.pool)
    else for (const name of [edit.before, edit.after]) if (name !== null) names.add(name)
  }
  return { names, pools }
}

/** Refuses edits that reach beyond the caller's domains. Inside the commit, before they are written. */
export const keepWithin = Effect.fnUntraced(function*(
  store: Pick<Store["Service"], "routesOf">,
  principal: Principal,
  edits: ReadonlyArray<Edit>
): Effect.fn.Return<void, Forbidden | StorageFailed> {
  if (principal.domains === null) return
  const { names, pools } = touched(edits)
  const outside = [...names].find((name) => !isWithin(principal, name))
  if (outside !== undefined) {
    // An implicit wildcard is told by its name: it follows from what was asked for. Others are not shown.
    const own = outside.startsWith("*.") && isWithin(principal, outside.slice(2))
    return yield* beyond(
      own
        ? `This also adds or removes ${outside}, which this caller has no right to`
        : "This also changes a domain that this caller has no right to",
      principal
    )
  }
  for (const pool of pools) {
    const routes = yield* store.routesOf(pool, mostRoutes + 1)
    if (routes.length > mostRoutes || routes.some(({ name }) => !isWithin(principal, name))) {
      return yield* beyond("The servers also serve domains that this caller has no right to", principal)
    }
  }
})
