/**
 * The program acme.sh: where it is, which version it is, and where its DNS hooks lie.
 *
 * Looked for in this order: ACME_COMMAND, ACME_HOME/acme.sh, the folders of PATH, Debian's /usr/share/acme.sh. Older
 * ones than {@link oldest} are refused: they run what a CA sends them (CVE-2023-38198). The answer is kept until the
 * file changes.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { accessSync, constants, readFileSync, realpathSync, statSync } from "node:fs"
import { delimiter, dirname, isAbsolute, join } from "node:path"
import { ConfigInvalid } from "../domain/Errors.ts"

/** An acme.sh that can be used. */
export interface Program {
  /** Its argument vector without options. */
  readonly command: ReadonlyArray<string>
  /** The script itself, links resolved. */
  readonly path: string
  /** `3.1.1`. */
  readonly version: string
  /** Can it ask for one of the CA's profiles? */
  readonly takesProfile: boolean
}

/** What the search depends on. */
export interface ProgramOptions {
  readonly home: string
  /** ACME_COMMAND; null: search. */
  readonly command: ReadonlyArray<string> | null
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The first version that does not run what the CA sends. */
export const oldest = "3.0.6"

export const debianHome = "/usr/share/acme.sh"
/** Milliseconds for `--version`, which only prints. */
const versionTime = 10_000

const howToInstall = "Install it as root with `apt install acme.sh`, or for this user with "
  + "`curl https://get.acme.sh | sh -s -- --nocron`; or name it in ACME_COMMAND."

const numbers = (version: string): ReadonlyArray<number> => version.split(".").map(Number)

/** Is a version at least another one? */
export const isAtLeast = (version: string, wanted: string): boolean => {
  const [a, b] = [numbers(version), numbers(wanted)]
  const at = b.findIndex((part, index) => part !== (a[index] ?? 0))
  return at === -1 || (a[at] ?? 0) > b[at]!
}

const isFile = (path: string): boolean => {
  try {
    return statSync(path).isFile()
  } catch {
    return false
  }
}

const isRunnable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return isFile(path)
  } catch {
    return false
  }
}

const inPath = (name: string, env: ProgramOptions["env"]): string | null =>
  (env["PATH"] ?? "").split(delimiter).filter((folder) => isAbsolute(folder)).map((folder) => join(folder, name))
    .find(isRunnable) ?? null

const find = (options: ProgramOptions): ReadonlyArray<string> | null => {
  if (options.command !== null) {
    const [word = "", ...rest] = options.command
    const path = word.includes("/") ? word : inPath(word, options.env)
    return path !== null && isRunnable(path) ? [path, ...rest] : null
  }
  const path = [join(options.home, "acme.sh")].find(isRunnable) ?? inPath("acme.sh", options.env)
    ?? [join(debianHome, "acme.sh")].find(isRunnable)
  return path === undefined ? null : [path]
}

const ask = (command: ReadonlyArray<string>, env: Readonly<Record<string, string>>): Effect.Effect<string | null> =>
  Effect.callback((resume) => {
    const [file = "", ...words] = command
    const child = execFile(
      file,
      [...words, "--version"],
      { env, timeout: versionTime, killSignal: "SIGKILL", maxBuffer: 64 * 1024 },
      (_, stdout) => resume(Effect.succeed(/^v(\d{1,3}\.\d{1,3}\.\d{1,3})\b/m.exec(stdout)?.[1] ?? null))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** There is none. */
export const missing = (options: Pick<ProgramOptions, "home" | "command">): ConfigInvalid =>
  new ConfigInvalid({
    message: options.command === null
      ? `There is no acme.sh in ${options.home}, in PATH or in ${debianHome}.`
      : `ACME_COMMAND names no program that can be run.`,
    hint: howToInstall,
    field: "ACME_COMMAND"
  })

/** Can a program with this version be used? `version` is null where it answers `--version` in another way. */
export const judge = (
  command: ReadonlyArray<string>,
  version: string | null
): Effect.Effect<string, ConfigInvalid> => {
  if (version === null) {
    return Effect.fail(
      new ConfigInvalid({
        message: `${command[0]} does not answer --version as acme.sh does.`,
        hint: howToInstall,
        field: "ACME_COMMAND"
      })
    )
  }
  return isAtLeast(version, oldest) ? Effect.succeed(version) : Effect.fail(
    new ConfigInvalid({
      message: `acme.sh ${version} is too old: it runs commands that a CA sends it (CVE-2023-38198).`,
      hint: `Use ${oldest} or later. ${howToInstall}`,
      field: "ACME_COMMAND"
    })
  )
}

/** The environment that acme.sh gets besides credentials: what programs need to run, nothing of ours. */
export const baseEnvironment = (env: ProgramOptions["env"]): Record<string, string> => {
  const passed = /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|LANG|TZ|SSL_CERT_FILE|SSL_CERT_DIR|(?:https?|no|all)_proxy)$/i
  const base: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && passed.test(name)) base[name] = value
  }
  return { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: "/", ...base, LC_ALL: "C" }
}

/** Finds acme.sh; what it found is kept while the file stays the same. */
export const make = (options: ProgramOptions): Effect.Effect<Program, ConfigInvalid> => {
  let kept: { readonly mark: string; readonly program: Program } | null = null
  return Effect.gen(function*() {
    const command = find(options)
    if (command === null) return yield* missing(options)
    // `sh /opt/acme.sh/acme.sh`: the script is the last word that is a file.
    const path = realpathSync(command.findLast((word) => word.includes("/") && isFile(word)) ?? command[0]!)
    const { mtimeMs, size } = statSync(path)
    const mark = JSON.stringify([command, path, mtimeMs, size])
    if (kept?.mark === mark) return kept.program
    const version = yield* judge(command, yield* ask(command, baseEnvironment(options.env)))
    const takesProfile = readFileSync(path, "utf8").includes("--cert-profile")
    kept = { mark, program: { command, path, version, takesProfile } }
    return kept.program
  })
}

/** Where acme.sh looks for a DNS hook, in its order (`_findHook`); null when it is in none of these places. */
export const hookFile = (program: Program, home: string, hook: string): string | null => {
  const script = dirname(program.path)
  const places = [join(script, "dnsapi"), home, join(home, "dnsapi")]
  return places.flatMap((place) => [join(place, hook), join(place, `${hook}.sh`)]).find(isFile) ?? null
}

/** Programs that acme.sh needs. */
export const neededTools = ["curl", "openssl"] as const

/** Those of them that are not in PATH. */
export const missingTools = (env: ProgramOptions["env"]): ReadonlyArray<string> =>
  neededTools.filter((tool) => inPath(tool, baseEnvironment(env)) === null)
