/**
 * Certificates: whether HAProxy loads our folder, what lies in it (CertificateFolder.ts), what failed to be renewed, and
 * what nobody needs. Where nobody has set a folder and there is none, that is no fault.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFile } from "node:fs/promises"
import { userInfo } from "node:os"
import type { SettingsShape } from "../Config.ts"
import { entriesOf } from "../domain/MapText.ts"
import { findPlace } from "../haproxy/certificates/Place.ts"
import { copyOf } from "../store/Copy.ts"
import { type CertificateRow, certificatesIn } from "../store/Examination.ts"
import * as Folder from "./CertificateFolder.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"
import type { Live } from "./Haproxy.ts"

const { counted, some } = Folder

/** Milliseconds for HAProxy to say what it loads. */
const patience = 2_000

const place = Effect.fnUntraced(function*({ runtime }: Live, settings: SettingsShape, needed: boolean) {
  const name = "TLS"
  const { haproxyCertDir: folder, haproxyCrtListFile: listFile, haproxyRuntimeCertDir: runtimeFolder } = settings
  const found = yield* Effect.result(findPlace(runtime, { folder, runtimeFolder, listFile }, Date.now() + patience))
  if (Result.isFailure(found)) {
    return [warning(name, "HAProxy did not say which certificates it loads", "Run `haproxy-mcp doctor` again.")]
  }
  if (found.success._tag === "NoPlace") {
    const { hint, reason } = found.success
    return [needed ? error(name, reason, hint) : ok(name, "HAProxy loads no certificates of ours")]
  }
  const { list } = found.success.place
  const ours = listFile ?? folder
  return [ok(name, `HAProxy loads ${list}${list === ours ? "" : ` (ours: ${ours})`}`)]
})

/** Hosts and wildcards that are routed by the map files; null when these cannot be read. */
const routed = async (settings: SettingsShape): Promise<ReadonlySet<string> | null> => {
  const keysOf = async (path: string) => entriesOf(await readFile(path, "latin1")).map(({ key }) => key)
  try {
    const [domains, wildcards] = await Promise.all([keysOf(settings.haproxyMapFile), keysOf(settings.wildcardsFile)])
    const own = settings.mcpAllowedHosts.map((host) => host.replace(/:\d+$/, ""))
    return new Set([...domains, ...wildcards.map((key) => `*${key}`), ...own])
  } catch {
    return null
  }
}

/** The wildcard over a host, of which a certificate may have one. */
const above = (host: string): string => `*${host.slice(host.indexOf("."))}`

const needs = (
  files: ReadonlyArray<Folder.SeenFile>,
  rows: ReadonlyArray<CertificateRow>,
  routes: ReadonlySet<string>
): ReadonlyArray<Found> => {
  const covered = new Set([...routes, ...[...routes].filter((host) => !host.startsWith("*.")).map(above)])
  const issued = new Set(rows.filter(({ source }) => source === "acme").map(({ name }) => name))
  const idle = files.filter(({ facts }) => facts !== null && !facts.names.some((name) => covered.has(name))).map((
    { name }
  ) => name)
  const renewed = idle.filter((name) => issued.has(name))
  const names = new Set(files.flatMap(({ facts }) => facts?.names ?? []))
  const bare = [...routes].filter((host) => !names.has(host) && (host.startsWith("*.") || !names.has(above(host))))
  return [
    ...(renewed.length > 0
      ? [
        warning(
          "Not needed",
          `no routed domain needs ${some(renewed)}, which ${renewed.length === 1 ? "is" : "are"} renewed all the same`,
          "`haproxy-mcp certs delete NAME`, or route the domain."
        )
      ]
      : idle.length > 0
      ? [ok("Not needed", `no routed domain needs ${some(idle)}, put there by hand`)]
      : []),
    ...(names.size > 0 && bare.length > 0
      ? [ok("Without HTTPS", `${counted(bare.length, "routed name")}: ${some(bare)}`)]
      : [])
  ]
}

const renewals = (rows: ReadonlyArray<CertificateRow>): ReadonlyArray<Found> => {
  const name = "Renewals"
  const failed = rows.filter(({ lastError }) => lastError !== null)
  const issued = rows.filter(({ source }) => source === "acme").length
  if (failed.length === 0) return issued === 0 ? [] : [ok(name, `none of ${counted(issued, "certificate")} failed`)]
  return [
    warning(
      name,
      `failed: ${some(failed.map((one) => `${one.name} (${counted(one.failures, "time")}: ${one.lastError})`), 2)}`,
      "Mend what it says, then `haproxy-mcp certs renew-all`. What served before goes on serving."
    )
  ]
}

/** Bytes above which the database is not copied for a look. */
const largest = 256 * 1024 ** 2

/** What the database says of certificates; nothing when it cannot be looked at. */
export const rowsIn = (database: string): Effect.Effect<ReadonlyArray<CertificateRow>> =>
  copyOf(database, largest).pipe(
    Effect.flatMap((copy) => Effect.try({ try: () => certificatesIn(copy), catch: () => "unreadable" as const })),
    Effect.orElseSucceed(() => []),
    Effect.scoped
  )

export interface CertificateChecks {
  readonly settings: SettingsShape
  /** HAProxy, when it answers. */
  readonly live: Live | null
  readonly haproxyIsHere: boolean
  readonly rows: ReadonlyArray<CertificateRow>
  /** HAPROXY_CERT_DIR or another setting of certificates was given. */
  readonly given: boolean
}

const look = Effect.fnUntraced(function*({ given, haproxyIsHere, live, rows, settings }: CertificateChecks) {
  const path = settings.haproxyCertDir
  const itself = yield* Effect.promise(() => Folder.folderItself(path, given || rows.length > 0))
  if (itself !== null) return [itself]
  const read = yield* Effect.result(Effect.tryPromise({
    try: () => Folder.readFolder(path),
    catch: (cause) => cause instanceof Error ? cause.message : String(cause)
  }))
  if (Result.isFailure(read)) {
    return [error("Certificates", read.failure, `\`chown -R ${userInfo().username} ${path}\`, for the user of serve.`)]
  }
  const { files, total } = read.success
  const reader = live !== null && haproxyIsHere
    ? yield* Effect.promise(() => Folder.readerOf(live.link.epoch.pid))
    : null
  const routes = yield* Effect.promise(() => routed(settings))
  const rights = yield* Effect.promise(() => Folder.rights(path, files))
  const contents = Folder.contents(path, files, total)
  return [
    ...(rights.length > 0 && contents.level === "ok" ? [] : [contents]),
    ...rights,
    ...(reader === null ? [] : Folder.readable(path, files, reader)),
    Folder.validity(files, Date.now()),
    ...(routes === null ? [] : needs(files, rows, routes))
  ]
})

export const checks = (options: CertificateChecks): ReadonlyArray<Check> => {
  const { given, live, rows, settings } = options
  return [
    check("certificates", "Certificates", look(options), 8_000),
    ...(live === null ? [] : [check("certificates", "TLS", place(live, settings, given || rows.length > 0))]),
    check("certificates", "Renewals", Effect.sync(() => renewals(rows)))
  ]
}
