/**
 * Makes edits live in HAProxy and reads them back: the middle of the write path.
 *
 * Each job is a list of stages, each stage some commands and a check of their answers; all jobs of a batch go
 * through their stages side by side, one exchange at a time, and each gets its own verdict. The order inside a
 * job is what keeps a pool from ever serving somebody else's server:
 *   1  routes that leave are removed and read back; keys that come are seen to be free; servers that come get address
 *      and weight
 *   2  addresses are read back (HAProxy applies them after the exchange that set them); slots that leave go to
 *      maintenance and the placeholder
 *   3  new servers of pools in use become ready; cleared slots are read back
 *   4  routes that come are added and read back
 * The last exchange of every job also asks who answered: a worker that is stopping after a reload does not count.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { Edit, Route } from "../domain/Change.ts"
import { defaultWeight, placeholder, poolName, type PoolNumber, type Server, slotName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import type { Command, Verdict } from "../haproxy/Command.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import { LinkLost, type RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Servers from "../haproxy/ServerCommands.ts"
import { entryOf, type Node } from "./Node.ts"

/** What became of one job. `refused` carries HAProxy's own text. */
export type JobVerdict = { readonly _tag: "live" } | { readonly _tag: "refused"; readonly text: string }

type Check = "ok" | "again" | { readonly refused: string }

interface Stage {
  readonly commands: ReadonlyArray<Command<unknown>>
  /** They change nothing: they may be asked before it is sure that the write comes. */
  readonly reads?: true
  /** Gets the verdicts of exactly these commands. */
  readonly check: (verdicts: ReadonlyArray<Verdict<unknown>>) => Check
}

/** How often a read-back is repeated before HAProxy counts as unwilling: some seconds. A busy one takes its time. */
const readBackAttempts = 750
/** Milliseconds between repeated read-backs. */
const readBackPause = 4

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

/** How the edits move the number of entries in each map. */
const countEntries = (node: Node, edits: ReadonlyArray<Edit>): void => {
  for (const edit of edits) {
    if (edit.kind !== "route") continue
    const step = (edit.after === null ? 0 : 1) - (edit.before === null ? 0 : 1)
    node.maps[entryOf((edit.after ?? edit.before)!).map].entries += step
  }
}

/** What `applyJobs` found beside the verdicts. */
export interface Applied {
  readonly verdicts: ReadonlyArray<JobVerdict>
  /** The maps hold another number of entries than they should: somebody else edits them. */
  readonly drifted: boolean
}

/** An exchange that only reads, under way since before the commit. */
export type Ahead = Effect.Effect<ReadonlyArray<Verdict<unknown>>, LinkLost>

/**
 * Sends the first questions of {@link applyJobs} at once and answers where to get the answers, so that HAProxy looks
 * while the disk takes the commit. Null when the first stage of a job is more than a question.
 */
export const askAhead = Effect.fnUntraced(function*(
  runtime: RuntimeApi["Service"],
  node: Node,
  jobs: ReadonlyArray<ReadonlyArray<Edit>>,
  deadline: number
) {
  const plans = jobs.map((edits) => stagesOf(node, edits)).filter((stages) => stages.length > 0)
  const timeout = deadline - Date.now()
  if (timeout <= 0 || plans.length === 0) return null
  if (!plans.every((stages) => stages.length > 1 && stages[0]!.reads === true)) return null
  const asked = runtime.exchange(plans.flatMap((stages) => stages[0]!.commands), { timeout })
  const fiber = yield* Effect.forkChild(asked, { startImmediately: true })
  const ahead: Ahead = Fiber.join(fiber)
  return ahead
})

/**
 * Runs all jobs to their verdicts by `deadline` (milliseconds since 1970). LinkLost when an answer is missing or
 * another worker than the node's gave it: then no verdict of this call counts. `ahead`: what {@link askAhead} answered
 * for the same jobs.
 */
export const applyJobs = Effect.fnUntraced(function*(
  runtime: RuntimeApi["Service"],
  node: Node,
  jobs: ReadonlyArray<ReadonlyArray<Edit>>,
  deadline: number,
  ahead: Ahead | null = null
): Effect.fn.Return<Applied, LinkLost> {
  const verdicts: Array<JobVerdict> = jobs.map(() => ({ _tag: "live" }))
  let active = jobs.map((edits, job) => ({ job, stages: stagesOf(node, edits), stage: 0, attempts: 0 }))
    .filter((run) => run.stages.length > 0)
  let drifted = false
  let touched = false
  while (active.length > 0) {
    const timeout = deadline - Date.now()
    if (timeout <= 0) return yield* new LinkLost({ reason: "the deadline passed", sent: touched })
    const commands = active.flatMap((run) => run.stages[run.stage]!.commands)
    // Who answered is asked only where a job may end: `show info` costs more than all the rest of an exchange.
    const ending = active.some((run) => run.stage === run.stages.length - 1)
    const all: ReadonlyArray<Command<unknown>> = ending ? [...commands, Info.show, Maps.list] : commands
    const exchange: Ahead = !touched && ahead !== null ? ahead : runtime.exchange(all, { timeout })
    const answers = yield* exchange.pipe(
      Effect.mapError((lost) => touched && !lost.sent ? new LinkLost({ reason: lost.reason, sent: true }) : lost)
    )
    touched = true
    const info = answers[commands.length] as Verdict<Info.Info> | undefined
    if (
      info !== undefined && (Result.isFailure(info) || info.success.stopping || info.success.pid !== node.epoch.pid)
    ) {
      yield* runtime.reset("another worker took over")
      return yield* new LinkLost({ reason: "the worker that answered is stopping", sent: true })
    }
    let from = 0
    let pause = true
    const still: typeof active = []
    for (const run of active) {
      const stage = run.stages[run.stage]!
      const check = stage.check(answers.slice(from, from += stage.commands.length))
      if (typeof check === "object") verdicts[run.job] = { _tag: "refused", text: check.refused }
      else if (check === "again" && ++run.attempts > readBackAttempts) {
        verdicts[run.job] = { _tag: "refused", text: "HAProxy accepted the commands but does not show their effect" }
      } else if (check === "again") still.push(run)
      else {
        pause = false
        run.attempts = 0
        if (++run.stage < run.stages.length) still.push(run)
        else countEntries(node, jobs[run.job]!)
      }
    }
    active = still
    const maps = answers[commands.length + 1] as Verdict<ReadonlyArray<Maps.MapInfo>> | undefined
    if (active.length === 0) {
      const entries = (path: string) =>
        maps !== undefined && Result.isSuccess(maps)
          ? maps.success.find((map) => map.path === path)?.entries
          : undefined
      drifted = Object.values(node.maps).some((map) => entries(map.path) !== map.entries)
    } else if (pause) yield* Effect.sleep(readBackPause)
  }
  return { verdicts, drifted }
})
