/**
 * One certificate from acme.sh, top to bottom: the program, the credentials, the account, the run, what it gave.
 *
 * A first registration goes alone (Account.ts). No more than {@link runsAtOnce} runs go at the same time. The run's
 * folder, with the new key in it, is gone in every case.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { AcmeFailed, ConfigInvalid, StorageFailed } from "../domain/Errors.ts"
import { parseRouteName } from "../domain/RouteName.ts"
import * as Tracing from "../Tracing.ts"
import { type Binding, hasBinding, isPlain, isRegistered, writeBinding } from "./Account.ts"
import type { Issued } from "./Acme.ts"
import * as Arguments from "./Arguments.ts"
import { type Credentials, load } from "./Credentials.ts"
import { Output, stepsFor } from "./Output.ts"
import type { Failure } from "./Problems.ts"
import { hookFile, missingTools, type Program } from "./Program.ts"
import { type RunEvent, start } from "./Run.ts"
import * as RunFolder from "./RunFolder.ts"
import type { Wants } from "./Servers.ts"

export interface IssueOptions extends Arguments.RunSettings {
  readonly wants: Wants
  readonly binding: { readonly kid: string | null; readonly hmacKey: Redacted.Redacted<string> | null }
  readonly credentialsFile: string
  /** Milliseconds of one run. */
  readonly timeout: number
}

/** Hears of each phase. */
export type Progress = (done: number, total: number, message: string) => Effect.Effect<void>

type IssueError = AcmeFailed | ConfigInvalid | StorageFailed

/** A run is a shell script that starts some hundred small programs. */
const runsAtOnce = 8
/** Names that one certificate may have; CAs take 100. */
const mostNames = 100
/** Bytes of a chain or a key. */
const longestFile = 256 * 1024

const acmeFailed = (failure: Failure): AcmeFailed => new AcmeFailed({ ...failure })

const storageFailed = (action: string, path: string, cause: unknown): StorageFailed =>
  new StorageFailed({
    message: `Cannot ${action} ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"}).`,
    hint: "acme.sh works in ACME_HOME: give the user of haproxy-mcp a folder there that it may write to, with room."
  })

const attempt = <A>(action: string, path: string, run: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: run, catch: (cause) => storageFailed(action, path, cause) })

/** Seconds of the Retry-After in the headers that acme.sh kept of the last answer (`http.header`). */
const lastRetryAfter = (folder: string): number | null => {
  try {
    const wait = /^retry-after:\s*(\d{1,8})\s*$/im.exec(readFileSync(join(folder, "http.header"), "utf8"))?.[1]
    return wait === undefined ? null : Number(wait)
  } catch {
    return null
  }
}

/** Everything that can be known to be wrong before anything is tried. */
export const checkSettings = (options: IssueOptions, program: Program): Effect.Effect<void, ConfigInvalid> =>
  Effect.gen(function*() {
    const refuse = (message: string, hint: string, field: string) => new ConfigInvalid({ message, hint, field })
    if (/[\s']/.test(options.home)) {
      return yield* refuse(
        "acme.sh cannot work in a folder with a space in its name.",
        "Choose another ACME_HOME.",
        "ACME_HOME"
      )
    }
    const tools = missingTools(options.env)
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
    if (options.caBundle !== null && !existsSync(options.caBundle)) {
      return yield* refuse(`There is no ${options.caBundle}.`, "Correct ACME_CA_BUNDLE.", "ACME_CA_BUNDLE")
    }
  })

const bindingOf = (options: IssueOptions, credentials: Credentials): Binding | null => {
  const kid = options.binding.kid ?? credentials.binding.kid
  const hmacKey = options.binding.hmacKey ?? credentials.binding.hmacKey
  return kid === null || hmacKey === null ? null : { kid, hmacKey }
}

const checkBinding = (options: IssueOptions, binding: Binding | null): Effect.Effect<void, ConfigInvalid> => {
  if (binding !== null) {
    return isPlain(binding) ? Effect.void : Effect.fail(
      new ConfigInvalid({
        message: "The external account binding has a character that none has.",
        hint: "Copy ACME_EAB_KID and ACME_EAB_HMAC_KEY as the CA shows them.",
        field: "ACME_EAB_HMAC_KEY"
      })
    )
  }
  const given = hasBinding(options.home, options.server) || options.wants === "nothing"
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

/** Runs acme.sh to its end and hears what it says. */
const listen = (
  options: IssueOptions,
  command: ReadonlyArray<string>,
  folder: string,
  credentials: Credentials,
  output: Output,
  progress: Progress
): Effect.Effect<void, AcmeFailed, Scope.Scope> =>
  Effect.gen(function*() {
    const env = Arguments.environment(options, Redacted.value(credentials.hook))
    const events = yield* start({ command, folder, env })
    const fail = () => acmeFailed(output.failure(options.dns, options.server, lastRetryAfter(folder)))
    for (;;) {
      const event: RunEvent = yield* Queue.take(events)
      if (event._tag === "Failed") {
        return yield* acmeFailed({
          message: `acme.sh cannot be started (${event.code}).`,
          hint: "Check ACME_COMMAND and /bin/sh.",
          retryable: true
        })
      }
      if (event._tag === "End") return event.code === 0 ? undefined : yield* fail()
      const { giveUp, phase } = output.read(event.text)
      if (phase !== undefined) yield* progress(phase.done, phase.total, phase.message)
      if (giveUp === true) return yield* fail()
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
export const make = (options: IssueOptions, program: Effect.Effect<Program, ConfigInvalid>) => {
  const runs = Semaphore.makeUnsafe(runsAtOnce)
  const registration = Semaphore.makeUnsafe(1)

  /** A folder for the scope, with what a run reads from it. */
  const folderFor = (credentials: Credentials): Effect.Effect<string, StorageFailed, Scope.Scope> =>
    Effect.acquireRelease(
      attempt("make a folder in", options.home, () => RunFolder.make(options.home)),
      (folder) => Effect.sync(() => RunFolder.remove(folder))
    ).pipe(
      Effect.tap((folder) =>
        attempt("write", folder, () => Arguments.prepare(options, folder, Redacted.value(credentials.saved)))
      )
    )

  const register = (
    found: Program,
    credentials: Credentials,
    tell: Effect.Effect<void>
  ): Effect.Effect<void, IssueError> =>
    Effect.gen(function*() {
      if (isRegistered(options.home, options.server)) return
      const binding = bindingOf(options, credentials)
      yield* checkBinding(options, binding)
      yield* tell
      if (binding !== null) {
        yield* attempt("write the account in", options.home, () => writeBinding(options.home, options.server, binding))
      }
      const folder = yield* folderFor(credentials)
      const command = Arguments.registering(found, options, folder)
      yield* listen(options, command, folder, credentials, new Output([]), () => Effect.void)
    }).pipe(Effect.scoped, registration.withPermit)

  const run = (
    found: Program,
    credentials: Credentials,
    names: ReadonlyArray<string>,
    progress: Progress
  ): Effect.Effect<Issued, IssueError> =>
    Effect.gen(function*() {
      const folder = yield* folderFor(credentials)
      const command = Arguments.issuing(found, options, folder, names)
      yield* listen(options, command, folder, credentials, new Output(names), progress)
      const files = Arguments.results(options, folder, names[0]!)
      const read = (path: string) =>
        attempt("read", path, () => statSync(path).size > longestFile ? "" : readFileSync(path, "utf8"))
      return { chain: yield* read(files.chain), key: Redacted.make(yield* read(files.key)) }
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
      const found = yield* program
      yield* checkSettings(options, found)
      const hook = hookFile(found, options.home, options.dns)
      const hookText = hook === null ? null : yield* attempt("read", hook, () => readFileSync(hook, "utf8"))
      const credentials = yield* load(
        { home: options.home, file: options.credentialsFile, dns: options.dns, env: options.env },
        hookText
      )
      return yield* Effect.andThen(
        register(found, credentials, progress(0, stepsFor(names.length), "The account is being registered.")),
        run(found, credentials, names, progress)
      ).pipe(runs.withPermit)
    }
  )
}
