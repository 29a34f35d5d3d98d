/** `haproxy-mcp backup`: its flags; Backup.ts does the work. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"

/** Larger numbers mean the same as no bound. */
const bounded = (count: number): number => Math.min(100_000, Math.max(0, count))

export const backupCommand = Command.make("backup", {
  folder: Argument.String("dir").pipe(
    Argument.withDescription("Folder for the backup; made when it is not there (default: backups beside the database)"),
    Argument.optional
  ),
  keep: Flag.Int("keep").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("Keep the newest N backups in the folder and remove older ones; 0: all (default: 30)"),
    Flag.withDefault(30)
  ),
  keepDays: Flag.Int("keep-days").pipe(
    Flag.withMetavar("DAYS"),
    Flag.withDescription(
      "Remove backups that are older, but for the newest three; 0: none for its age (default: 90)"
    ),
    Flag.withDefault(90)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of a sentence"), Flag.withDefault(false)),
  settings: settingFlags(["HAPROXY_DB_FILE", "MCP_ADMIN_SOCKET"])
}, ({ folder, json, keep, keepDays, settings }) =>
  Effect.flatMap(
    Effect.promise(() => import("./Backup.ts")),
    ({ runBackup }) =>
      runBackup(sourcesOf(settings), {
        folder: Option.getOrNull(folder),
        retention: { keep: bounded(keep), days: bounded(keepDays) },
        json
      })
  )).pipe(
    Command.withDescription(
      "Copies the whole database (domains, servers, certificates' data, the log of changes) into a folder, checked and with "
        + "its SHA-256 beside it, while everything goes on. The newest backup is never removed, nor anything that is not "
        + "called like one. Not in it, as they are files: certificates and their private keys (HAPROXY_CERT_DIR), the "
        + "accounts at the CA (ACME_HOME/ca), settings and tokens; back these up too. Works through a running `serve`, "
        + "else alone."
    ),
    Command.withShortDescription("Copy the database, checked, to a folder"),
    Command.withExamples([
      { command: "haproxy-mcp backup", description: "Into the folder backups beside the database" },
      { command: "haproxy-mcp backup /mnt/backup --keep 100 --keep-days 0", description: "Elsewhere, the newest 100" }
    ])
  )
