/**
 * What edits of the desired state would do, for dry runs: the rows, what HAProxy would be told, the files, who is touched,
 * and what to think of before. It only reads.
 */
import * as Effect from "effect/Effect"
import type { Edit } from "../domain/Change.ts"
import type { StorageFailed } from "../domain/Errors.ts"
import { poolName, type PoolNumber, slotName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import { changesHaproxy } from "../haproxy/Command.ts"
import type { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { editItem } from "./ChangeList.ts"
import type { Foresight } from "./Decision.ts"
import { makePlan } from "./DryRun.ts"
import { lastHealthy } from "./LastHealthy.ts"
import { mapOf, type Node } from "./Node.ts"
import { lookAt } from "./Observed.ts"
import type { Plane } from "./Reconciler.ts"
import { stagesOf } from "./Stages.ts"

/** Names of one pool that are looked at. */
const mostRoutes = 1_000
/** Pools whose other names are looked for. */
const mostShared = 200
/** Pools whose sessions are counted: each is a question. */
const mostPools = 20
/** Names in a sentence. */
const mostNamed = 3

/** Edits whose commands are shown one by one. */
const mostEdits = 4_096

const some = (names: ReadonlyArray<string>): string =>
  names.slice(0, mostNamed).join(", ") + (names.length > mostNamed ? ` and ${names.length - mostNamed} more` : "")

/** Slots whose sessions a change is about, by pool; null: all of the pool. */
const concerned = (edits: ReadonlyArray<Edit>): ReadonlyMap<PoolNumber, ReadonlySet<string> | null> => {
  const found = new Map<PoolNumber, Set<string> | null>()
  for (const edit of edits) {
    // Where a route leaves, its sessions are among those of the pool.
    if (edit.kind === "route" && edit.before !== null && edit.before.pool !== edit.after?.pool) {
      found.set(edit.before.pool, null)
    }
    if (edit.kind !== "server" || edit.before === null) continue
    const slots = found.get(edit.pool)
    if (slots === null) continue
    found.set(edit.pool, (slots ?? new Set()).add(slotName(edit.pool, edit.slot)))
  }
  return found
}

/** Open sessions on the servers that edits are about; null: HAProxy does not say. */
export const liveSessions = Effect.fnUntraced(
  function*(edits: ReadonlyArray<Edit>): Effect.fn.Return<number | null, never, RuntimeApi> {
    const pools = concerned(edits)
    if (pools.size > mostPools) return null
    let sum = 0
    for (const [pool, slots] of pools) {
      const look = yield* lookAt(pool)
      if (look._tag === "unseen") return null
      for (const [name, row] of look.rows) if (slots === null || slots.has(name)) sum += row.currentSessions
    }
    return sum
  }
)

/** Who is touched: names that edits speak of, and names whose pool's servers they change. */
const touchedNames = Effect.fnUntraced(
  function*(store: Plane["store"], edits: ReadonlyArray<Edit>): Effect.fn.Return<
    { readonly names: ReadonlyArray<RouteName>; readonly shared: ReadonlyArray<string> },
    StorageFailed
  > {
    const names = new Set<RouteName>()
    const leaving = new Set<RouteName>()
    const pools = new Set<PoolNumber>()
    for (const edit of edits) {
      if (edit.kind === "route") {
        names.add(edit.name)
        if (edit.before !== null) leaving.add(edit.name)
      } else if (edit.kind === "server") pools.add(edit.pool)
    }
    const shared: Array<string> = []
    for (const pool of [...pools].slice(0, mostShared)) {
      const routes = yield* store.routesOf(pool, mostRoutes)
      for (const { name } of routes) names.add(name)
      const explicit = routes.filter(({ implicit, name }) => !implicit && !leaving.has(name)).map(({ name }) => name)
      if (explicit.length > 1) {
        shared.push(`${poolName(pool)} is shared: ${some(explicit)} are served by the same servers`)
      }
    }
    return { names: [...names], shared }
  }
)

/** What a decision would do. Inside the actor's transaction, before its edits are written. */
export const foreseeEdits = Effect.fnUntraced(
  function*(plane: Plane, node: Node, edits: ReadonlyArray<Edit>): Effect.fn.Return<Foresight, StorageFailed> {
    const { paths } = plane.files
    const { names, shared } = yield* touchedNames(plane.store, edits)
    const files = new Set<string>()
    for (const edit of edits) {
      if (edit.kind === "route") files.add(paths[mapOf(edit.name)])
      else if (edit.kind === "server" && paths.pools !== null) files.add(paths.pools)
    }
    const isLarge = edits.length > mostEdits
    const commands = isLarge ? [] : stagesOf(node, edits).flatMap((stage) => stage.commands).filter(changesHaproxy)
    const last = yield* lastHealthy(plane, edits)
    return {
      edits,
      plan: makePlan({
        edits: edits.map(editItem),
        commands: commands.map(({ words }) => words.join(" ")),
        files: [...files],
        steps: isLarge ? ["HAProxy gets whole maps in place of single entries, at once"] : [],
        domains: names
      }),
      warnings: [...last.map(({ sentence }) => sentence), ...shared]
    }
  }
)
