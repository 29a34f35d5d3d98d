/** `haproxy-mcp restore`: its flags; Restore.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

export const restoreCommand = Command.make("restore", {
  file: Argument.String("file").pipe(Argument.withDescription("A file that `haproxy-mcp backup` made")),
  yes: Flag.Boolean("yes").pipe(
    Flag.withAlias("y"),
    Flag.withDescription("Do not ask; needed where there is no terminal"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print JSON instead of sentences; without --yes only what the backup holds"),
    Flag.withDefault(false)
  ),
  settings: settingFlags(["HAPROXY_DB_FILE", "MCP_ADMIN_SOCKET"])
}, ({ settings, ...options }) =>
  Effect.flatMap(
    Effect.promise(() => import("./Restore.ts")),
    ({ runRestore }) => runRestore(sourcesOf(settings), options)
  )).pipe(
    Command.withDescription(
      "Puts a backup in the place of the database, while `serve` is stopped. Checks it first (whole, ours, its checksum), shows "
        + "what it holds beside what is there, and asks. The old database is kept beside it. At its next start `serve` makes "
        + "HAProxy as the backup says: domains that were added after it leave HAProxy. Certificates are files and stay as "
        + "they are."
    ),
    Command.withShortDescription("Put a backup in the place of the database"),
    Command.withExamples([
      {
        command: "haproxy-mcp restore /opt/haproxy/conf/backups/haproxy_mcp-20260131T030000Z-r512.db",
        description: "Show it, ask, do it"
      }
    ])
  )
