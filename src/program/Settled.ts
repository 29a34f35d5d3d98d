/** The answers of a batch's jobs that write nothing: what is so already, refusals, dry runs. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type ControlError, RemoteUnreachable } from "../domain/Errors.ts"
import type { Job, Rehearsed } from "./Deciding.ts"
import type { Plan, Written } from "./Decision.ts"
import type { Plane } from "./Reconciler.ts"
import type { Publication } from "./replication/Publisher.ts"

/** Gives a job its verdict. */
export const answer = (job: Job, exit: Exit.Exit<Written<unknown>, ControlError>) => {
  Deferred.doneUnsafe(job.done, exit)
}

/** Waits for the remote beside the next batch. */
const whenPublished = (
  { publisher }: Plane,
  deadline: number,
  then: (publication: Publication) => Effect.Effect<void>
): Effect.Effect<void> =>
  publisher.mode === "off"
    ? then({ _tag: "Durable" })
    : Effect.asVoid(Effect.forkDetach(Effect.flatMap(publisher.published(deadline), then)))

/** Dry runs: nothing was written, so nothing is waited for; who may not write is told so all the same. */
export const answerRehearsed = (rehearsed: ReadonlyArray<Rehearsed>, revision: number, fenced: ControlError | null) =>
  Effect.sync(() => {
    for (const { answer: draft, foreseen, job } of rehearsed) {
      answer(
        job,
        fenced === null
          ? Exit.succeed({ answer: draft, changed: false, changeId: null, revision, follows: false, foreseen })
          : Exit.fail(fenced)
      )
    }
  })

/** Jobs that write nothing: what they ask for is there, and may wait for the remote only. */
export const answerSettled = (
  plane: Plane,
  settled: ReadonlyArray<readonly [Job, Exit.Exit<Plan<unknown>, ControlError>]>,
  revision: number,
  deadline: number
): Effect.Effect<void> => {
  const done: Array<readonly [Job, unknown]> = []
  for (const [job, exit] of settled) {
    if (Exit.isFailure(exit)) answer(job, Exit.failCause(exit.cause))
    else done.push([job, exit.value.answer])
  }
  if (done.length === 0) return Effect.void
  return whenPublished(plane, deadline, (publication) =>
    Effect.sync(() => {
      for (const [job, found] of done) {
        answer(
          job,
          publication._tag === "Unknown"
            ? Exit.fail(
              new RemoteUnreachable({
                message: `It is so already, but not known to be durable on the remote host: ${publication.reason}`,
                hint: "Nothing was changed. Repeat the call once the remote host answers."
              })
            )
            : Exit.succeed({
              answer: found,
              changed: false,
              changeId: null,
              revision,
              follows: publication._tag === "Behind"
            })
        )
      }
    }))
}
