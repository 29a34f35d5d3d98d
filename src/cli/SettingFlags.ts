/** The settings as flags of a command: `--haproxy-host` is HAPROXY_HOST. Secrets have none. */
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { flagName, rows, type Sources } from "../Config.ts"
import type { SettingUser } from "../config/Setting.ts"

/** One flag per setting that has an effect on the command, by the variable's name; or for those that are named. */
export const settingFlags = (user: SettingUser | ReadonlyArray<string>) =>
  Object.fromEntries(
    rows.filter((row) =>
      !row.secret && (typeof user === "string" ? row.usedBy.includes(user) : user.includes(row.name))
    ).map((row) => [
      row.name,
      Flag.String(flagName(row.name)).pipe(
        Flag.withDescription(
          `${row.description} (${row.name}, default: ${row.initialText === "" ? "empty" : row.initialText})`
        ),
        Flag.withMetavar(row.metavar),
        Flag.optional
      )
    ])
  )

/** Environment and flags, for Config.ts. */
export const sourcesOf = (settings: Readonly<Record<string, Option.Option<string>>>): Sources => ({
  env: process.env,
  flags: Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => Option.isSome(value) ? [[name, value.value]] : [])
  )
})
