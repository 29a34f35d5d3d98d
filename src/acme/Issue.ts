/**
 * One certificate from acme.sh, top to bottom: the program, the credentials, the account, the run, what it gave.
 *
 * A first registration goes alone (Account.ts). No more runs go at the same time than the machine takes (Machine.ts).
 * The run's folder, with the new key in it, is gone in every case.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { join } from "node:path"
import { AcmeFailed, ConfigInvalid, type RemoteUnreachable, StorageFailed } from "../domain/Errors.ts"
import { parseRouteName } from "../domain/RouteName.ts"
import * as Tracing from "../Tracing.ts"
import { type AccountFiles, type Binding, hasBinding, isPlain, isRegistered, withBinding } from "./Account.ts"
import type { Issued } from "./Acme.ts"
import * as Arguments from "./Arguments.ts"
import { choose, type Credentials } from "./Credentials.ts"
import { located, type Machine, type Run, type Surroundings } from "./Machine.ts"
import { Output, stepsFor } from "./Output.ts"
import type { Failure } from "./Problems.ts"
import type { Wants } from "./Servers.ts"

export interface IssueOptions extends Arguments.RunSettings {
  readonly wants: Wants
  readonly binding: { readonly kid: string | null; readonly hmacKey: Redacted.Redacted<string> | null }
  /** Milliseconds of one run. */
  readonly timeout: number
}

/** Hears of each phase. */
export type Progress = (done: number, total: number, message: string) => Effect.Effect<void>

type IssueError = AcmeFailed | ConfigInvalid | StorageFailed | RemoteUnreachable

/** Names that one certificate may have; CAs take 100. */
const mostNames = 100

const acmeFailed = (failure: Failure): AcmeFailed => new AcmeFailed({ ...failure })

/** A file that acme.sh says it has written. */
const written = ({ read }: Run, path: string): Effect.Effect<string, StorageFailed | RemoteUnreachable> =>
  Effect.flatMap(read(path), (text) =>
    text === null
      ? Effect.fail(
        new StorageFailed({
          message: `Cannot read ${path} (ENOENT).`,
          hint: "acme.sh said that it has written it: look at the disk of ACME_HOME, and try again."
        })
      )
      : Effect.succeed(text))

/** Seconds of the Retry-After in the headers that acme.sh kept of the last answer (`http.header`). */
const lastRetryAfter = ({ folder, read }: Run): Effect.Effect<number | null> =>
  read(join(folder, "http.header")).pipe(
    Effect.map((headers) => {
      const wait = /^retry-after:\s*(\d{1,8})\s*$/im.exec(headers ?? "")?.[1]
      return wait === undefined ? null : Number(wait)
    }),
    Effect.orElseSucceed(() => null)
  )

/** Everything that can be known to be wrong before anything is tried. */
export const checkSettings = (options: IssueOptions, found: Surroundings): Effect.Effect<void, ConfigInvalid> =>
  Effect.gen(function*() {
    const { home, missingTools: tools, program } = found
    const refuse = (message: string, hint: string, field: string) => new ConfigInvalid({ message, hint, field })
    if (/[\s']/.test(home)) {
      return yield* refuse(
        "acme.sh cannot work in a folder with a space in its name.",
        "Choose another ACME_HOME.",
        "ACME_HOME"
      )
    }
    if (tools.length > 0) {
      return yield* refuse(`acme.sh needs ${tools.join(" and ")}.`, `Install ${tools.join(" and ")}.`, "PATH")
    }
    if (options.profile !== null && !program.takesProfile) {
      return yield* refuse(
        `acme.sh ${program.version} cannot ask for a profile.`,
        "Update acme.sh (3.1.5 can), or leave ACME_PROFILE unset.",
        "ACME_PROFILE"
      )
    }
    if (!found.hasCaBundle) {
      return yield* refuse(`There is no ${found.caBundle}.`, "Correct ACME_CA_BUNDLE.", "ACME_CA_BUNDLE")
    }
  })

const bindingOf = (options: IssueOptions, credentials: Credentials): Binding | null => {
  const kid = options.binding.kid ?? credentials.binding.kid
  const hmacKey = options.binding.hmacKey ?? credentials.binding.hmacKey
  return kid === null || hmacKey === null ? null : { kid, hmacKey }
}

const checkBinding = (
  options: IssueOptions,
  account: AccountFiles,
  binding: Binding | null
): Effect.Effect<void, ConfigInvalid> => {
  if (binding !== null) {
    return isPlain(binding) ? Effect.void : Effect.fail(
      new ConfigInvalid({
        message: "The external account binding has a character that none has.",
        hint: "Copy ACME_EAB_KID and ACME_EAB_HMAC_KEY as the CA shows them.",
        field: "ACME_EAB_HMAC_KEY"
      })
    )
  }
  const given = hasBinding(account) || options.wants === "nothing"
    || (options.wants === "binding or e-mail" && options.email !== null)
  return given ? Effect.void : Effect.fail(
    new ConfigInvalid({
      message: `The CA ${new URL(options.server).hostname} gives accounts only with an external account binding.`,
      hint: "Get a key id and an HMAC key from the CA and set ACME_EAB_KID and ACME_EAB_HMAC_KEY"
        + (options.wants === "binding" ? ", or use ACME_SERVER letsencrypt." : ", or set ACME_EMAIL."),
      field: "ACME_EAB_KID"
    })
  )
}

/** Hears what acme.sh says until its end. */
const listen = (
  options: IssueOptions,
  run: Run,
  output: Output,
  progress: Progress
): Effect.Effect<void, AcmeFailed | StorageFailed | RemoteUnreachable> =>
  Effect.gen(function*() {
    const fail = Effect.flatMap(
      lastRetryAfter(run),
      (wait) => Effect.fail(acmeFailed(output.failure(options.dns, options.server, wait)))
    )
    for (;;) {
      const event = yield* Queue.take(run.events)
      switch (event._tag) {
        case "Failed":
          return yield* acmeFailed({
            message: `acme.sh cannot be started (${event.code}).`,
            hint: "Check ACME_COMMAND and /bin/sh.",
            retryable: true
          })
        case "Lost":
          return yield* event.error
        case "End":
          return event.code === 0 ? undefined : yield* fail
        case "Line": {
          const { giveUp, phase } = output.read(event.text)
          if (phase !== undefined) yield* progress(phase.done, phase.total, phase.message)
          if (giveUp === true) return yield* fail
        }
      }
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: options.timeout,
      orElse: () =>
        Effect.fail(acmeFailed({
          message: `acme.sh did not come to an end within ${
            Math.round(options.timeout / 1_000)
          } seconds and was ended.`,
          hint: "Raise ACME_TIMEOUT if the CA or DNS are that slow; otherwise try again later.",
          retryable: true
        }))
    })
  )

/** Makes `issue` for one set of settings. */
export const make = (given: IssueOptions, machine: Machine) => {
  const runs = Semaphore.makeUnsafe(machine.runsAtOnce)
  const registration = Semaphore.makeUnsafe(1)
  const locate = located(machine)
  const there = <A, E extends { readonly _tag: string }, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.mapError(work, (error) => locate(error))

  /** Runs acme.sh in a folder of its own for the scope, to its end. */
  const run = (
    options: IssueOptions,
    credentials: Credentials,
    command: (folder: string) => ReadonlyArray<string>,
    output: Output,
    progress: Progress
  ): Effect.Effect<Run, IssueError, Scope.Scope> =>
    Effect.tap(
      there(machine.start({ settings: options, credentials, command })),
      (started) => listen(options, started, output, progress)
    )

  const register = (
    options: IssueOptions,
    found: Surroundings,
    credentials: Credentials,
    tell: Effect.Effect<void>
  ): Effect.Effect<void, IssueError> =>
    Effect.gen(function*() {
      const account = yield* there(machine.account(options.home, options.server))
      if (isRegistered(account)) return
      const binding = bindingOf(options, credentials)
      yield* checkBinding(options, account, binding)
      yield* tell
      if (binding !== null) {
        yield* there(machine.writeAccount(options.home, options.server, withBinding(account, binding)))
      }
      const command = (folder: string) => Arguments.registering(found.program, options, folder)
      yield* run(options, credentials, command, new Output([]), () => Effect.void)
    }).pipe(Effect.scoped, registration.withPermit)

  const certificate = (
    options: IssueOptions,
    found: Surroundings,
    credentials: Credentials,
    names: ReadonlyArray<string>,
    progress: Progress
  ): Effect.Effect<Issued, IssueError> =>
    Effect.gen(function*() {
      const command = (folder: string) => Arguments.issuing(found.program, options, folder, names)
      const ended = yield* run(options, credentials, command, new Output(names), progress)
      const files = Arguments.results(options, ended.folder, names[0]!)
      return {
        chain: yield* there(written(ended, files.chain)),
        key: Redacted.make(yield* there(written(ended, files.key)))
      }
    }).pipe(Effect.scoped)

  return Tracing.fn("Acme.issue")(
    function*(names: ReadonlyArray<string>, progress: Progress): Effect.fn.Return<Issued, IssueError> {
      if (
        names.length === 0 || names.length > mostNames || names.some((name) => Result.isFailure(parseRouteName(name)))
      ) {
        return yield* acmeFailed({
          message: "A certificate is for 1 to 100 domain names or wildcards.",
          hint: "Name domains such as example.com and *.example.com.",
          retryable: false
        })
      }
      const found = yield* there(machine.look)
      yield* there(checkSettings(given, found))
      const options = { ...given, home: found.home, caBundle: found.caBundle }
      const credentials = yield* there(choose(
        { file: found.credentialsFile, dns: options.dns },
        found.credentials,
        found.hook?.text ?? null
      ))
      return yield* Effect.andThen(
        register(options, found, credentials, progress(0, stepsFor(names.length), "The account is being registered.")),
        certificate(options, found, credentials, names, progress)
      ).pipe(runs.withPermit)
    }
  )
}
