/**
 * Makes edits live in HAProxy and reads them back: the middle of the write path.
 *
 * Each job is a list of stages (Stages.ts), each stage some commands and a check of their answers; all jobs of a batch
 * go through their stages side by side, one exchange at a time, and each gets its own verdict. The last exchange of
 * every job also asks who answered: a worker that is stopping after a reload does not count.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { Edit } from "../domain/Change.ts"
import type { Command, Verdict } from "../haproxy/Command.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import * as Maps from "../haproxy/MapCommands.ts"
import { LinkLost, type RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { entryOf, type Node } from "./Node.ts"
import { stagesOf } from "./Stages.ts"

/** What became of one job. `refused` carries HAProxy's own text. */
export type JobVerdict = { readonly _tag: "live" } | { readonly _tag: "refused"; readonly text: string }

/** How often a read-back is repeated before HAProxy counts as unwilling: some seconds. A busy one takes its time. */
const readBackAttempts = 750
/** Milliseconds between repeated read-backs. */
const readBackPause = 4

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
