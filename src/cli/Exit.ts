/**
 * How the process ends.
 *
 * Exit codes: 0 done; 1 it failed; 2 the command line or the settings are wrong, so that a restart will not help;
 * 3 `status`: it works, but something is degraded; 70 a defect of ours (sysexits.h, EX_SOFTWARE), with its details
 * in the log; 128 + n ended by signal n before it was done.
 *
 * `serve` and `stdio` answer SIGTERM and SIGINT by finishing what was begun and exit with 0, within ten seconds. A
 * second signal ends the process at once: everything acknowledged is durable already, the rest is repaired at the
 * next start.
 */
import * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import { constants } from "node:os"

export const exitCodes = { done: 0, failed: 1, usage: 2, degraded: 3, defect: 70 } as const

/** Ends the process with a code and without a message: everything is said already. */
export class Ended extends Schema.TaggedError<Ended>()("Ended", { code: Schema.Number }) {}

/** Milliseconds between the first signal and the end of the process. Orchestrators kill after 30 s, or 10 s at least. */
const patience = 9_500

const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

const isTyped = (
  error: unknown
): error is { readonly message: string; readonly hint?: string; readonly _tag: string } =>
  error instanceof Error && "_tag" in error && !("defect" in error)

/** Says what went wrong, once, and answers the exit code. */
const report = (cause: Cause.Cause<unknown>, logDefect: (cause: Cause.Cause<unknown>) => void): number => {
  if (Cause.hasDies(cause)) {
    logDefect(cause)
    say("a defect of ours; the log line above has its details")
    return exitCodes.defect
  }
  const error = Cause.squash(cause)
  if (error instanceof Ended) return error.code
  if (!isTyped(error)) {
    logDefect(cause)
    return exitCodes.defect
  }
  say(error.message)
  if (error.hint !== undefined && error.hint !== "") say(error.hint)
  return error._tag === "ConfigInvalid" ? exitCodes.usage : exitCodes.failed
}

/** Exits when what was printed is out: an exit drops what a slow reader of a pipe has not taken yet. */
const leave = (code: number): void => {
  const full = [process.stdout, process.stderr].filter((stream) => stream.writableLength > 0)
  if (full.length === 0) process.exit(code)
  let left = full.length
  const done = () => {
    if (--left <= 0) process.exit(code)
  }
  for (const stream of full) {
    // The reader went away: nothing more can be said.
    stream.once("error", () => process.exit(code))
    stream.write("", done)
  }
}

/** Runs the program as this process and exits with its code. */
export const runProcess = (
  program: Effect.Effect<void, unknown>,
  logDefect: (cause: Cause.Cause<unknown>) => void
): void => {
  let received: NodeJS.Signals | undefined
  const runMain = Runtime.makeRunMain(({ fiber }) => {
    const onSignal = (signal: NodeJS.Signals) => {
      if (received !== undefined) process.exit(128 + constants.signals[signal])
      received = signal
      setTimeout(() => {
        say(`not done ${patience} ms after ${signal}; what is missing is repaired at the next start`)
        process.exit(exitCodes.failed)
      }, patience).unref()
      fiber.interruptUnsafe(fiber.id)
    }
    process.on("SIGTERM", onSignal)
    process.on("SIGINT", onSignal)
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) return leave(Number(process.exitCode ?? exitCodes.done))
      const bySignal = received !== undefined && Cause.hasInterruptsOnly(exit.cause)
      if (bySignal) process.exit(process.exitCode ?? 128 + constants.signals[received!])
      leave(report(exit.cause, logDefect))
    })
  })
  runMain(program, { disableErrorReporting: true })
}
