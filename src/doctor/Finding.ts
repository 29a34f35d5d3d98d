/**
 * What `haproxy-mcp doctor` finds, and how a check runs: bounded in time, and never the end of the others. A check
 * that breaks or does not end is itself a finding.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** `ok`: as it should be. `warning`: it works, and something is unsafe, slow or will fail later. `error`: it does not. */
export type Level = "ok" | "warning" | "error"

/** Where a finding stands in the answer. */
export type Area =
  | "settings"
  | "machine"
  | "HAProxy"
  | "routing"
  | "certificates"
  | "files"
  | "database"
  | "access"
  | "control plane"

/** One finding. `found` says what is, `mend` the command or setting that mends it; null when nothing is to be done. */
export interface Finding {
  readonly area: Area
  readonly name: string
  readonly level: Level
  readonly found: string
  readonly mend: string | null
}

/** The answer of the doctor. Field names are the contract of `doctor --json`. */
export interface Report {
  readonly summary: string
  /** The worst of all findings. */
  readonly status: Level
  readonly version: string
  readonly findings: ReadonlyArray<Finding>
}

/** A finding without its area, which its check knows. */
export type Found = Omit<Finding, "area">

export const ok = (name: string, found: string): Found => ({ name, level: "ok", found, mend: null })
export const warning = (name: string, found: string, mend: string): Found => ({ name, level: "warning", found, mend })
export const error = (name: string, found: string, mend: string): Found => ({ name, level: "error", found, mend })

/** One look at something. */
export interface Check {
  readonly area: Area
  readonly name: string
  /** Milliseconds that it may take. */
  readonly limit: number
  readonly look: Effect.Effect<ReadonlyArray<Found>>
}

/** Milliseconds for most checks. */
const usual = 3_000

export const check = (
  area: Area,
  name: string,
  look: Effect.Effect<ReadonlyArray<Found>>,
  limit = usual
): Check => ({ area, name, look, limit })

/** A check of the file system. */
export const checkNow = (area: Area, name: string, look: () => Promise<ReadonlyArray<Found>>, limit = usual): Check =>
  check(area, name, Effect.promise(look), limit)

/** Runs one check; never fails. */
export const run = ({ area, limit, look, name }: Check): Effect.Effect<ReadonlyArray<Finding>> =>
  look.pipe(
    Effect.timeoutOption(limit),
    Effect.map(Option.getOrElse((): ReadonlyArray<Found> => [
      warning(name, `no end within ${limit / 1000} s, so this is not known`, "Run `haproxy-mcp doctor` again.")
    ])),
    Effect.catchCause((cause) =>
      Effect.succeed([
        warning(
          name,
          `could not be looked at: ${Cause.pretty(cause).split("\n")[0]!.slice(0, 200)}`,
          "Report it: this should be a finding of its own."
        )
      ])
    ),
    Effect.map((found) => found.map((one) => ({ area, ...one })))
  )
