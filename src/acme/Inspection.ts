/**
 * What doctor and health want to know of acme.sh: is it there, could it issue now, and what would surprise.
 *
 * Looks only: it runs `acme.sh --version` and `crontab -l`, and reads names of files and of settings. A certificate
 * that acme.sh itself renews as well is the surprise to warn of: its own cron job, and the reload commands and file
 * copies that earlier issues have saved. They never run from here, but they do run from there.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import type { ConfigInvalid, StorageFailed } from "../domain/Errors.ts"
import type { AcmeState } from "./Acme.ts"
import { fileProblem, load } from "./Credentials.ts"
import { checkSettings, type IssueOptions } from "./Issue.ts"
import { baseEnvironment, hookFile, type Program } from "./Program.ts"

/** Milliseconds for `crontab -l`. */
const crontabTime = 3_000
/** Files that are looked at in one place, names that one warning lists, and bytes of a file that are read. */
const mostFiles = 2_000
const mostNames = 5
const longestFile = 64 * 1024

const list = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(folder).sort().slice(0, mostFiles)
  } catch {
    return []
  }
}

const text = (path: string): string => {
  try {
    const stats = statSync(path)
    return stats.isFile() && stats.size <= longestFile ? readFileSync(path, "utf8") : ""
  } catch {
    return ""
  }
}

/** A line that is no comment and runs acme.sh: `0 0 * * * "/root/.acme.sh"/acme.sh --cron …`. */
const runsAcme = (crontab: string): boolean => /^\s*[^#\s].*\bacme\.sh\b.*--cron/m.test(crontab)

const ownCrontab = (options: IssueOptions): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const child = execFile(
      "crontab",
      ["-l"],
      { env: baseEnvironment(options.env), timeout: crontabTime, killSignal: "SIGKILL", maxBuffer: 256 * 1024 },
      (_, stdout) => resume(Effect.succeed(stdout))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

const cronPlaces = ["/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.hourly"]
const timerPlaces = ["/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"]

const schedules = (crontab: string): ReadonlyArray<string> => [
  ...(runsAcme(crontab) ? ["this user's crontab"] : []),
  ...(runsAcme(text("/etc/crontab")) ? ["/etc/crontab"] : []),
  ...cronPlaces.flatMap((folder) => list(folder).map((name) => join(folder, name))).filter((file) =>
    /\bacme\.sh\b.*--cron/.test(text(file))
  ),
  ...timerPlaces.flatMap((folder) =>
    list(folder).filter((name) => /^acme(?:\.sh|sh)?\b.*\.timer$/.test(name)).map((name) => join(folder, name))
  )
]

/** Settings that acme.sh saves with a certificate and acts on when it renews it by itself. */
const saved = /^Le_(?:ReloadCmd|Real\w*Path|PreHook|PostHook|RenewHook|DeployHook)='[^']+'$/m

/** Names of the domains for which acme.sh has saved one of them. */
const savedFor = (home: string): ReadonlyArray<string> =>
  list(home).filter((name) => name.includes(".") && !name.startsWith(".")).filter((name) =>
    saved.test(text(join(home, name, `${name.replace(/_ecc$/, "")}.conf`)))
  ).map((name) => name.replace(/_ecc$/, ""))

const some = (names: ReadonlyArray<string>): string =>
  // The names of folders are a stranger's text.
  names.slice(0, mostNames).map((name) => name.replace(/[^\w.*-]/g, "?").slice(0, 80)).join(", ")
  + (names.length > mostNames ? ` and ${names.length - mostNames} more` : "")

const warnings = (options: IssueOptions, crontab: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const where = schedules(crontab)
  if (where.length > 0) {
    found.push(
      `acme.sh renews by itself too (${where.slice(0, mostNames).join(", ")}): its certificates do not get to HAProxy `
        + "that way. Remove the job (acme.sh --uninstall-cronjob) for those that are renewed here."
    )
  }
  const domains = savedFor(options.home)
  if (domains.length > 0) {
    found.push(
      `acme.sh has saved reload commands, hooks or copies for ${some(domains)}; they never run from here, but they do `
        + "when acme.sh renews by itself."
    )
  }
  return found
}

const isWritable = (folder: string): boolean => {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The first thing that keeps it from issuing; null when nothing is known to. */
const problemOf = (options: IssueOptions, program: Program): Effect.Effect<string | null> =>
  Effect.gen(function*() {
    yield* checkSettings(options, program)
    const hook = hookFile(program, options.home, options.dns)
    if (hook === null) {
      return `acme.sh has no DNS hook ${options.dns}: ACME_DNS is the name of a file in its folder dnsapi.`
    }
    const home = existsSync(options.home) ? options.home : join(options.home, "..")
    if (!isWritable(home)) return `${home} is not writable for this user: acme.sh keeps its accounts there (ACME_HOME).`
    const unfit = fileProblem(options.credentialsFile)
    if (unfit !== null) return `${unfit} chmod 600 makes it fit.`
    yield* load(
      { home: options.home, file: options.credentialsFile, dns: options.dns, env: options.env },
      text(hook)
    )
    return null
  }).pipe(
    Effect.catch((error: ConfigInvalid | StorageFailed) => Effect.succeed(`${error.message} ${error.hint}`))
  )

/** Looks at everything; never fails. */
export const inspect = (
  options: IssueOptions,
  program: Effect.Effect<Program, ConfigInvalid>
): Effect.Effect<AcmeState> =>
  Effect.gen(function*() {
    const all = warnings(options, yield* ownCrontab(options))
    return yield* Effect.matchEffect(program, {
      onFailure: (error) => Effect.succeed({ program: null, problem: `${error.message} ${error.hint}`, warnings: all }),
      onSuccess: (found) =>
        Effect.map(problemOf(options, found), (problem) => ({
          program: { path: found.path, version: found.version },
          problem,
          warnings: all
        }))
    })
  })
