/**
 * What resources show beyond what a tool shows alone: one pool with the domains that lead there, and one revision with
 * its changes. Each is small enough for a model to read whole.
 */
import * as Effect from "effect/Effect"
import { type ControlError, InvalidInput, NotFound } from "../domain/Errors.ts"
import { ownPool, poolName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer } from "./Answer.ts"
import { type ChangeItem, type EditItem, showChange } from "./ChangeList.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { lookAt } from "./Observed.ts"
import { fitting } from "./Page.ts"
import { serverStatus } from "./ServerList.ts"
import type { ServerStatus } from "./ServerShapes.ts"
import type { ProgramServices } from "./Services.ts"

/** Domains of a pool that are named: an answer of names of 253 characters still is below 28 KB. */
const shownDomains = 50
/** Changes of a revision that are shown (a batch has up to a thousand), and edits of each. */
const shownChanges = 20
const shownEdits = 20
/** Characters of JSON that changes of a revision may have together. */
const changesChars = 20_000

export interface PoolAnswer extends Answer {
  readonly pool: string
  /** Null: the pool is free. */
  readonly owner: RouteName | null
  /** Oldest first, the owner among them; at most 50. */
  readonly domains: ReadonlyArray<RouteName>
  readonly domain_count: number
  /** By slot, as many as fit. Fields that HAProxy observes are null while it cannot be asked. */
  readonly servers: ReadonlyArray<ServerStatus>
  readonly server_count: number
  readonly free_slots: number
}

export interface RevisionAnswer extends Answer {
  readonly revision: number
  readonly changes: ReadonlyArray<
    ChangeItem & { readonly edits: ReadonlyArray<EditItem>; readonly edit_count: number }
  >
  /** It has more changes than are shown. */
  readonly more: boolean
}

const noPool = (text: string, pools: number) =>
  new NotFound({
    message: `There is no pool ${Input.shown(text)}`,
    hint: `Pools are pool_1 to pool_${pools}; haproxy_backends lists those in use.`,
    field: "pool"
  })

/** A pool of ours by its name, in use or free. */
export const showPool = Tracing.fn("showPool")(function*(
  input: { readonly pool: string }
): Effect.fn.Return<PoolAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const { pools } = yield* Limits
  const pool = ownPool(input.pool, pools)
  if (pool === null) return yield* noPool(input.pool, pools.pools)
  const owner = yield* store.owner(pool)
  const routes = yield* store.routesOf(pool, shownDomains)
  const count = yield* store.countRoutesOf(pool)
  const servers = yield* store.servers(pool)
  const look = yield* lookAt(pool)
  const name = poolName(pool)
  const words = owner === null
    ? `${name} is free`
    : `${name} of ${owner} serves ${count} domain${count === 1 ? "" : "s"} with ${servers.length} server${
      servers.length === 1 ? "" : "s"
    }`
  return {
    summary: look._tag === "seen" ? words : `${words}; HAProxy cannot be asked now: ${look.reason}`,
    pool: name,
    owner,
    domains: routes.map((route) => route.name),
    domain_count: count,
    servers: fitting(servers.map((server) => serverStatus(server, look))),
    server_count: servers.length,
    free_slots: Math.max(0, pools.slots - servers.length)
  }
})

/** The changes that one commit made; several where writes waited together. */
export const showRevision = Tracing.fn("showRevision")(function*(
  input: { readonly revision: string }
): Effect.fn.Return<RevisionAnswer, ControlError, ProgramServices> {
  const store = yield* Store
  const revision = Number(input.revision)
  if (!/^[1-9]\d{0,14}$/.test(input.revision)) {
    return yield* new InvalidInput({
      message: `revision ${Input.shown(input.revision)} is no revision`,
      hint: "Revisions are whole numbers from 1; haproxy_health says the newest.",
      field: "revision"
    })
  }
  const found = yield* store.changes({ revision, limit: shownChanges })
  if (found.changes.length === 0) {
    return yield* new NotFound({
      message: `No change of revision ${revision} is kept`,
      hint: `The newest revision is ${yield* store.revision}; the log keeps the newest 10,000 changes.`,
      field: "revision"
    })
  }
  const changes: Array<RevisionAnswer["changes"][number]> = []
  let size = 0
  for (const { changeId } of found.changes) {
    const { change, edit_count, edits } = yield* showChange({ change_id: changeId })
    const item = { ...change, summary: change.summary.slice(0, 500), edits: edits.slice(0, shownEdits), edit_count }
    size += JSON.stringify(item).length
    if (size > changesChars && changes.length > 0) break
    changes.push(item)
  }
  const more = found.next !== null || changes.length < found.changes.length
  const count = `${changes.length}${more ? " of its" : ""} change${changes.length === 1 && !more ? "" : "s"}`
  return {
    summary: `Revision ${revision}: ${count}`,
    revision,
    changes,
    more
  }
})
