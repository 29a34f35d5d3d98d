/**
 * The steps that make edits live in HAProxy: commands, and what must be seen of them. The order inside a job is what
 * keeps a pool from ever serving somebody else's server:
 *   1  routes that leave are removed and read back; keys that come are seen to be free; servers that come get address
 *      and weight
 *   2  addresses are read back (HAProxy applies them after the exchange that set them); slots that leave go to
 *      maintenance and the placeholder
 *   3  new servers of pools in use become ready; cleared slots are read back
 *   4  routes that come are added and read back
 * Apply.ts runs them.
 */
import * as Result from "effect/Result"
import type { Edit, Route } from "../domain/Change.ts"
import { defaultWeight, placeholder, poolName, type PoolNumber, type Server, slotName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Command, Verdict } from "../haproxy/Command.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import * as Servers from "../haproxy/ServerCommands.ts"
import { entryOf, type Node } from "./Node.ts"

/** What the answers of a stage say: it is done, it is to be asked again, or HAProxy's own text. */
export type Check = "ok" | "again" | { readonly refused: string }

/** Some commands and what must be seen of them. */
export interface Stage {
  readonly commands: ReadonlyArray<Command<unknown>>
  /** They change nothing: they may be asked before it is sure that the write comes. */
  readonly reads?: true
  /** Gets the verdicts of exactly these commands. */
  readonly check: (verdicts: ReadonlyArray<Verdict<unknown>>) => Check
}

const refusalOf = (verdicts: ReadonlyArray<Verdict<unknown>>): { readonly refused: string } | null => {
  const first = verdicts.find(Result.isFailure)
  return first === undefined ? null : { refused: first.failure.text }
}

/**
 * A key that is to come must not be there: `add map` never looks (3.0.11, 3.2.26, 3.4.7), and behind somebody else's
 * entry ours would stay unseen, out of the reconciler's reach.
 */
const beFree = (node: Node, route: Route): Stage => {
  const { key, map } = entryOf(route)
  return {
    commands: [Maps.get(node.maps[map].path, key)],
    reads: true,
    check: ([found]) => {
      const refused = refusalOf([found!])
      if (refused !== null) return refused
      const there = (found as Result.Success<string | null, never>).success
      return there === null ? "ok" : { refused: `the map leads ${key} to ${there} already` }
    }
  }
}

/** Commands that must all succeed. */
const allOf = (commands: ReadonlyArray<Command<unknown>>): Stage => ({
  commands,
  check: (verdicts) => refusalOf(verdicts) ?? "ok"
})

const removeRoute = (node: Node, route: Route): Stage => {
  const { key, map } = entryOf(route)
  const path = node.maps[map].path
  return {
    // From 3.4 one `del map` removes one of several duplicates: repeated until the key is gone.
    commands: [Maps.del(path, key), Maps.get(path, key)],
    check: ([gone, found]) =>
      refusalOf([gone!, found!]) ?? ((found as Result.Success<string | null, never>).success === null ? "ok" : "again")
  }
}

const addRoute = (node: Node, before: Route | null, after: Route): Stage => {
  const { key, map, value } = entryOf(after)
  const path = node.maps[map].path
  return {
    commands: [before === null ? Maps.add(path, key, value) : Maps.set(path, key, value), Maps.get(path, key)],
    check: ([done, found]) => {
      const refused = refusalOf([done!, found!])
      if (refused !== null) return refused
      const read = (found as Result.Success<string | null, never>).success
      return read === value ? "ok" : { refused: `the map answers ${read ?? "nothing"} for ${key}, not ${value}` }
    }
  }
}

const setAddress = (server: Server): Command<unknown> =>
  Servers.setAddress(poolName(server.pool), slotName(server.pool, server.slot), server.ip, server.port)

const setWeight = (server: Server): Command<unknown> =>
  Servers.setWeight(poolName(server.pool), slotName(server.pool, server.slot), server.weight)

const setState = (server: Server): Command<unknown> =>
  Servers.setState(poolName(server.pool), slotName(server.pool, server.slot), server.state)

/** A slot without a server: in maintenance, at the placeholder. */
const cleared = (server: Server): Server =>
  ({ ...server, ...placeholder, weight: defaultWeight, state: "maint" }) as Server

const clear = (server: Server): ReadonlyArray<Command<unknown>> => {
  const empty = cleared(server)
  return [setState(empty), setAddress(empty), setWeight(empty)]
}

/** What a slot must look like when it is read back; `state: null` while it is still to be set. */
interface Expected {
  readonly ip: string
  readonly port: number
  readonly state: string | null
  readonly weight: number
}

const readBack = (pool: PoolNumber, expected: ReadonlyMap<string, Expected>): Stage => ({
  commands: [Servers.showState(poolName(pool))],
  check: ([verdict]) => {
    const refused = refusalOf([verdict!])
    if (refused !== null) return refused
    const rows = (verdict as Result.Success<ReadonlyArray<Servers.ServerStateRow>, never>).success
    let met = 0
    for (const row of rows) {
      const want = expected.get(row.server)
      if (want === undefined) continue
      if (row.ip !== want.ip || row.port !== want.port || row.userWeight !== want.weight) return "again"
      if (want.state !== null && row.state !== want.state) return "again"
      met++
    }
    return met === expected.size ? "ok" : { refused: `${poolName(pool)} lacks a slot that was set` }
  }
})

const expectations = (servers: ReadonlyArray<Server>, withState: boolean): ReadonlyArray<Stage> =>
  [...Map.groupBy(servers, (server) => server.pool)].map(([pool, group]) =>
    readBack(
      pool,
      new Map(
        group.map((server) => [slotName(pool, server.slot), { ...server, state: withState ? server.state : null }])
      )
    )
  )

/** Several stages as one: all commands in one exchange, `again` and refusals of any count for all. */
const together = (stages: ReadonlyArray<Stage>): ReadonlyArray<Stage> =>
  stages.length < 2 ? stages : [{
    commands: stages.flatMap((stage) => stage.commands),
    ...(stages.every((stage) => stage.reads) ? { reads: true } : {}),
    check: (verdicts) => {
      let from = 0
      let result: Check = "ok"
      for (const stage of stages) {
        const check = stage.check(verdicts.slice(from, from += stage.commands.length))
        if (typeof check === "object") return check
        if (check === "again") result = "again"
      }
      return result
    }
  }]

/** The stages that make edits live, in the order of the module head. */
export const stagesOf = (node: Node, edits: ReadonlyArray<Edit>): ReadonlyArray<Stage> => {
  const leave: Array<Stage> = []
  const free: Array<Stage> = []
  const come: Array<Stage> = []
  const placed: Array<Server> = []
  const tuned: Array<Server> = []
  const left: Array<Server> = []
  const fresh = new Set<PoolNumber>()
  const leaving = new Set<RouteName>()
  for (const edit of edits) {
    if (edit.kind === "owner") {
      if (edit.before === null && edit.after !== null) fresh.add(edit.pool)
    } else if (edit.kind === "route") {
      if (edit.after === null) {
        leaving.add(edit.name)
        leave.push(removeRoute(node, edit.before!))
      } else if (edit.before === null || edit.before.pool !== edit.after.pool) {
        come.push(addRoute(node, edit.before, edit.after))
        // A duplicate that the reconciler repairs leaves first, in the same job.
        if (edit.before === null && !leaving.has(edit.name)) free.push(beFree(node, edit.after))
      }
    } else if (edit.after === null) left.push(edit.before!)
    else if (edit.before === null || edit.before.ip !== edit.after.ip || edit.before.port !== edit.after.port) {
      placed.push(edit.after)
    } else tuned.push(edit.after)
  }
  // A pool that nothing leads to yet may become ready in the exchange that fills it; it is read back before its route.
  const early = placed.filter((server) => fresh.has(server.pool))
  const late = placed.filter((server) => !fresh.has(server.pool))
  const set = [
    ...placed.flatMap((server) => [setAddress(server), setWeight(server)]),
    ...early.map(setState),
    ...tuned.flatMap((server) => [setWeight(server), setState(server)])
  ]
  return [
    ...together([...leave, ...free, ...(set.length === 0 ? [] : [allOf(set)])]),
    ...together([
      ...(left.length === 0 ? [] : [allOf(left.flatMap(clear))]),
      ...expectations([...early, ...tuned], true),
      ...expectations(late, false)
    ]),
    ...together([
      ...(late.length === 0 ? [] : [allOf(late.map(setState)), ...expectations(late, true)]),
      ...expectations(left.map(cleared), true)
    ]),
    ...together(come)
  ]
}
