/**
 * The predecessor's files: its maps, which HAProxy goes on loading, servers.json and certificates.json. Only read,
 * never written.
 *
 * A file that is not there holds nothing. One that is there and cannot be read as what it should be stops the start:
 * going on without it would leave it out for ever, because the first commit ends the migration.
 */
import * as Effect from "effect/Effect"
import { type Disk, DiskError } from "../domain/Disk.ts"
import { ConfigInvalid, RemoteUnreachable } from "../domain/Errors.ts"
import type { LegacyEntry, LegacyServer } from "../domain/Legacy.ts"
import * as MapText from "../domain/MapText.ts"

/** A million entries are 40 MB. */
const largestMap = 256 * 1024 * 1024
/** 10,000 servers are 1 MB. */
const largestJson = 64 * 1024 * 1024

/** A map file. */
export interface LegacyMap {
  readonly file: string
  readonly isThere: boolean
  /** It was written by this program: then it tells of a lost database, not of a predecessor. */
  readonly isMarked: boolean
  readonly entries: ReadonlyArray<LegacyEntry>
}

/** servers.json. */
export interface LegacyServers {
  readonly file: string
  readonly isThere: boolean
  readonly servers: ReadonlyArray<LegacyServer>
  /** Parts that do not look like servers, each in words. */
  readonly strange: ReadonlyArray<string>
}

/** certificates.json. */
export interface LegacyCertificates {
  readonly file: string
  readonly isThere: boolean
  readonly domains: ReadonlyArray<string>
  /** Parts that do not name a domain, each in words. */
  readonly strange: ReadonlyArray<string>
}

const refuse = (file: string, what: string, hint: string, field: string) =>
  new ConfigInvalid({ message: `${file} ${what}, so the domains of before cannot be taken over`, hint, field })

const read = (
  disk: Disk,
  file: string,
  largest: number,
  field: string
): Effect.Effect<Buffer | null, ConfigInvalid | RemoteUnreachable> =>
  Effect.tryPromise({
    try: async () => {
      const found = await disk.stat(file)
      if (found === null) return null
      if (found.kind !== "file") throw refuse(file, "is not a regular file", "Correct the path.", field)
      if (found.size > largest) {
        throw refuse(
          file,
          `has ${Math.ceil(Number(found.size) / 1024 / 1024)} MB, where ${largest / 1024 / 1024} are the most`,
          "Look at what fills it; move it away to begin without it.",
          field
        )
      }
      return await disk.readFile(file)
    },
    catch: (cause) => {
      if (cause instanceof RemoteUnreachable || cause instanceof ConfigInvalid) return cause
      if (!(cause instanceof DiskError)) throw cause
      return refuse(file, `cannot be read (${cause.code})`, "Let the user of haproxy-mcp read it.", field)
    }
  })

/** Reads a map file. */
export const readMap = (disk: Disk, file: string): Effect.Effect<LegacyMap, ConfigInvalid | RemoteUnreachable> =>
  Effect.map(read(disk, file, largestMap, "HAPROXY_MAP_FILE"), (bytes) => {
    const text = bytes?.toString("latin1") ?? ""
    return { file, isThere: bytes !== null, isMarked: MapText.isMarked(text), entries: MapText.entriesOf(text) }
  })

type Json = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const number = (value: unknown): number =>
  typeof value === "number" || (typeof value === "string" && value.trim() !== "") ? Number(value) : Number.NaN

const short = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)

/** `{"example.com": {"1": {"ip": "10.0.0.5", "http_port": 80}}}`; the outer key may be a pool. */
const serversOf = (content: Json): Pick<LegacyServers, "servers" | "strange"> => {
  const servers: Array<LegacyServer> = []
  const strange: Array<string> = []
  for (const [of, slots] of Object.entries(content)) {
    if (!isObject(slots)) {
      strange.push(`${short(of)} holds no slots`)
      continue
    }
    for (const [slot, server] of Object.entries(slots)) {
      const ip = isObject(server) ? server["ip"] : undefined
      if (!isObject(server) || typeof ip !== "string") {
        strange.push(`slot ${short(slot)} of ${short(of)} holds no server`)
        continue
      }
      servers.push({
        of,
        slot: number(slot),
        ip,
        port: number(server["http_port"] ?? server["port"] ?? 80),
        weight: server["weight"] === undefined ? null : number(server["weight"]),
        state: typeof server["state"] === "string" ? server["state"] : null
      })
    }
  }
  return { servers, strange }
}

/** Reads a JSON file; undefined when it is not there or empty. */
const readJson = Effect.fnUntraced(
  function*(
    disk: Disk,
    file: string,
    field: string,
    hint: string
  ): Effect.fn.Return<{ readonly isThere: boolean; readonly content: unknown }, ConfigInvalid | RemoteUnreachable> {
    const bytes = yield* read(disk, file, largestJson, field)
    const text = bytes?.toString("utf8") ?? ""
    if (text.trim() === "") return { isThere: bytes !== null, content: undefined }
    const content = yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: (cause) => refuse(file, `is not JSON (${(cause as Error).message.slice(0, 120)})`, hint, field)
    })
    return { isThere: true, content }
  }
)

/** Reads servers.json. */
export const readServers = Effect.fnUntraced(
  function*(disk: Disk, file: string): Effect.fn.Return<LegacyServers, ConfigInvalid | RemoteUnreachable> {
    const field = "HAPROXY_SERVERS_FILE"
    const hint = "Mend it, or move it away: then the servers that HAProxy runs now are taken over."
    const { content, isThere } = yield* readJson(disk, file, field, hint)
    if (content === undefined) return { file, isThere, servers: [], strange: [] }
    if (!isObject(content)) {
      return yield* refuse(file, "does not hold an object of domains with their servers", hint, field)
    }
    return { file, isThere, ...serversOf(content) }
  }
)

/** `["example.com"]`, `[{"domain": "example.com"}]` or `{"example.com": {"expires": "…"}}`. */
const domainsOf = (content: Json | ReadonlyArray<unknown>): Pick<LegacyCertificates, "domains" | "strange"> => {
  if (isObject(content)) return { domains: Object.keys(content), strange: [] }
  const domains: Array<string> = []
  const strange: Array<string> = []
  for (const entry of content as ReadonlyArray<unknown>) {
    const domain = isObject(entry) ? entry["domain"] ?? entry["name"] : entry
    if (typeof domain === "string") domains.push(domain)
    else strange.push(`${short(JSON.stringify(entry) ?? "")} names no domain`)
  }
  return { domains, strange }
}

/** Reads certificates.json. */
export const readCertificates = Effect.fnUntraced(
  function*(disk: Disk, file: string): Effect.fn.Return<LegacyCertificates, ConfigInvalid | RemoteUnreachable> {
    const field = "HAPROXY_CERTS_FILE"
    const hint = "Mend it, or move it away: then no certificate of before is renewed here."
    const { content, isThere } = yield* readJson(disk, file, field, hint)
    if (content === undefined) return { file, isThere, domains: [], strange: [] }
    if (!isObject(content) && !Array.isArray(content)) {
      return yield* refuse(file, "does not hold a list of domains, nor an object of them", hint, field)
    }
    return { file, isThere, ...domainsOf(content) }
  }
)
