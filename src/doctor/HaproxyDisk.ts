/**
 * The disk that HAProxy's files are on, as the control plane works with it: this machine's, or the one of
 * HAPROXY_SSH_HOST. A look at a disk that is not reached is said to be none: nothing is known of the files then, and
 * nothing is called missing. What is found on another host names it, and so does what mends it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { userInfo } from "node:os"
import type { SettingsShape } from "../Config.ts"
import type { Disk } from "../domain/Disk.ts"
import { RemoteUnreachable } from "../domain/Errors.ts"
import type { HostAccess } from "../HostAccess.ts"
import type { Ssh } from "../remote/Ssh.ts"
import { type Area, type Check, check, type Found, warning } from "./Finding.ts"
import { mendConnection } from "./Haproxy.ts"
import { attempted } from "./Ssh.ts"

export interface HaproxyDisk {
  readonly disk: Disk
  /** Who works with the files there, by name; and why that one. */
  readonly user: string
  readonly role: string
  /** The host, when it is not this machine. */
  readonly host: string | null
  readonly ssh: Ssh["Service"] | null
}

export const haproxyDisk = ({ host, ssh }: HostAccess["Service"], settings: SettingsShape): HaproxyDisk => ({
  disk: host.disk,
  user: ssh === null ? userInfo().username : settings.ssh?.user ?? "",
  role: ssh === null ? "for the user that runs serve" : "for the user that SSH logs in as",
  host: ssh === null ? null : settings.ssh?.host ?? null,
  ssh
})

/** Milliseconds for a look at another host, its first connection included; the report ends within ten seconds. */
const farLimit = 9_000

/** Findings on another host's files name the host, and where to mend them. */
const named = (host: string | null, found: ReadonlyArray<Found>): ReadonlyArray<Found> =>
  host === null ? found : found.map((one) => ({
    ...one,
    found: `${host}: ${one.found}`,
    mend: one.mend === null ? null : `On ${host}: ${one.mend}`
  }))

/** A look at HAProxy's files. What the look throws besides RemoteUnreachable is a defect. */
export const lookThere = (
  { host, ssh }: HaproxyDisk,
  name: string,
  look: () => Promise<ReadonlyArray<Found>>
): Effect.Effect<ReadonlyArray<Found>> =>
  Effect.gen(function*() {
    const missed = (why: string) => [warning(name, `not looked at: ${why}`, mendConnection)]
    const state = ssh === null ? null : yield* attempted(ssh)
    if (state?._tag === "Down") return missed(`${host} is not reached`)
    const found = yield* Effect.result(
      Effect.tryPromise({
        try: look,
        catch: (cause) => cause
      }).pipe(Effect.catch((cause) => cause instanceof RemoteUnreachable ? Effect.fail(cause) : Effect.die(cause)))
    )
    return Result.isSuccess(found) ? named(host, found.success) : missed(found.failure.message)
  })

/** The same as a check; `limit` in milliseconds is for this machine. */
export const checkThere = (
  area: Area,
  name: string,
  there: HaproxyDisk,
  look: () => Promise<ReadonlyArray<Found>>,
  limit?: number
): Check => check(area, name, lookThere(there, name, look), there.host === null ? limit : farLimit)
