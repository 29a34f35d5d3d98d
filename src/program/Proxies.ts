/**
 * What HAProxy runs, for the verbs that only look: which backends are ours and in use, and their numbers.
 *
 * Guarantees: HAProxy is never asked for all of its servers' statistics at once (32 MB with 10,000 pools of 10 slots);
 * long reads go in groups of short ones, so that writes and other readers get their turn on the connection in between.
 * Everything here fails with HAPROXY_UNREACHABLE or HAPROXY_REFUSED and changes nothing. What the reads cost is measured
 * in docs/operations.md.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type ControlError, HaproxyRefused, HaproxyUnreachable } from "../domain/Errors.ts"
import { ownPool, placeholder, type PoolNumber } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import * as Backends from "../haproxy/BackendCommands.ts"
import type { Command, Verdict } from "../haproxy/Command.ts"
import { type LinkLost, RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Servers from "../haproxy/ServerCommands.ts"
import * as Stats from "../haproxy/StatCommands.ts"
import { Store } from "../store/Store.ts"
import { Caller } from "./Caller.ts"
import { Limits } from "./Limits.ts"
import { shared } from "./SharedRead.ts"

/** `show stat` of single proxies in one exchange: 0.4 ms each with 10,000 proxies. */
const statGroup = 25
/** `show servers state` of single backends in one exchange: 0.03 ms each. */
const stateGroup = 100

/**
 * One proxy costs HAProxy as much as this many rows of an answer about all: it looks through all proxies for it, and
 * writes the names of all columns.
 */
const proxyCost = 40

/** A backend that there is something to say about: one of our pools in use, or one that is not ours. */
export interface KnownBackend {
  readonly name: string
  /** Null: not ours. */
  readonly pool: PoolNumber | null
  /** The domain that owns the pool. */
  readonly domain: RouteName | null
}

/** The backends of HAProxy. */
export interface Inventory {
  /** Our pools in use by their number, then the others by their name. */
  readonly backends: ReadonlyArray<KnownBackend>
  /** All names, unused pools too. */
  readonly names: ReadonlyArray<string>
  /** Pools of ours that no domain uses. */
  readonly unused: number
}

const unreachable = (reason: string) =>
  new HaproxyUnreachable({
    message: `HAProxy cannot be asked: ${reason}`,
    hint: "Check that HAProxy runs; haproxy_health says more."
  })

const refused = (words: ReadonlyArray<string>, text: string) =>
  new HaproxyRefused({
    message: `HAProxy does not answer "${words.join(" ")}" as expected: ${text}`,
    hint: "Check that the Runtime API socket has level admin and that this version of HAProxy is supported."
  })

/** Ends a look by the caller's deadline. The connection stays: an answer that comes too late is read away. */
export const inTime = <A, R>(look: Effect.Effect<A, ControlError, R>): Effect.Effect<A, ControlError, R> =>
  Effect.flatMap(Caller, ({ timeout }) =>
    Effect.timeoutOrElse(look, {
      duration: timeout,
      orElse: () => Effect.fail(unreachable(`no complete answer within ${timeout} ms`))
    }))

/** The verdicts of commands of one kind, in their order; `group` of them at a time. */
const askAll = Effect.fnUntraced(function*<A>(
  commands: ReadonlyArray<Command<A>>,
  group: number
): Effect.fn.Return<ReadonlyArray<Verdict<A>>, HaproxyUnreachable, RuntimeApi> {
  const runtime = yield* RuntimeApi
  const verdicts: Array<Verdict<A>> = []
  for (let from = 0; from < commands.length; from += group) {
    const some = yield* runtime.exchange(commands.slice(from, from + group)).pipe(
      Effect.mapError((lost: LinkLost) => unreachable(lost.reason))
    )
    verdicts.push(...some)
  }
  return verdicts
})

/** The answer of one command. */
export const ask = Effect.fnUntraced(function*<A>(
  command: Command<A>
): Effect.fn.Return<A, HaproxyUnreachable | HaproxyRefused, RuntimeApi> {
  const [verdict] = yield* askAll([command], 1)
  return Result.isSuccess(verdict!) ? verdict.success : yield* refused(command.words, verdict!.failure.text)
})

/** The answers of some commands of one kind, in one exchange. */
export const askEach = Effect.fnUntraced(function*<A>(
  commands: ReadonlyArray<Command<A>>
): Effect.fn.Return<ReadonlyArray<A>, HaproxyUnreachable | HaproxyRefused, RuntimeApi> {
  const answers: Array<A> = []
  for (const [index, verdict] of (yield* askAll(commands, commands.length)).entries()) {
    if (Result.isFailure(verdict)) return yield* refused(commands[index]!.words, verdict.failure.text)
    answers.push(verdict.success)
  }
  return answers
})

const byName = (a: string, b: string): number => a < b ? -1 : a > b ? 1 : 0

/** Our pools by their number, then the others by their name. */
export const order = (a: Pick<KnownBackend, "name" | "pool">, b: Pick<KnownBackend, "name" | "pool">): number =>
  a.pool !== null && b.pool !== null
    ? a.pool - b.pool
    : a.pool !== null
    ? -1
    : b.pool !== null
    ? 1
    : byName(a.name, b.name)

const readInventory = Effect.gen(function*() {
  const store = yield* Store
  const { pools } = yield* Limits
  const names = yield* ask(Backends.show)
  const all = names.map((name) => ({ name, pool: ownPool(name, pools) }))
  const owners = yield* store.owners(all.flatMap(({ pool }) => pool === null ? [] : [pool]))
  const backends = all
    .map((one) => ({ ...one, domain: one.pool === null ? null : owners.get(one.pool) ?? null }))
    .filter(({ domain, pool }) => pool === null || domain !== null)
    .sort(order)
  return { backends, names, unused: names.length - backends.length } satisfies Inventory
})

/** Names from HAProxy, owners from the database; callers that wait together share one reading. */
export const inventory = Effect.flatMap(RuntimeApi, (runtime) => shared(runtime, "inventory", readInventory))

/** Rows of one proxy each; those that HAProxy no longer has are left out. */
const rowsOneByOne = Effect.fnUntraced(function*(
  proxies: ReadonlyArray<string>,
  kinds: ReadonlyArray<Stats.StatKind>
): Effect.fn.Return<ReadonlyArray<Stats.StatRow>, HaproxyUnreachable | HaproxyRefused, RuntimeApi> {
  const commands = proxies.map((proxy) => Stats.show({ proxy, kinds }))
  const rows: Array<Stats.StatRow> = []
  for (const [index, verdict] of (yield* askAll(commands, statGroup)).entries()) {
    if (Result.isSuccess(verdict)) rows.push(...verdict.success)
    else if (!Stats.isUnknownProxy(verdict.failure.text)) {
      return yield* refused(commands[index]!.words, verdict.failure.text)
    }
  }
  return rows
})

const group = (rows: ReadonlyArray<Stats.StatRow>): Map<string, Array<Stats.StatRow>> =>
  Map.groupBy(rows, (row) => row.proxy)

/** All backends' rows in one answer, and only those of `names` read. */
const allBackendRows = (names: ReadonlySet<string>) =>
  ask(Stats.show({ kinds: ["backend"], keep: (proxy) => names.has(proxy) }))

/**
 * The backends' own rows, by name: from one answer about all (`among` of them), or one by one when they are few.
 * Backends that HAProxy does not have are missing.
 */
export const backendRows = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>,
  among: number
): Effect.fn.Return<ReadonlyMap<string, Stats.StatRow>, HaproxyUnreachable | HaproxyRefused, RuntimeApi> {
  const few = names.length * proxyCost < among
  const found = few ? yield* rowsOneByOne(names, ["backend"]) : yield* allBackendRows(new Set(names))
  const rows = new Map(found.map((row) => [row.proxy, row]))
  const missing = few ? names.filter((name) => !rows.has(name)) : []
  // A frontend may have the same name, and HAProxy took that one.
  if (missing.length > 0) { for (const row of yield* allBackendRows(new Set(missing))) rows.set(row.proxy, row) }
  return rows
})

/** The rows of the servers in use of few backends, by the backend's name. */
export const serverRows = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>
): Effect.fn.Return<
  ReadonlyMap<string, ReadonlyArray<Stats.StatRow>>,
  HaproxyUnreachable | HaproxyRefused,
  RuntimeApi
> {
  const kinds = ["backend", "server"] as const
  const rows = group(yield* rowsOneByOne(names, kinds))
  const missing = names.filter((name) => !rows.has(name))
  if (missing.length > 0) {
    const ids = (yield* allBackendRows(new Set(missing))).map((row) => String(row.id))
    for (const [name, some] of group(yield* rowsOneByOne(ids, kinds))) rows.set(name, some)
  }
  return new Map([...rows].map(([name, some]) => [name, some.filter(isUsedServer)]))
})

const emptySlot = `${placeholder.ip}:${placeholder.port}`

const isUsedServer = (row: Stats.StatRow): boolean => row.kind === "server" && row.address !== emptySlot

/** Servers of a backend as `show servers state` has them, and how many of its slots are empty. */
export interface ServerStates {
  readonly servers: ReadonlyArray<Servers.ServerStateRow>
  readonly empty: number
}

/** States of the servers of many backends, by the backend's name; those that HAProxy does not have are missing. */
export const serverStates = Effect.fnUntraced(function*(
  names: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyMap<string, ServerStates>, HaproxyUnreachable | HaproxyRefused, RuntimeApi> {
  const states = new Map<string, ServerStates>()
  for (let from = 0; from < names.length; from += stateGroup) {
    const some = names.slice(from, from + stateGroup)
    for (const [index, verdict] of (yield* askAll(some.map((name) => Servers.showState(name)), stateGroup)).entries()) {
      if (Result.isFailure(verdict)) {
        if (verdict.failure.text.startsWith("Can't find backend")) continue
        return yield* refused(["show", "servers", "state"], verdict.failure.text)
      }
      const rows = verdict.success
      const servers = rows.filter(({ ip, port }) => ip !== placeholder.ip || port !== placeholder.port)
      states.set(some[index]!, { servers, empty: rows.length - servers.length })
    }
  }
  return states
})
