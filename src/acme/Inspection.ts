/**
 * What doctor and health want to know of acme.sh: is it there, could it issue now, and what would surprise.
 *
 * Looks only: it runs `acme.sh --version` and `crontab -l`, and reads names of files and of settings. A certificate
 * that acme.sh itself renews as well is the surprise to warn of.
 */
import * as Effect from "effect/Effect"
import type { AcmeState } from "./Acme.ts"
import { choose } from "./Credentials.ts"
import { checkSettings, type IssueOptions } from "./Issue.ts"
import { type Habits, located, type Machine, type MachineError, type Surroundings } from "./Machine.ts"

/** Names that one warning lists. */
const mostNames = 5

const some = (names: ReadonlyArray<string>): string =>
  // The names of folders are a stranger's text.
  names.slice(0, mostNames).map((name) => name.replace(/[^\w.*-]/g, "?").slice(0, 80)).join(", ")
  + (names.length > mostNames ? ` and ${names.length - mostNames} more` : "")

const warnings = ({ saved, schedules }: Habits): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (schedules.length > 0) {
    found.push(
      `acme.sh renews by itself too (${schedules.slice(0, mostNames).join(", ")}): its certificates do not get to `
        + "HAProxy that way. Remove the job (acme.sh --uninstall-cronjob) for those that are renewed here."
    )
  }
  if (saved.length > 0) {
    found.push(
      `acme.sh has saved reload commands, hooks or copies for ${some(saved)}; they never run from here, but they do `
        + "when acme.sh renews by itself."
    )
  }
  return found
}

const inWords = ({ hint, message }: MachineError): string => `${message} ${hint}`

/** The first thing that keeps it from issuing; null when nothing is known to. */
const problemOf = (options: IssueOptions, machine: Machine, found: Surroundings): Effect.Effect<string | null> =>
  Effect.gen(function*() {
    yield* checkSettings(options, found)
    if (found.hook === null) {
      return `${machine.prefix}acme.sh has no DNS hook ${options.dns}: ACME_DNS is the name of a file in its folder dnsapi.`
    }
    if (found.unwritable !== null) {
      return `${machine.prefix}${found.unwritable} is not writable for this user: acme.sh keeps its accounts there (ACME_HOME).`
    }
    yield* choose({ file: found.credentialsFile, dns: options.dns }, found.credentials, found.hook.text)
    return null
  }).pipe(Effect.catch((error: MachineError) => Effect.succeed(inWords(located(machine)(error)))))

/** Looks at everything; never fails. */
export const inspect = (options: IssueOptions, machine: Machine): Effect.Effect<AcmeState> =>
  Effect.gen(function*() {
    const { habits, look } = yield* machine.inspect
    const all = warnings(habits)
    return yield* Effect.matchEffect(look, {
      onFailure: (error) =>
        Effect.succeed<AcmeState>({ program: null, problem: inWords(located(machine)(error)), warnings: all }),
      onSuccess: (found) =>
        Effect.map(problemOf(options, machine, found), (problem) => ({
          program: { path: found.program.path, version: found.program.version },
          problem,
          warnings: all
        }))
    })
  })
