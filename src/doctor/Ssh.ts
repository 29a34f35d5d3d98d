/**
 * HAProxy's host when it is another one: is it reached, believed and let in to; can the files that belong there be
 * written; does its clock agree. In each folder one file is made and removed again, since SFTP has no other way to ask.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { dirname } from "node:path"
import type { SettingsShape } from "../Config.ts"
import type { Disk } from "../domain/Disk.ts"
import type { Ssh, SshState } from "../remote/Ssh.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"

const name = "SSH"

/** Milliseconds for the first attempt to connect, and for all of it. */
const limits = { attempt: 6_000, all: 9_000 }

/** Milliseconds between two clocks that nobody would notice; SFTP tells whole seconds. */
const unnoticed = 5_000

/** The folders there that files are written into, each with its setting. */
const foldersOf = (settings: SettingsShape): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  const add = (folder: string, setting: string) => found.set(folder, found.get(folder) ?? setting)
  add(dirname(settings.haproxyMapFile), "HAPROXY_MAP_FILE")
  if (settings.haproxyPoolsFile !== null) add(dirname(settings.haproxyPoolsFile), "HAPROXY_POOLS_FILE")
  add(dirname(settings.haproxyRemoteDbFile), "HAPROXY_REMOTE_DB_FILE")
  return found
}

const codeOf = (cause: unknown): string => {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown }
  return String(code === "REMOTE_UNREACHABLE" ? message : code)
}

const writable = async (disk: Disk, folder: string, setting: string, user: string): Promise<Found> => {
  try {
    await disk.checkWritable(folder)
    return ok("Remote folder", `${folder} can be written`)
  } catch (cause) {
    const code = codeOf(cause)
    return error(
      "Remote folder",
      `${folder} cannot be written: ${code}`,
      code === "ENOENT"
        ? `Make it there, owned by ${user}, or correct ${setting}.`
        : code === "EACCES"
        ? `Give it to ${user} there, or correct ${setting}.`
        : "Look at the file system there."
    )
  }
}

const clock = async (disk: Disk, folder: string, now: () => number): Promise<ReadonlyArray<Found>> => {
  const path = `${folder}/.haproxy-mcp-${randomBytes(6).toString("hex")}.tmp`
  const before = now()
  try {
    const { mtimeNs } = await disk.writeNew(path, [], { mode: 0o600 })
    const after = now()
    await disk.unlink(path)
    const there = Number(mtimeNs / 1_000_000n)
    // The time of the file is rounded down to a second and lies between ours.
    const off = there > after ? there - after : there + 1_000 < before ? there + 1_000 - before : 0
    return Math.abs(off) <= unnoticed
      ? [ok("Remote clock", "agrees with this one")]
      : [warning(
        "Remote clock",
        `is ${Math.round(Math.abs(off) / 1000)} s ${off > 0 ? "ahead of" : "behind"} this one`,
        "Set both: `timedatectl set-ntp true`. Certificates and the ages of copies depend on it."
      )]
  } catch {
    // Said about the folder.
    return []
  }
}

/** The state after the first attempt. */
export const attempted = (ssh: Ssh["Service"]): Effect.Effect<SshState> =>
  ssh.states.pipe(
    Stream.filter((state) => state._tag === "Up" || state.nextAttemptAt > Date.now()),
    Stream.runHead,
    Effect.timeoutOption(limits.attempt),
    Effect.flatMap((first) =>
      Option.isSome(first) && Option.isSome(first.value) ? Effect.succeed(first.value.value) : ssh.state
    )
  )

/** Nothing when HAProxy's files are on this machine. */
export const checks = (
  settings: SettingsShape,
  ssh: Ssh["Service"] | null,
  now: () => number = Date.now
): ReadonlyArray<Check> => {
  const { ssh: options } = settings
  if (ssh === null || options === null) return []
  const where = `${options.user}@${options.host}:${options.port}`
  const look = Effect.gen(function*() {
    const state = yield* attempted(ssh)
    if (state._tag === "Down") {
      return [error(
        name,
        `${where}: ${state.reason}`,
        state.permanent
          ? "Do what it says, then run `haproxy-mcp doctor` again; docs/security.md, \"SSH\"."
          : state.hint
      )]
    }
    const known = options.hostKeys.length > 0 ? "by HAPROXY_SSH_HOST_KEY" : `by ${options.knownHostsFile}`
    const folders = [...foldersOf(settings)]
    return yield* Effect.promise(async () => [
      ok(name, `${where}, known ${known}, SFTP with all that durable files need`),
      ...(options.acceptNew
        ? [warning(
          "Host key",
          "HAPROXY_SSH_ACCEPT_NEW is on: an unknown host would be believed at its first connection",
          "It is known now: set HAPROXY_SSH_ACCEPT_NEW=off."
        )]
        : []),
      ...await Promise.all(folders.map(([folder, setting]) => writable(ssh.disk, folder, setting, options.user))),
      ...await clock(ssh.disk, folders[0]![0], now)
    ])
  })
  return [check("machine", name, look, limits.all)]
}
