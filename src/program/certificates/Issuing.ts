/**
 * Issues under way, by the name of their certificate.
 *
 * Guarantees: for one name there is one run at a time, and all who ask for the same get its result; a run goes on when
 * those who asked go away, until this program ends; everyone who waits hears of its progress.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Busy, type ControlError, Internal } from "../../domain/Errors.ts"
import { Caller, type CallerShape } from "../Caller.ts"
import * as Endings from "../Endings.ts"

interface Run<A> {
  readonly names: ReadonlyArray<string>
  readonly listeners: Set<CallerShape["progress"]>
  fiber: Fiber.Fiber<A, ControlError> | null
}

/** The same names in any order. */
export const sameNames = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean => {
  const all = new Set(a)
  return all.size === new Set(b).size && b.every((name) => all.has(name))
}

/** Runs end with `scope`. */
export const make = <A>(scope: Scope.Scope) => {
  const runs = new Map<string, Run<A>>()

  /** Runs `work` for a certificate, or joins the run that is under way for the same names. */
  const run = Effect.fnUntraced(function*(
    name: string,
    names: ReadonlyArray<string>,
    work: Effect.Effect<A, ControlError>
  ): Effect.fn.Return<A, ControlError> {
    const caller = yield* Caller
    let one = runs.get(name)
    if (one !== undefined && !sameNames(one.names, names)) {
      return yield* new Busy({
        message: `A certificate ${name} is being issued for ${one.names.join(", ")}`,
        hint: "Nothing was begun. Ask again when that has ended."
      })
    }
    if (one === undefined) {
      const begun: Run<A> = { names, listeners: new Set(), fiber: null }
      const progress: CallerShape["progress"] = (done, total, message) =>
        Effect.forEach([...begun.listeners], (tell) => tell(done, total, message), { discard: true })
      runs.set(name, begun)
      begun.fiber = yield* work.pipe(
        Effect.provideService(Caller, { ...caller, progress }),
        Effect.tapCause((cause) =>
          Cause.hasDies(cause) ? Effect.logError(`The issue of ${name} died`, cause) : Effect.void
        ),
        Effect.ensuring(Effect.sync(() => void runs.delete(name))),
        Effect.forkIn(scope)
      )
      one = begun
    }
    const { fiber, listeners } = one
    listeners.add(caller.progress)
    const exit = yield* Fiber.await(fiber!).pipe(
      Effect.ensuring(Effect.sync(() => void listeners.delete(caller.progress)))
    )
    if (Exit.isSuccess(exit)) return exit.value
    const failure = Exit.findErrorOption(exit)
    if (Option.isSome(failure)) return yield* failure.value
    return yield* Cause.hasInterruptsOnly(exit.cause)
      ? Endings.stopped()
      : new Internal({ message: "The issue died", hint: "The server's log has the details." })
  })

  return { run, underWay: Effect.sync((): ReadonlySet<string> => new Set(runs.keys())) }
}
