/**
 * Certificates: whether HAProxy loads our folder, what lies in it (CertificateFolder.ts), what failed to be renewed, and
 * what nobody needs. Where nobody has set a folder and there is none, that is no fault.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { SettingsShape } from "../Config.ts"
import { StorageFailed } from "../domain/Errors.ts"
import { entriesOf } from "../domain/MapText.ts"
import { findPlace } from "../haproxy/certificates/Place.ts"
import { copyOf } from "../store/Copy.ts"
import { type CertificateRow, certificatesIn } from "../store/Examination.ts"
import * as Folder from "./CertificateFolder.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"
import type { Live } from "./Haproxy.ts"
import { checkThere, type HaproxyDisk } from "./HaproxyDisk.ts"

const { counted, some } = Folder

/** Milliseconds for HAProxy to say what it loads. */
const patience = 2_000

const place = Effect.fnUntraced(function*(
  { runtime }: Live,
  settings: SettingsShape,
  needed: boolean,
  { disk }: HaproxyDisk
) {
  const name = "TLS"
  const { haproxyCertDir: folder, haproxyCrtListFile: listFile, haproxyRuntimeCertDir: runtimeFolder } = settings
  const found = yield* Effect.result(
    findPlace(runtime, { folder, runtimeFolder, listFile, disk }, Date.now() + patience)
  )
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
const routed = async ({ disk }: HaproxyDisk, settings: SettingsShape): Promise<ReadonlySet<string> | null> => {
  const keysOf = async (path: string) => {
    const text = await disk.readFile(path)
    if (text === null) throw new Error("it is not there")
    return entriesOf(text.toString("latin1")).map(({ key }) => key)
  }
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
  /** Where its files are. */
  readonly there: HaproxyDisk
  readonly haproxyIsHere: boolean
  readonly rows: ReadonlyArray<CertificateRow>
  /** HAPROXY_CERT_DIR or another setting of certificates was given. */
  readonly given: boolean
}

const look = async (
  { given, haproxyIsHere, live, rows, settings, there }: CertificateChecks
): Promise<ReadonlyArray<Found>> => {
  const path = settings.haproxyCertDir
  const itself = await Folder.folderItself(there, path, given || rows.length > 0)
  if (itself !== null) return [itself]
  const read = await Folder.readFolder(there, path).catch((cause: unknown) => {
    if (cause instanceof StorageFailed) return cause.message
    throw cause
  })
  if (typeof read === "string") {
    return [error("Certificates", read, `\`chown -R ${there.user} ${path}\`, ${there.role}.`)]
  }
  const { files, total } = read
  const sameHost = haproxyIsHere || there.host !== null
  const reader = live !== null && sameHost ? await Folder.readerOf(there, live.link.epoch.pid) : null
  const [routes, rights] = await Promise.all([routed(there, settings), Folder.rights(there, path, files)])
  const contents = Folder.contents(path, files, total)
  return [
    ...(rights.length > 0 && contents.level === "ok" ? [] : [contents]),
    ...rights,
    ...(reader === null ? [] : Folder.readable(path, files, reader)),
    Folder.validity(files, Date.now()),
    ...(routes === null ? [] : needs(files, rows, routes))
  ]
}

export const checks = (options: CertificateChecks): ReadonlyArray<Check> => {
  const { given, live, rows, settings, there } = options
  return [
    checkThere("certificates", "Certificates", there, () => look(options), 8_000),
    ...(live === null ? [] : [check("certificates", "TLS", place(live, settings, given || rows.length > 0, there))]),
    check("certificates", "Renewals", Effect.sync(() => renewals(rows)))
  ]
}
