/**
 * Work that a call waits for as long as a call may last; longer than that it goes on by itself, and its answer is
 * followed by an id. The caller hears of its progress only while the call lasts.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ControlError } from "../domain/Errors.ts"
import type { Answer } from "./Answer.ts"
import { Caller } from "./Caller.ts"
import { LongestCall, Operations } from "./Operations.ts"

/** Runs `work` as an operation of this tool; `still` answers when the call ends before it. */
export const longWork = Effect.fnUntraced(function*<A extends Answer, R>(
  tool: string,
  work: Effect.Effect<A, ControlError, R>,
  still: (operationId: string) => Effect.Effect<A, ControlError, R>
): Effect.fn.Return<A, ControlError, R | Operations> {
  const caller = yield* Caller
  // A dry run ends where work would begin.
  if (caller.dryRun === true) return yield* work
  const services = yield* Effect.context<R>()
  let heard = true
  const progress: typeof caller.progress = (done, total, message) =>
    Effect.suspend(() => heard ? caller.progress(done, total, message) : Effect.void)
  const operations = yield* Operations
  const id = yield* operations.start(
    tool,
    work.pipe(Effect.provideContext(services), Effect.provideService(Caller, { ...caller, progress }))
  )
  const first = yield* operations.follow(id, yield* LongestCall).pipe(
    Effect.ensuring(Effect.sync(() => {
      heard = false
    }))
  )
  if (Option.isSome(first)) {
    if (first.value.failure !== null) return yield* first.value.failure
    if (first.value.status === "done") return first.value.result as A
  }
  return yield* still(id)
})
