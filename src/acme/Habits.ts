/**
 * What acme.sh does on this machine by itself: its own cron job or timer, and the reload commands and file copies that
 * earlier issues have saved. They never run from here, but they do run from there.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import type { Habits } from "./Machine.ts"
import { baseEnvironment, type ProgramOptions } from "./Program.ts"

/** Milliseconds for `crontab -l`. */
const crontabTime = 3_000
/** Files that are looked at in one place, and bytes of a file that are read. */
const mostFiles = 2_000
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

const ownCrontab = (env: ProgramOptions["env"]): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const child = execFile(
      "crontab",
      ["-l"],
      { env: baseEnvironment(env), timeout: crontabTime, killSignal: "SIGKILL", maxBuffer: 256 * 1024 },
      (_, stdout) => resume(Effect.succeed(stdout))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

export const cronPlaces = ["/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.hourly"]
export const timerPlaces = ["/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"]

/** Is it the name of a timer of acme.sh? */
export const isTimer = (name: string): boolean => /^acme(?:\.sh|sh)?\b.*\.timer$/.test(name)

const schedules = (crontab: string): ReadonlyArray<string> => [
  ...(runsAcme(crontab) ? ["this user's crontab"] : []),
  ...(runsAcme(text("/etc/crontab")) ? ["/etc/crontab"] : []),
  ...cronPlaces.flatMap((folder) => list(folder).map((name) => join(folder, name))).filter((file) =>
    /\bacme\.sh\b.*--cron/.test(text(file))
  ),
  ...timerPlaces.flatMap((folder) => list(folder).filter(isTimer).map((name) => join(folder, name)))
]

/** Settings that acme.sh saves with a certificate and acts on when it renews it by itself. */
const saved = /^Le_(?:ReloadCmd|Real\w*Path|PreHook|PostHook|RenewHook|DeployHook)='[^']+'$/m

/** Names of the domains for which acme.sh has saved one of them. */
const savedFor = (home: string): ReadonlyArray<string> =>
  list(home).filter((name) => name.includes(".") && !name.startsWith(".")).filter((name) =>
    saved.test(text(join(home, name, `${name.replace(/_ecc$/, "")}.conf`)))
  ).map((name) => name.replace(/_ecc$/, ""))

/** Looks; never fails. */
export const habitsOf = (home: string, env: ProgramOptions["env"]): Effect.Effect<Habits> =>
  Effect.map(ownCrontab(env), (crontab) => ({ schedules: schedules(crontab), saved: savedFor(home) }))
