/**
 * `haproxy-mcp restore`: shows what a backup holds beside what is there, asks, exchanges them, and says what to do next.
 * Ends with 1 and without any change when the answer is no, when somebody serves, or when the file is not fit.
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline/promises"
import { decodeSettings, type SettingsShape, type Sources } from "../Config.ts"
import { fetchStatus } from "../mcp/RemoteTools.ts"
import { exchange, refuseWhileHeld, stage, type Staged } from "../program/backup/Restore.ts"
import { counted } from "../program/MigrationReport.ts"
import { sizeText } from "./Backup.ts"
import { Ended, exitCodes } from "./Exit.ts"
import { clean } from "./TextTable.ts"

export interface RestoreOptions {
  readonly file: string
  readonly yes: boolean
  readonly json: boolean
}

/** `3 days`, of milliseconds; the larger unit that has at least two. */
export const ageText = (ms: number): string => {
  if (ms < 0) return "from the future: a clock is or was wrong"
  const minutes = Math.floor(ms / 60_000)
  if (minutes < 120) return `${counted(minutes, "minute")} old`
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} hours old` : `${Math.floor(minutes / 1_440)} days old`
}

const heldText = ({ domains, revision }: { readonly domains: number; readonly revision: number }) =>
  `revision ${revision}, ${counted(domains, "domain")}`

/** What a backup holds beside what is there. */
export const stagedText = ({ at, checksum, file, holds, present }: Staged, database: string, now: number): string =>
  [
    `backup    ${clean(file)}`,
    `          ${heldText(holds)}, ${sizeText(holds.size)}, of ${new Date(at).toISOString()}, ${
      ageText(now - at)
    }; whole, ${checksum ? "as its checksum says" : "no checksum beside it"}`,
    `database  ${clean(database)}`,
    `          ${
      present === null
        ? "not there"
        : typeof present === "string"
        ? `cannot be used: ${clean(present)}`
        : `${heldText(present)}${present.lineage === holds.lineage ? "" : ", of another origin than the backup"}`
    }`,
    ""
  ].join("\n")

/** Said before and after with a remote host: there is another copy, which does not follow. */
const remoteText = ({ ssh }: SettingsShape): string | null =>
  ssh === null
    ? null
    : "The newest copy of the database is on the remote host, and a restored one is not its continuation: serve will only read "
      + "until `haproxy-mcp remote take-over`. To go back to an older copy that is there, use `haproxy-mcp remote restore` instead."

const ask = (question: string) =>
  Effect.promise(async () => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr })
    try {
      return /^\s*y(?:es)?\s*$/i.test(await terminal.question(question))
    } finally {
      terminal.close()
    }
  })

const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

const doneText = (kept: string | null, settings: SettingsShape): string =>
  [
    `Restored ${clean(settings.haproxyDbFile)}.${
      kept === null ? "" : ` The database that was there is kept as ${clean(kept)}; remove it when all is well.`
    }`,
    "Next: start serve (`systemctl start haproxy-mcp`). It makes HAProxy as the backup says; `haproxy-mcp status` shows when it is.",
    `Certificates whose files are not in ${
      clean(settings.haproxyCertDir)
    } are listed as missing: restore the folder, or issue them`
    + " again.",
    ""
  ].join("\n")

/** Restores a backup. */
export const runRestore = Effect.fnUntraced(function*(sources: Sources, { file, json, yes }: RestoreOptions) {
  const settings = yield* decodeSettings(sources)
  const database = settings.haproxyDbFile
  const serving = yield* fetchStatus(settings.mcpAdminSocket)
  yield* refuseWhileHeld(database, serving?.pid ?? null)
  yield* Effect.scoped(Effect.gen(function*() {
    const now = Date.now()
    const staged = yield* stage(file, database)
    const { draft: _, ...shown } = staged
    const print = (restored: boolean, kept: string | null) =>
      process.stdout.write(`${JSON.stringify({ ...shown, database, restored, kept }, null, 2)}\n`)
    if (!json) process.stdout.write(stagedText(staged, database, now))
    const remote = remoteText(settings)
    if (remote !== null) say(remote)
    if (!yes) {
      if (json || process.stdin.isTTY !== true) {
        if (json) print(false, null)
        say("nothing was changed; repeat with --yes to put it in place")
        return yield* new Ended({ code: exitCodes.failed })
      }
      if (!(yield* ask("Put the backup in the place of the database? [y/N] "))) {
        say("nothing was changed")
        return yield* new Ended({ code: exitCodes.failed })
      }
    }
    const kept = yield* exchange(staged, database, now)
    if (json) print(true, kept)
    else process.stdout.write(doneText(kept, settings))
  }))
})
