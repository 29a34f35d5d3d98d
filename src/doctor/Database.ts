/** The database: whose it is, who may read it, whether it is whole, and how fast its disk makes a commit durable. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { open, rm, stat } from "node:fs/promises"
import { hostname } from "node:os"
import { dirname, join } from "node:path"
import type { SettingsShape } from "../Config.ts"
import { copyOf } from "../store/Copy.ts"
import { type Examination, examineCopy } from "../store/Examination.ts"
import { describeOwner, isAlive, readOwner } from "../store/Owner.ts"
import { modeText } from "./Files.ts"
import { type Check, check, checkNow, error, type Found, ok, warning } from "./Finding.ts"

/** Bytes above which a copy takes too long to make and to read. */
const largest = 256 * 1024 ** 2

const restore =
  "Stop serve, `haproxy-mcp restore` the newest backup (docs/operations.md, \"Backup and restore\"), start serve."

const judge = (file: string, copy: string): Result.Result<Examination | null, string> => {
  try {
    return Result.succeed(examineCopy(copy))
  } catch (cause) {
    return Result.fail(
      `${file} cannot be read as a database: ${cause instanceof Error ? cause.message : String(cause)}`
    )
  }
}

/** A copy of a file that is being written to may be torn: only what a second copy shows too counts. */
const examined = (file: string) =>
  Effect.gen(function*() {
    const look = Effect.scoped(Effect.map(copyOf(file, largest), (copy) => judge(file, copy)))
    const first = yield* look
    return Result.isSuccess(first) && (first.success === null || first.success.damage.length === 0)
      ? first
      : yield* look
  })

const contents = Effect.fnUntraced(function*(file: string): Effect.fn.Return<ReadonlyArray<Found>> {
  const name = "Contents"
  const answer = yield* Effect.result(examined(file))
  if (Result.isFailure(answer)) {
    switch (answer.failure) {
      case "absent":
        return [
          warning(name, `${file} is not there`, "`haproxy-mcp serve` makes it; if it was lost, restore it first.")
        ]
      case "busy":
        return [ok(name, "written to all the time, so not looked at")]
      case "too large":
        return [ok(name, "too large for a look at a copy; `sqlite3 BACKUP \"PRAGMA quick_check\"` on a backup tells")]
      case "unreadable":
        return [error(name, `${file} cannot be read`, "Run doctor as the user that runs serve.")]
    }
  }
  const judged = answer.success
  if (Result.isFailure(judged)) return [error(name, judged.failure, restore)]
  if (judged.success === null) {
    return [
      error(name, `${file} was made by another program; serve leaves it alone`, "Name another file in HAPROXY_DB_FILE.")
    ]
  }
  const { damage, domains, journal, lineage, revision } = judged.success
  if (damage.length > 0) return [error(name, `damaged: ${damage[0]}`, restore)]
  return [
    ok(
      name,
      `whole (quick_check), revision ${revision}, ${domains} domains, lineage ${lineage.slice(0, 8)}, `
        + (journal === "wal" ? "write-ahead log" : "rollback journal (changes to WAL at start)")
    )
  ]
})

const file = async (path: string): Promise<ReadonlyArray<Found>> => {
  if (!existsSync(path)) return []
  const { mode } = await stat(path)
  return [
    (mode & 0o077) !== 0
      ? warning("Database", `${path} has mode ${modeText(mode)}`, `\`chmod 600 ${path}\`; serve does it at its start.`)
      : ok("Database", `${path}, mode ${modeText(mode)}`)
  ]
}

const holder = async (path: string, servingPid: number | null): Promise<ReadonlyArray<Found>> => {
  const owner = readOwner(path)
  if (owner === null) return []
  const here = owner.host === hostname()
  if (here && !isAlive(owner.pid)) {
    return [ok("Holder", `nobody; process ${owner.pid} ended without a farewell, the next start takes over`)]
  }
  return servingPid === null
    ? [
      warning(
        "Holder",
        `${describeOwner(path)} holds it and does not answer on the admin socket`,
        here
          ? "Give doctor the same MCP_ADMIN_SOCKET and user as serve; if that process hangs, stop it by its id."
          : "Only one host may use a database: stop one of the two."
      )
    ]
    : [ok("Holder", describeOwner(path))]
}

const samples = 7
/** Milliseconds of one flush above which writes are slow. */
const slow = 20

const flushes = async (path: string): Promise<ReadonlyArray<Found>> => {
  const name = "Disk"
  const folder = dirname(path)
  const probe = join(folder, `.haproxy-mcp-doctor-${randomBytes(6).toString("hex")}`)
  const times: Array<number> = []
  try {
    const handle = await open(probe, "wx", 0o600)
    try {
      for (let sample = 0; sample < samples; sample++) {
        await handle.write(Buffer.alloc(4096, sample))
        const begun = performance.now()
        await handle.datasync()
        times.push(performance.now() - begun)
      }
    } finally {
      await handle.close()
    }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown"
    return [
      error(name, `nothing can be written in ${folder} (${code})`, "Make room, or let the user of serve write there.")
    ]
  } finally {
    await rm(probe, { force: true }).catch(() => undefined)
  }
  const median = times.sort((a, b) => a - b)[samples >> 1]!
  const words = `a flush takes ${median < 10 ? median.toFixed(1) : Math.round(median)} ms (median of ${samples})`
  return [
    median > slow
      ? warning(name, `${words}: every write waits for at least one`, "Put HAPROXY_DB_FILE on a local SSD.")
      : ok(name, words)
  ]
}

export const checks = (settings: SettingsShape, servingPid: number | null): ReadonlyArray<Check> => [
  checkNow("database", "Database", () => file(settings.haproxyDbFile)),
  check("database", "Contents", contents(settings.haproxyDbFile), 5_000),
  checkNow("database", "Holder", () => holder(settings.haproxyDbFile, servingPid)),
  ...(existsSync(dirname(settings.haproxyDbFile))
    ? [checkNow("database", "Disk", () => flushes(settings.haproxyDbFile), 4_000)]
    : [])
]
