/**
 * Whether this process is still the one that writes, asked of the remote before HAProxy or its files hear of anything.
 *
 * A process can be stopped for a while at any step, and find another one writing when it goes on: so an answer counts for a
 * short time only. What is sent within that time after a stop of the whole process is not kept back; the one that took over
 * finds it as drift.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ControlError } from "../../domain/Errors.ts"
import type { PublisherShape } from "./Publisher.ts"

/** Milliseconds for which an answer counts. */
const answerCounts = 500

/** Null: it is; else why it may not write. Without a remote nobody is asked. */
export const mayNotWrite = (publisher: PublisherShape, deadline: number): Effect.Effect<ControlError | null> =>
  publisher.mode === "off"
    ? Effect.succeed(null)
    : Effect.match(publisher.mayWrite(deadline), {
      onFailure: (error): ControlError | null => error,
      onSuccess: () => null
    })

/** The same, asked beside what comes next; the answer is what this answers. One that is too old by then is asked again. */
export const asking = Effect.fnUntraced(function*(publisher: PublisherShape, deadline: number) {
  if (publisher.mode === "off") return Effect.succeed<ControlError | null>(null)
  const asked = performance.now()
  const first = yield* Effect.forkChild(mayNotWrite(publisher, deadline))
  return Effect.flatMap(
    Fiber.join(first),
    (error) => error === null ? askedSince(publisher, asked, deadline) : Effect.succeed(error)
  )
})

/** Null where that was asked at `since` (performance.now()) and still counts, or is so when it is asked now. */
export const askedSince = (publisher: PublisherShape, since: number, deadline: number) =>
  Effect.suspend(() =>
    performance.now() - since > answerCounts ? mayNotWrite(publisher, deadline) : Effect.succeed(null)
  )
