/**
 * `haproxy-mcp backup`: asks the process that serves for a copy of its database, or takes one itself when nobody serves,
 * and makes a backup of it. HAProxy is not asked and not touched.
 */
import * as Effect from "effect/Effect"
import { readFileSync, rmSync } from "node:fs"
import { resolve } from "node:path"
import { decodeSettings, type Sources } from "../Config.ts"
import { StorageFailed } from "../domain/Errors.ts"
import { fetchStatus, layer as remoteTools } from "../mcp/RemoteTools.ts"
import { type Backup, defaultFolder, imageAtRest, makeBackup } from "../program/backup/Backup.ts"
import type { Retention } from "../program/backup/BackupName.ts"
import type { CopyDatabaseAnswer } from "../program/backup/CopyDatabase.ts"
import { counted } from "../program/MigrationReport.ts"
import { clean } from "./TextTable.ts"
import { answerOf, put } from "./Verb.ts"

export interface BackupOptions {
  /** Null: beside the database. */
  readonly folder: string | null
  readonly retention: Retention
  readonly json: boolean
}

/** Milliseconds: a copy takes well under a second, but the disk may be busy. */
const patience = 60_000

/** The copy that the process behind the admin socket makes. */
const imageOfServing = Effect.fnUntraced(function*(socket: string) {
  const answer = yield* put({ kind: "admin", name: "copy_database", args: { pid: process.pid }, timeout: patience })
    .pipe(
      Effect.provide(remoteTools(socket)),
      Effect.flatMap(answerOf)
    )
  const { file } = answer as unknown as CopyDatabaseAnswer
  return yield* Effect.try({
    try: () => readFileSync(file),
    catch: (cause) =>
      new StorageFailed({
        message: `The copy ${file} that the control plane made cannot be read (${
          (cause as NodeJS.ErrnoException).code
        })`,
        hint: "Run backup on the same machine (or in the same container) and as the same user as serve."
      })
  }).pipe(Effect.ensuring(Effect.sync(() => {
    try {
      rmSync(file, { force: true })
    } catch {
      // The next copy removes it.
    }
  })))
})

/** `1.4 MB` */
export const sizeText = (bytes: number): string =>
  bytes < 1_000_000 ? `${Math.max(1, Math.round(bytes / 1_000))} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`

/** What was done, for people. */
export const backupText = ({ bytes, domains, file, kept, removed, revision }: Backup): string =>
  `${clean(file)}: revision ${revision}, ${counted(domains, "domain")}, ${sizeText(bytes)}, checked; ${
    counted(kept, "backup")
  } there${removed.length === 0 ? "" : `, ${removed.length} older removed`}\n`

/** Makes a backup. */
export const runBackup = Effect.fnUntraced(function*(sources: Sources, { folder, json, retention }: BackupOptions) {
  const { haproxyDbFile, mcpAdminSocket } = yield* decodeSettings(sources)
  const serving = yield* fetchStatus(mcpAdminSocket)
  const bytes = yield* serving === null ? imageAtRest(haproxyDbFile) : imageOfServing(mcpAdminSocket)
  const made = yield* makeBackup(bytes, {
    database: haproxyDbFile,
    folder: folder === null ? defaultFolder(haproxyDbFile) : resolve(folder),
    now: Date.now(),
    retention
  })
  for (const warning of made.warnings) process.stderr.write(`haproxy-mcp: ${clean(warning)}\n`)
  process.stdout.write(json ? `${JSON.stringify(made, null, 2)}\n` : backupText(made))
})
