/**
 * acme.sh on this machine: its files are read as they are, its runs are processes below this one.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { StorageFailed } from "../domain/Errors.ts"
import * as Account from "./Account.ts"
import * as Arguments from "./Arguments.ts"
import { readSources } from "./Credentials.ts"
import type { Machine, Places, RunOrder } from "./Machine.ts"
import { hookFile, make as makeProgram, missingTools, type ProgramOptions } from "./Program.ts"
import { quiet } from "./Quiet.ts"
import { start } from "./Run.ts"
import * as RunFolder from "./RunFolder.ts"

export interface LocalOptions extends Places, ProgramOptions {
  /** ACME_DNS. */
  readonly dns: string
}

/** A run is a shell script that starts some hundred small programs. */
const runsAtOnce = 8
/** Bytes of a file that a run has written. */
const longestFile = 256 * 1024

const storageFailed = (action: string, path: string, cause: unknown): StorageFailed =>
  new StorageFailed({
    message: `Cannot ${action} ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"}).`,
    hint: "acme.sh works in ACME_HOME: give the user of haproxy-mcp a folder there that it may write to, with room."
  })

const attempt = <A>(action: string, path: string, run: () => A): Effect.Effect<A, StorageFailed> =>
  Effect.try({ try: run, catch: (cause) => storageFailed(action, path, cause) })

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Writes what a run reads from its folder. acme.sh uses one list of trusted certificates for all that it asks, the DNS
 * provider too: those of a private CA are therefore added to the system's. Throws what the file system says.
 */
const prepare = async ({ credentials, settings }: RunOrder, folder: string): Promise<void> => {
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 })
  write(Arguments.functionsName, quiet)
  write(Arguments.confName, Arguments.accountConf(folder, Redacted.value(credentials.saved)))
  if (settings.caBundle === null) return
  // With it comes all of Node's TLS, which few need.
  const { trustedWith } = await import("./Trust.ts")
  const trusted = trustedWith(readFileSync(settings.caBundle, "utf8"))
  write(Arguments.bundleName, trusted.map((pem) => `${pem.trim()}\n`).join(""))
}

const readOwn = (path: string): string | null => {
  try {
    return statSync(path).size > longestFile ? "" : readFileSync(path, "utf8")
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null
    throw cause
  }
}

/** This machine. */
export const make = (options: LocalOptions): Machine => {
  const { caBundle, credentialsFile, dns, env, home } = options
  const program = makeProgram({ home, command: options.command, env })
  const look = Effect.gen(function*() {
    const found = yield* program
    const hook = hookFile(found, home, dns)
    const written = existsSync(home) ? home : join(home, "..")
    return {
      home,
      credentialsFile,
      caBundle,
      program: found,
      missingTools: missingTools(env),
      hasCaBundle: caBundle === null || existsSync(caBundle),
      hook: hook === null
        ? null
        : { path: hook, text: yield* attempt("read", hook, () => readFileSync(hook, "utf8")) },
      unwritable: isWritable(written) ? null : written,
      credentials: readSources({ home, file: credentialsFile, env })
    }
  })
  return {
    prefix: "",
    runsAtOnce,
    look,
    inspect: Effect.map(
      Effect.flatMap(Effect.promise(() => import("./Habits.ts")), ({ habitsOf }) => habitsOf(home, env)),
      (habits) => ({ habits, look })
    ),
    account: (folder, directory) => Effect.sync(() => Account.readAccount(folder, directory)),
    writeAccount: (folder, directory, conf) =>
      attempt("write the account in", folder, () => Account.writeConf(folder, directory, conf)),
    start: (order) =>
      Effect.gen(function*() {
        const folder = yield* Effect.acquireRelease(
          attempt("make a folder in", home, () => RunFolder.make(home)),
          (made) => Effect.sync(() => RunFolder.remove(made))
        )
        yield* Effect.tryPromise({
          try: () => prepare(order, folder),
          catch: (cause) => storageFailed("write", folder, cause)
        })
        const events = yield* start({
          command: order.command(folder),
          folder,
          env: Arguments.environment(order.settings, Redacted.value(order.credentials.hook))
        })
        return { folder, events, read: (path) => attempt("read", path, () => readOwn(path)) }
      }),
    caBundle: async () => {
      try {
        return caBundle === null ? null : readFileSync(caBundle, "utf8")
      } catch {
        return null
      }
    },
    sweep: Effect.sync(() => void RunFolder.sweep(home))
  }
}
