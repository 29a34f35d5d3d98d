/**
 * What lies in the folder of certificates: is each file one, who may read it, how long is it valid. Keys are read to see
 * that they belong to their certificates; nothing of them is part of a finding.
 */
import * as Result from "effect/Result"
import { join } from "node:path"
import { type CertificateFacts, daysLeft, validityAt } from "../domain/Certificate.ts"
import { list, readName } from "../haproxy/certificates/FolderReader.ts"
import { whyNot } from "../haproxy/certificates/FolderWriter.ts"
import { parseBundle } from "../haproxy/certificates/Pem.ts"
import { modeText, seen } from "./Files.ts"
import { error, type Found, ok, warning } from "./Finding.ts"
import type { HaproxyDisk } from "./HaproxyDisk.ts"

/** A file of the folder as it was found. */
export interface SeenFile {
  readonly name: string
  readonly file: string
  /** Null: it is no certificate with its key. */
  readonly facts: CertificateFacts | null
  /** Why not; goes after the file's name. */
  readonly problem: string | null
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

/** Files that are read at most: a thousand take a second. */
const mostFiles = 2_000
/** So many are read side by side: another host takes its time for each answer. */
const atOnce = 32

const readOne = async ({ disk }: HaproxyDisk, folder: string, file: string, name: string): Promise<SeenFile | null> => {
  const stats = await seen({ disk }, join(folder, file))
  const { gid, mode, uid } = typeof stats === "string" ? { gid: -1, mode: 0o600, uid: -1 } : stats
  const base = { name, file, mode, uid, gid }
  const content = await readName(disk, folder, name)
  if (content === null) return null
  const parsed = content._tag === "Broken" ? Result.fail(content) : parseBundle(content.pem)
  return Result.isSuccess(parsed)
    ? { ...base, facts: parsed.success.facts, problem: null }
    : { ...base, facts: null, problem: parsed.failure.problem }
}

/** The first so many files, and how many there are. Throws where the folder or a file cannot be read. */
export const readFolder = async (
  there: HaproxyDisk,
  folder: string
): Promise<{ readonly files: ReadonlyArray<SeenFile>; readonly total: number }> => {
  const all = await list(there.disk, folder)
  const looked = all.slice(0, mostFiles)
  const files: Array<SeenFile> = []
  for (let begin = 0; begin < looked.length; begin += atOnce) {
    const some = looked.slice(begin, begin + atOnce)
    const read = await Promise.all(some.map(({ file, name }) => readOne(there, folder, file, name)))
    files.push(...read.filter((one) => one !== null))
  }
  return { files, total: all.length }
}

/** Some of many, in a sentence. */
export const some = (texts: ReadonlyArray<string>, most = 3): string =>
  texts.slice(0, most).join(", ") + (texts.length > most ? ` and ${texts.length - most} more` : "")

/** `1 certificate`, `2 certificates`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** The folder itself; null: it is there, so its files can be looked at. `needed`: somebody has set it or uses it. */
export const folderItself = async (there: HaproxyDisk, path: string, needed: boolean): Promise<Found | null> => {
  const name = "Certificates"
  const stats = await seen(there, path)
  if (typeof stats === "string") {
    return needed
      ? error(
        name,
        `${path} cannot be read (${stats}); HAProxy does not start without it`,
        `\`mkdir -p ${path}\` with mode 750, ${there.role}.`
      )
      : ok(name, `no folder ${path}: HTTPS is not managed here`)
  }
  return stats.kind === "folder"
    ? null
    : error(name, `${path} is no folder`, "Let HAPROXY_CERT_DIR name the folder that HAProxy loads as `crt`.")
}

/** Who may write the folder and read its files: private keys lie there. */
export const rights = async (
  there: HaproxyDisk,
  path: string,
  files: ReadonlyArray<SeenFile>
): Promise<ReadonlyArray<Found>> => {
  const name = "Certificates"
  const stats = await seen(there, path)
  const mode = typeof stats === "string" ? 0 : stats.mode
  const open = files.filter((one) => (one.mode & 0o007) !== 0)
  const cannot = await whyNot(there.disk, path)
  const found: Array<Found> = []
  if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
    found.push(
      error(name, `${path} has mode ${modeText(mode)}: every user may put files there`, `\`chmod o-w ${path}\``)
    )
  }
  if (open.length > 0) {
    found.push(error(
      name,
      `every user may read ${open[0]!.file} and its key (${open.length} in all)`,
      `\`chmod o= ${path}/*.pem\``
    ))
  }
  if (cannot !== null) {
    // A link that was lost meanwhile is no fault of the folder: this throws then.
    await seen(there, path)
    found.push(error(name, cannot, `\`chown ${there.user} ${path}\`, ${there.role}.`))
  }
  return found
}

/** Whether each file is what HAProxy can load. */
export const contents = (path: string, files: ReadonlyArray<SeenFile>, total: number): Found => {
  const broken = files.filter(({ problem }) => problem !== null)
  const looked = total > files.length ? `; the first ${files.length} were looked at` : ""
  return broken.length === 0
    ? ok("Certificates", `${total} in ${path}${looked}`)
    : error(
      "Certificate files",
      `${counted(broken.length, "file")} of ${path}: ${some(broken.map(({ file, problem }) => `${file} ${problem}`))}`,
      `Mend or move them out of the folder: HAProxy does not start with a file that it cannot load.`
    )
}

/** What ends soon. `now` in milliseconds since 1970. */
export const validity = (files: ReadonlyArray<SeenFile>, now: number): Found => {
  const name = "Validity"
  const all = files.flatMap(({ facts, name }) => facts === null ? [] : [{ name, facts }])
  const of = (wanted: string) => all.filter(({ facts }) => validityAt(facts, now) === wanted)
  const shown = (some: typeof all) =>
    some.map(({ facts, name }) => `${name} (${counted(Math.abs(daysLeft(facts, now)), "day")})`)
  const renew = "Those issued here: `haproxy-mcp certs renew NAME`. Those put there by hand: replace the file, then "
    + "`haproxy-mcp certs load NAME`."
  const [early, expired, expiring] = [of("not_yet_valid"), of("expired"), of("expiring")]
  if (expired.length > 0) return error(name, `expired: ${some(shown(expired))}`, renew)
  if (early.length > 0) {
    return error(
      name,
      `not valid yet: ${some(early.map((one) => one.name))}`,
      "If the clock is wrong: `timedatectl set-ntp true`; else wait with it."
    )
  }
  if (expiring.length > 0) return warning(name, `about to expire: ${some(shown(expiring))}`, renew)
  const first = all.toSorted((a, b) => a.facts.notAfter - b.facts.notAfter)[0]
  return ok(
    name,
    first === undefined
      ? "no certificate yet"
      : `all are valid; ${first.name} ends first, in ${counted(daysLeft(first.facts, now), "day")}`
  )
}

/** A user and its groups. */
export interface Reader {
  readonly uid: number
  readonly gids: ReadonlySet<number>
}

const field = (status: string, key: string): ReadonlyArray<string> =>
  new RegExp(`^${key}:\\s*(.*)$`, "m").exec(status)?.[1]?.split(/\s+/) ?? []

/**
 * Who reads the files at HAProxy's next reload: the master, which is the worker's parent. Null: that cannot be told; a
 * worker without a master has given up the rights that it read its files with.
 */
export const readerOf = async ({ disk }: HaproxyDisk, worker: number): Promise<Reader | null> => {
  const statusOf = async (pid: number) =>
    (await disk.readFile(`/proc/${pid}/status`).catch(() => null))?.toString("latin1") ?? ""
  const own = await statusOf(worker)
  const master = await statusOf(Number(field(own, "PPid")[0] ?? 0))
  if (field(own, "Name")[0] !== "haproxy" || field(master, "Name")[0] !== "haproxy") return null
  return {
    uid: Number(field(master, "Uid")[1]),
    gids: new Set([field(master, "Gid")[1] ?? "", ...field(master, "Groups")].filter(Boolean).map(Number))
  }
}

/** Whether this user may read every file. */
export const readable = (
  path: string,
  files: ReadonlyArray<SeenFile>,
  { gids, uid }: Reader
): ReadonlyArray<Found> => {
  const closed = uid === 0 ? [] : files.filter((file) => {
    const bit = file.uid === uid ? 0o400 : gids.has(file.gid) ? 0o040 : 0o004
    return (file.mode & bit) === 0
  })
  return closed.length === 0 ? [] : [
    error(
      "HAProxy's rights",
      `HAProxy runs as user ${uid} and may not read ${some(closed.map(({ file }) => file))}: its next reload fails`,
      `\`chgrp -R GROUP ${path}; chmod 2750 ${path}; chmod 640 ${path}/*.pem\` with a group of HAProxy's user.`
    )
  ]
}
