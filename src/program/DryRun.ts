/**
 * Dry runs: a program runs up to where it would begin to change something, and ends there with its plan.
 *
 * Guarantees: up to that point it is the very program of the real call, so that what is refused there is refused here in
 * the same words; after it nothing runs, neither the change nor what would take it back. What is left of a program that
 * ends by itself had nothing to change. A program that can change something says where that begins: `write` of
 * PoolAllocator.ts for the desired state, {@link endOfDryRun} for everything else.
 */
import * as Effect from "effect/Effect"
import type { Answer } from "./Answer.ts"
import { Caller } from "./Caller.ts"

/** One row before and after; null: it was not, or is not, there. */
export interface PlannedEdit {
  readonly what: string
  readonly before: string | null
  readonly after: string | null
}

/** What a call would do. Lists are cut; the counts are of all. */
export interface ChangePlan {
  /** False: it is so already, or there is nothing to do. */
  readonly would_change: boolean
  /** Rows of the desired state, in the words of the change log. */
  readonly edits: ReadonlyArray<PlannedEdit>
  readonly edit_count: number
  /** What HAProxy would be told, in order; questions are left out. */
  readonly commands: ReadonlyArray<string>
  readonly command_count: number
  /** Files that would be written or deleted. */
  readonly files: ReadonlyArray<string>
  /** What else would be done, in sentences. */
  readonly steps: ReadonlyArray<string>
  /** Routed names whose traffic or certificate it is about. */
  readonly domains: ReadonlyArray<string>
  readonly domain_count: number
  /** Sessions that are open now on the servers concerned; null: HAProxy does not say. */
  readonly live_sessions: number | null
}

/** The answer of a dry run: perhaps with what else the real call would answer. */
export interface DryRunAnswer extends Answer {
  /** Nothing was changed. */
  readonly changed: false
  readonly warnings: ReadonlyArray<string>
  readonly plan: ChangePlan
}

/** Elements of lists that a plan shows, and characters of a command. */
const mostShown = 50
const longestCommand = 200

/** A plan of what is given; everything else of it is empty. */
export const makePlan = (
  { commands = [], domain_count, domains = [], edit_count, edits = [], files = [], live_sessions = 0, steps = [] }:
    Partial<Omit<ChangePlan, "would_change" | "command_count">>
): ChangePlan => ({
  would_change: edits.length + commands.length + files.length + steps.length > 0,
  edits: edits.slice(0, mostShown),
  edit_count: edit_count ?? edits.length,
  commands: commands.slice(0, mostShown).map((command) =>
    command.length > longestCommand ? `${command.slice(0, longestCommand)}…` : command
  ),
  command_count: commands.length,
  files: files.slice(0, mostShown),
  steps,
  domains: domains.slice(0, mostShown),
  domain_count: domain_count ?? domains.length,
  live_sessions
})

/** What a program foresees. */
export interface Foreseen {
  readonly plan: ChangePlan
  readonly warnings: ReadonlyArray<string>
  /** What the real call would say. */
  readonly summary: string
  /** What the real call would answer beside that, as far as it is known. */
  readonly answer?: object
}

/** How a dry run leaves its program. Not an error: nothing failed, and nobody may take back what was not done. */
class Rehearsed {
  readonly answer: DryRunAnswer
  constructor(answer: DryRunAnswer) {
    this.answer = answer
  }
}

const answerOf = ({ answer, plan, summary, warnings }: Foreseen): DryRunAnswer => ({
  ...answer,
  summary: `Dry run, nothing was changed. The call would answer: ${summary}`,
  changed: false,
  warnings,
  plan
})

/** Ends the program, which is a dry run, with what it foresees. */
export const foresee = (foreseen: Foreseen): Effect.Effect<never> => Effect.die(new Rehearsed(answerOf(foreseen)))

/** From here on something is changed: a dry run ends with what it foresees. For a real call this is nothing. */
export const endOfDryRun = <E, R>(look: Effect.Effect<Foreseen, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(Caller, ({ dryRun }) => dryRun === true ? Effect.flatMap(look, foresee) : Effect.void)

/** Runs a program as a dry run. */
export const rehearse = <A extends Answer, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<DryRunAnswer, E, R> =>
  Effect.flatMap(Caller, (caller) =>
    program.pipe(
      Effect.map((answer) => answerOf({ answer, summary: answer.summary, plan: makePlan({}), warnings: [] })),
      Effect.provideService(Caller, { ...caller, dryRun: true }),
      Effect.catchDefect((defect) => defect instanceof Rehearsed ? Effect.succeed(defect.answer) : Effect.die(defect))
    ))
