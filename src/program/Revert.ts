/**
 * The verb that takes a change back: a new change with the inverse of its edits.
 *
 * Guarantees: every row goes back to what it was before that change, or none does. It is done only while all of them are
 * as the change left them and nothing that came later stands on them (a share of a pool that would go, a server that would
 * be left alone, a name that somebody else routes now): else CONFLICT, with the changes that came between. Repeating it
 * changes nothing. Certificates and tokens are not taken back: what they were is in no row.
 */
import * as Effect from "effect/Effect"
import { type Change, type Edit, inverse, type Route, writesOf } from "../domain/Change.ts"
import { Conflict, type ControlError, Forbidden, NotFound, type StorageFailed } from "../domain/Errors.ts"
import { poolName, type PoolNumber, type Server } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import type { Decide, Draft, View } from "./Decision.ts"
import * as Input from "./Input.ts"
import { write } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"
import { migrationTool } from "./TakeOver.ts"

/** From so many edits on all rows are read at once. */
const many = 500
/** Later changes that are looked at, and those that a refusal names. */
const mostLater = 1_000
const mostNamed = 5

export interface RevertAnswer extends Answer {
  /** The change that was taken back. */
  readonly reverted: string
  readonly rows: number
  readonly changed: boolean
  readonly change_id?: string
  readonly revision: number
  readonly warnings: ReadonlyArray<string>
}

/** The rows that edits are about, as they are. */
interface Present {
  readonly routes: Map<RouteName, Route>
  readonly servers: Map<string, Server>
  readonly owners: Map<PoolNumber, RouteName | null>
}

const slotOf = ({ pool, slot }: { readonly pool: number; readonly slot: number }) => `${pool}/${slot}`

const poolsOf = (edits: ReadonlyArray<Edit>): ReadonlySet<PoolNumber> => {
  const pools = new Set<PoolNumber>()
  for (const edit of edits) {
    if (edit.kind !== "route") pools.add(edit.pool)
    else for (const route of [edit.before, edit.after]) if (route !== null) pools.add(route.pool)
  }
  return pools
}

/** The rows of all pools that edits touch, and of all their names. */
const readPresent = Effect.fnUntraced(
  function*(store: Store["Service"], edits: ReadonlyArray<Edit>): Effect.fn.Return<Present, StorageFailed> {
    const pools = [...poolsOf(edits)]
    const present: Present = { routes: new Map(), servers: new Map(), owners: new Map() }
    const found = edits.length > many
      ? yield* store.allRoutes
      : (yield* Effect.forEach(pools, (pool) => store.routesOf(pool, Number.MAX_SAFE_INTEGER))).flat()
    for (const route of found) present.routes.set(route.name, route)
    if (edits.length <= many) {
      for (const edit of edits) {
        const route = edit.kind === "route" ? yield* store.route(edit.name) : null
        if (route !== null) present.routes.set(route.name, route)
      }
    }
    for (const server of yield* store.serversOf(pools)) present.servers.set(slotOf(server), server)
    for (const [pool, owner] of yield* store.owners(pools)) present.owners.set(pool, owner)
    return present
  }
)

const sameRoute = (a: Route | null, b: Route | null) =>
  a === b || (a !== null && b !== null && a.pool === b.pool && a.implicit === b.implicit && a.seq === b.seq)

const sameServer = (a: Server | null, b: Server | null) =>
  a === b
  || (a !== null && b !== null && a.ip === b.ip && a.port === b.port && a.weight === b.weight && a.state === b.state)

/** Is the row of an edit as it is on this side of it? */
const isAs = ({ owners, routes, servers }: Present, edit: Edit, side: "before" | "after"): boolean => {
  switch (edit.kind) {
    case "route":
      return sameRoute(routes.get(edit.name) ?? null, edit[side])
    case "server":
      return sameServer(servers.get(slotOf(edit)) ?? null, edit[side])
    case "owner":
      return (owners.get(edit.pool) ?? null) === edit[side]
  }
}

const put = <K, V>(map: Map<K, V>, key: K, value: V | null) => value === null ? map.delete(key) : map.set(key, value)

/** Makes edits in the rows that were read. */
const advance = ({ owners, routes, servers }: Present, edits: ReadonlyArray<Edit>): void => {
  for (const edit of edits) {
    if (edit.kind === "route") put(routes, edit.name, edit.after)
    else if (edit.kind === "server") put(servers, slotOf(edit), edit.after)
    else put(owners, edit.pool, edit.after)
  }
}

/** Pools that would not stand on their own: names without servers' owner, servers without a name, an address twice. */
const brokenPools = (present: Present, pools: ReadonlySet<PoolNumber>): ReadonlyArray<PoolNumber> => {
  const names = new Map<PoolNumber, Set<RouteName>>()
  for (const { name, pool } of present.routes.values()) {
    if (!pools.has(pool)) continue
    const own = names.get(pool) ?? new Set()
    names.set(pool, own.add(name))
  }
  const addresses = new Map<PoolNumber, Array<string>>()
  for (const { ip, pool, port } of present.servers.values()) {
    addresses.set(pool, [...addresses.get(pool) ?? [], `${ip} ${port}`])
  }
  return [...pools].filter((pool) => {
    const owner = present.owners.get(pool) ?? null
    const own = names.get(pool)
    const there = addresses.get(pool) ?? []
    if (own === undefined) return owner !== null || there.length > 0
    return owner === null || !own.has(owner) || new Set(there).size < there.length
  })
}

/** Changes after this one that touch the same rows, newest first. */
const laterOnes = Effect.fnUntraced(
  function*(store: Store["Service"], change: Change, keys: ReadonlySet<string>): Effect.fn.Return<
    ReadonlyArray<string>,
    StorageFailed
  > {
    const { changes } = yield* store.changes({ since: change.revision - 1, limit: mostLater })
    const found: Array<string> = []
    for (const { changeId } of changes) {
      if (changeId === change.changeId) break
      const later = yield* store.change(changeId)
      if (later === null) continue
      const writes = writesOf(later.edits)
      for (const edit of later.edits) {
        if (edit.kind === "route") {
          for (const side of [edit.before, edit.after]) if (side !== null) writes.add(`pool:${side.pool}`)
        }
      }
      if (![...keys].some((key) => writes.has(key))) continue
      found.push(`${changeId} (${later.summary})`)
      if (found.length === mostNamed) break
    }
    return found
  }
)

const shownKey = (key: string) => key.startsWith("pool:") ? poolName(Number(key.slice(5)) as PoolNumber) : key.slice(6)

const conflict = Effect.fnUntraced(function*(store: Store["Service"], change: Change, keys: ReadonlySet<string>) {
  const later = yield* laterOnes(store, change, keys)
  const shown = [...keys].slice(0, mostNamed).map(shownKey).join(", ")
  return yield* new Conflict({
    message: `${change.changeId} cannot be taken back: what it left of ${shown} is not as it was${
      later.length === 0 ? "" : `; since then came ${later.join("; ")}`
    }`,
    hint: later.length === 0
      ? "Set what you want with the tools for domains and servers."
      : "Revert those first, newest first, or set what you want with the tools for domains and servers.",
    field: "change_id"
  })
})

/** Refuses a change that is no matter of rows. */
const refuseOthers = (change: Change): Conflict | Forbidden | null => {
  const { changeId, edits, outcome, tool } = change
  if (tool === migrationTool || tool === "adopt_foreign") {
    return new Forbidden({
      message: `${changeId} took over what HAProxy ran; taking it back would end the routing of it`,
      hint: "Remove single domains with haproxy_remove_domain.",
      field: "change_id"
    })
  }
  if (edits.length === 0) {
    return new Forbidden({
      message: `${changeId} is about certificates or tokens (${tool}), which cannot be taken back`,
      hint: "Issue, load or delete the certificate with its own tool, or make another token.",
      field: "change_id"
    })
  }
  return outcome === "pending"
    ? new Conflict({
      message: `${changeId} is still being made`,
      hint: "Follow it with haproxy_operation, then repeat the call.",
      field: "change_id"
    })
    : null
}

/** Would a name that comes back meet an entry of somebody else, or a pool that is taken? */
const blockedBy = Effect.fnUntraced(function*(view: View, edits: ReadonlyArray<Edit>) {
  for (const edit of edits) {
    if (edit.kind === "owner" && edit.before === null && view.reserved(edit.pool)) return poolName(edit.pool)
    if (edit.kind !== "route" || edit.before !== null) continue
    if ((yield* view.foreign(edit.name)) !== null) return edit.name
  }
  return null
})

/** Takes a change back. */
export const revert = Tracing.fn("revert")(function*(
  input: { readonly change_id: string }
): Effect.fn.Return<RevertAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const decide: Decide<Draft<RevertAnswer>> = Effect.fnUntraced(function*(view) {
    const change = yield* store.change(input.change_id.slice(0, 100))
    if (change === null) {
      return yield* new NotFound({
        message: `There is no change ${Input.shown(input.change_id)}`,
        hint: "haproxy_changes and `haproxy-mcp changes` list them; the log keeps the newest 10,000.",
        field: "change_id"
      })
    }
    const refused = refuseOthers(change)
    if (refused !== null) return yield* refused
    const edits = inverse(change.edits)
    const answer = (summary: string): Draft<RevertAnswer> => ({
      summary,
      reverted: change.changeId,
      rows: edits.length,
      warnings: []
    })
    const present = yield* readPresent(store, edits)
    const keys = [...writesOf(edits)]
    if (edits.every((edit) => isAs(present, edit, "after"))) {
      const summary = `All is as it was before ${change.changeId} already`
      return { edits: [], reads: keys, summary, answer: answer(summary) }
    }
    const differing = edits.filter((edit) => !isAs(present, edit, "before"))
    if (differing.length > 0) return yield* conflict(store, change, writesOf(differing))
    const blocked = yield* blockedBy(view, edits)
    if (blocked !== null) {
      return yield* new Conflict({
        message: `${change.changeId} cannot be taken back: ${blocked} is in use by an entry that is not managed here`,
        hint: "Remove that entry where it was made, or leave it.",
        field: "change_id"
      })
    }
    const pools = poolsOf(edits)
    advance(present, edits)
    const broken = brokenPools(present, pools)
    if (broken.length > 0) return yield* conflict(store, change, new Set(broken.map((pool) => `pool:${pool}`)))
    const summary = `Took back ${change.changeId}: ${change.summary}`
    // Shares that come to a pool write no row of it: it is read.
    return { edits, reads: [...pools].map((pool) => `pool:${pool}`), summary, answer: answer(summary) }
  })
  return yield* write(decide)
})
