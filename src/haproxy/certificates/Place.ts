/**
 * Under which path HAProxy knows the folder of certificates, and in which of its crt-lists it is.
 *
 * The rule: HAPROXY_RUNTIME_CERT_DIR if set, else exactly our folder, else the one list of `show ssl crt-list` whose
 * last part is that of our folder; with HAPROXY_CRT_LIST_FILE the list of that file, found in the same way. Anything
 * else is no TLS frontend of ours: no place, with why.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Disk } from "../../domain/Disk.ts"
import * as Tracing from "../../Tracing.ts"
import { isWord } from "../Cli.ts"
import * as CrtLists from "../CrtListCommands.ts"
import { localDisk } from "../files/LocalDisk.ts"
import { LinkLost, type RuntimeApi } from "../RuntimeApi.ts"
import { before } from "./Deadline.ts"

/** Where certificates of ours belong in HAProxy. */
export interface Place {
  /** The folder as HAProxy names it. */
  readonly folder: string
  /** The list that new certificates are added to, as HAProxy names it: the folder itself, or a crt-list file. */
  readonly list: string
  /** The crt-list file as we know it, which is kept current as well; null: the list is the folder. */
  readonly listFile: string | null
  /** Where that file is. */
  readonly disk: Disk
}

/** What is set. */
export interface PlaceOptions {
  /** HAPROXY_CERT_DIR. */
  readonly folder: string
  /** HAPROXY_RUNTIME_CERT_DIR. */
  readonly runtimeFolder: string | null
  /** HAPROXY_CRT_LIST_FILE. */
  readonly listFile: string | null
  /** Of the host that HAProxy runs on. Default: this machine's. */
  readonly disk?: Disk
}

/** Why HAProxy has no place for our certificates. */
export interface NoPlace {
  readonly _tag: "NoPlace"
  /**
   * `no-tls`: no bind has certificates, or HAProxy was built without TLS. `not-loaded`: none loads ours.
   * `ambiguous`: several could be ours. `unusable`: its path cannot be written in a command. `refused`: HAProxy does
   * not say, now.
   */
  readonly kind: "no-tls" | "not-loaded" | "ambiguous" | "unusable" | "refused"
  /** What was found, in one sentence. */
  readonly reason: string
  /** What to do about it, in one sentence. */
  readonly hint: string
}

/** What {@link findPlace} found. */
export type FoundPlace = { readonly _tag: "Place"; readonly place: Place } | NoPlace

/** `/etc/haproxy/certs` and `example.com.pem` → the path in commands. */
export const pathIn = (place: Place, file: string): string => `${place.folder}/${file}`

const withoutSlash = (path: string): string => path.replace(/(?<=[^/])\/+$/, "")
const lastPart = (path: string): string => path.slice(path.lastIndexOf("/") + 1)
const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

/** A list in a sentence, cut where it gets long. */
const some = (paths: ReadonlyArray<string>): string =>
  paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "")

const none = (kind: NoPlace["kind"], reason: string, hint: string): NoPlace => ({ _tag: "NoPlace", kind, reason, hint })

const howTo = "Let a bind of haproxy.cfg load it (`haproxy-mcp config` prints how), then reload HAProxy."

/** The list of ours among all, or why there is none. Pure. */
export const findList = (lists: ReadonlyArray<string>, options: PlaceOptions): string | NoPlace => {
  if (lists.length === 0) return none("no-tls", "No bind of HAProxy has a list of certificates", howTo)
  const known = new Map(lists.map((list) => [withoutSlash(list), list]))
  const { listFile } = options
  const ours = listFile ?? withoutSlash(options.folder)
  const usable = (list: string) =>
    isWord(list) ? list : none(
      "unusable",
      `HAProxy knows the list of certificates as ${list.slice(0, 200)}, which cannot be written in a command`,
      "Use a path of letters, digits, dots, dashes, underscores and slashes in haproxy.cfg."
    )
  if (listFile === null && options.runtimeFolder !== null) {
    const exact = known.get(withoutSlash(options.runtimeFolder))
    return exact === undefined
      ? none(
        "not-loaded",
        `HAProxy does not load ${options.runtimeFolder}; its lists are ${some(lists)}`,
        "Set HAPROXY_RUNTIME_CERT_DIR to the folder as `crt` in haproxy.cfg names it."
      )
      : usable(exact)
  }
  const exact = known.get(ours)
  if (exact !== undefined) return usable(exact)
  const named = lists.filter((list) => lastPart(withoutSlash(list)) === lastPart(ours))
  const setting = listFile === null ? "HAPROXY_RUNTIME_CERT_DIR" : "HAPROXY_CRT_LIST_FILE"
  return named.length === 1
    ? usable(named[0]!)
    : named.length === 0
    ? none("not-loaded", `HAProxy does not load ${ours}; its lists are ${some(lists)}`, howTo)
    : none(
      "ambiguous",
      `HAProxy has several lists named ${lastPart(ours)}: ${some(named)}`,
      listFile === null
        ? `Set ${setting} to the right one as haproxy.cfg names it.`
        : `Give the lists different file names, or use the same path for ${setting} as haproxy.cfg.`
    )
}

/**
 * The folder as HAProxy names it, when a crt-list file is the list: by HAPROXY_RUNTIME_CERT_DIR, else by the lines that
 * are there already, else by how the path of the file differs from ours.
 */
export const folderOfList = (
  list: string,
  certificates: ReadonlyArray<string>,
  options: PlaceOptions
): string => {
  const folder = withoutSlash(options.folder)
  if (options.runtimeFolder !== null) return withoutSlash(options.runtimeFolder)
  const folders = new Set(certificates.map(parent))
  if (folders.has(folder)) return folder
  const named = [...folders].filter((one) => lastPart(one) === lastPart(folder))
  if (named.length === 1) return named[0]!
  const [theirs, ours] = [parent(list), parent(options.listFile ?? list)]
  return theirs !== ours && folder.startsWith(`${ours}/`) ? theirs + folder.slice(ours.length) : folder
}

/** Looks for the place. `deadline` in milliseconds since 1970. */
export const findPlace = Tracing.fn("Place.find")(function*(
  runtime: RuntimeApi["Service"],
  options: PlaceOptions,
  deadline: number
): Effect.fn.Return<FoundPlace, LinkLost> {
  const link = yield* runtime.link
  if (link._tag === "Down") return yield* new LinkLost({ reason: link.reason, sent: false })
  if (!link.capabilities.certificates) {
    return none(
      "no-tls",
      `HAProxy ${link.capabilities.version} was built without TLS`,
      "Use a HAProxy with TLS, such as that of the distribution."
    )
  }
  const [lists] = yield* runtime.exchange([CrtLists.lists], before(deadline))
  if (Result.isFailure(lists)) {
    return none("refused", `HAProxy refuses show ssl crt-list: ${lists.failure.text}`, "Look at HAProxy's log.")
  }
  const { disk = localDisk } = options
  const list = findList(lists.success, options)
  if (typeof list !== "string") return list
  if (options.listFile === null) {
    return { _tag: "Place", place: { folder: withoutSlash(list), list, listFile: null, disk } }
  }
  const [entries] = yield* runtime.exchange([CrtLists.show(list)], before(deadline))
  const certificates = Result.isSuccess(entries) ? entries.success ?? [] : []
  const folder = folderOfList(list, certificates.map(({ certificate }) => certificate), options)
  return { _tag: "Place", place: { folder, list, listFile: options.listFile, disk } }
})
