/**
 * Brings HAProxy's memory to the folder of certificates: observe, diff, load, read back. Level-triggered: it looks only
 * at what is, whatever came between (a restart of HAProxy with another folder, a writer that died, files put there by
 * hand).
 *
 * Guarantees: on success every good file of the folder is what HAProxy serves under its path, read back, except for
 * what `problems` says; a transaction that a writer left open is gone; certificates of other folders, and those of ours
 * without a file, are as they were. With a crt-list file (HAPROXY_CRT_LIST_FILE) files that have no row and are in no
 * list stay out: whoever keeps a list chose them. It runs under the permit of the certificates (Certificates.ts).
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { Certificate } from "../../domain/Certificate.ts"
import { type FileFailure, HaproxyRefused } from "../../domain/Errors.ts"
import * as Commands from "../../haproxy/CertificateCommands.ts"
import { nameOf } from "../../haproxy/certificates/FileNames.ts"
import * as KnownPem from "../../haproxy/certificates/KnownPem.ts"
import { findPlace, pathIn, type Place } from "../../haproxy/certificates/Place.ts"
import { abortOpen, installMany, loaded as everything, readBack } from "../../haproxy/certificates/Restore.ts"
import { isWord } from "../../haproxy/Cli.ts"
import * as CrtLists from "../../haproxy/CrtListCommands.ts"
import type { LinkLost } from "../../haproxy/RuntimeApi.ts"
import * as Tracing from "../../Tracing.ts"
import type { CertificatesState } from "./Certificates.ts"
import type { KnownFile, KnownFiles } from "./Folder.ts"
import type { CertificatePlane } from "./Plane.ts"

/** Certificates whose keys are in our memory at the same time. */
const readAtOnce = 50
/** A transaction that is not about our folder is somebody's work, unless it stands still for so long; milliseconds. */
const strangersTime = 500
/** Certificates that a problem names. */
const named = 5

/** What a comparison found and left. */
export interface Compared {
  readonly state: CertificatesState & { readonly loaded: ReadonlyMap<string, string> | null }
  /** Certificates that HAProxy did not have as they should be, and has now. */
  readonly repaired: number
}

/** `a, b and 3 more`. */
const some = (names: ReadonlyArray<string>): string =>
  names.slice(0, named).join(", ") + (names.length > named ? ` and ${names.length - named} more` : "")

const chunked = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size))

const timeLeft = (deadline: number) => ({ timeout: Math.max(1, deadline - Date.now()) })

/** Ends a transaction that nobody goes on with; answers the paths that HAProxy has. */
const withoutTransaction = Effect.fnUntraced(function*({ runtime }: CertificatePlane, place: Place, deadline: number) {
  const list = yield* everything(runtime, deadline)
  if (list.transaction === null) return list.paths
  if (!list.transaction.startsWith(`${place.folder}/`)) {
    yield* Effect.sleep(strangersTime)
    if ((yield* everything(runtime, deadline)).transaction !== list.transaction) return list.paths
  }
  const aborted = yield* abortOpen(runtime, deadline)
  if (aborted !== null) {
    yield* Effect.logWarning("A transaction that a writer of certificates had left open was aborted").pipe(
      Effect.annotateLogs({ path: aborted })
    )
  }
  return list.paths
})

/** The certificates of the list that a bind uses. */
const listed = Effect.fnUntraced(function*({ runtime }: CertificatePlane, place: Place, deadline: number) {
  const [entries] = yield* runtime.exchange([CrtLists.show(place.list)], timeLeft(deadline))
  return new Set(Result.isSuccess(entries) ? (entries.success ?? []).map(({ certificate }) => certificate) : [])
})

type Lacking = ReadonlyArray<{ readonly file: KnownFile; readonly known: boolean }>

/** One file's bundle: as it was checked before, else checked now. */
const bundleOf = Effect.fnUntraced(
  function*({ files }: CertificatePlane, known: KnownPem.KnownPem, { facts, file }: KnownFile) {
    const text = facts === null ? null : yield* files.text(file.file)
    const bundle = facts === null || text === null ? null : known.rebuild(text, facts)
    if (bundle !== null) return bundle
    const read = yield* files.read(file.name)
    if (read !== null) known.learn(read)
    return read
  }
)

/** Reads some files; why some cannot be loaded goes into `failed`. */
const readSome = (plane: CertificatePlane, known: KnownPem.KnownPem, some: Lacking, failed: Map<string, string>) =>
  Effect.map(
    Effect.forEach(some, (one) => {
      const { file, name } = one.file.file
      return bundleOf(plane, known, one.file).pipe(
        Effect.map((bundle) => {
          if (bundle === null) failed.set(name, "its file went away")
          return bundle === null ? [] : [{ name, file, bundle, known: one.known }]
        }),
        Effect.catchTag("InvalidInput", (error) =>
          Effect.sync(() => {
            failed.set(name, error.message)
            return []
          }))
      )
    }, { concurrency: plane.files.besides }),
    (found) => found.flat()
  )

/** Loads files, reading the next ones while HAProxy takes the ones before; answers why some could not be, by name. */
const load = Effect.fnUntraced(function*(plane: CertificatePlane, place: Place, lacking: Lacking, deadline: number) {
  const failed = new Map<string, string>()
  const sha1s = new Map<string, string>()
  const chunks = chunked(lacking, readAtOnce)
  const pem = KnownPem.make()
  const begin = (index: number) => Effect.forkChild(readSome(plane, pem, chunks[index] ?? [], failed))
  let reading = yield* begin(0)
  for (const index of chunks.keys()) {
    const items = yield* Fiber.join(reading)
    reading = yield* begin(index + 1)
    const results = yield* installMany(plane.runtime, place, items, deadline).pipe(
      Effect.tapError(() => Fiber.interrupt(reading))
    )
    results.forEach(({ error }, at) => {
      const { bundle, name } = items[at]!
      if (error === null) sha1s.set(name, bundle.facts.sha1)
      else failed.set(name, error.message)
    })
  }
  return { failed, sha1s }
})

/** Compares and repairs by `deadline` (milliseconds since 1970). `files` and `rows` are as they are now. */
export const restore = Tracing.fn("Certificates.restore")(function*(
  plane: CertificatePlane,
  files: KnownFiles,
  rows: ReadonlyArray<Certificate>,
  deadline: number
): Effect.fn.Return<Compared, LinkLost | HaproxyRefused | FileFailure> {
  const found = yield* findPlace(plane.runtime, plane.place, deadline)
  const broken = [...files.values()].filter(({ facts }) => facts === null)
  const problems = broken.slice(0, 2 * named).map(({ file, problem }) => problem ?? file.file)
  if (broken.length > problems.length) problems.push(`${broken.length - problems.length} more files are broken`)
  if (found._tag === "NoPlace") {
    const { hint, kind, reason } = found
    if (kind === "refused") return yield* new HaproxyRefused({ message: reason, hint })
    return { state: { status: "off", reason, loaded: new Map(), problems, lastRunAt: Date.now() }, repaired: 0 }
  }
  const { place } = found
  const paths = yield* withoutTransaction(plane, place, deadline)
  const inList = yield* listed(plane, place, deadline)
  const prefix = `${place.folder}/`
  const ours = paths.filter((path) => path.startsWith(prefix) && !path.slice(prefix.length).includes("/"))
  const shown = yield* readBack(plane.runtime, ours.filter(isWord), deadline)

  const managed = new Set(rows.map(({ name }) => name))
  const loaded = new Map<string, string>()
  const lacking: Array<Lacking[number]> = []
  const unnameable: Array<string> = []
  for (const file of files.values()) {
    const { name } = file.file
    const path = pathIn(place, file.file.file)
    const has = shown.get(path)
    const known = has != null && inList.has(path)
    if (known && has.status === "Used") loaded.set(name, has.sha1)
    if (file.facts === null || (known && has.sha1 === file.facts.sha1)) continue
    if (!isWord(path)) unnameable.push(file.file.file)
    else if (known || place.listFile === null || managed.has(name)) lacking.push({ file, known })
  }
  const { failed, sha1s } = yield* load(plane, place, lacking, deadline)
  for (const [name, sha1] of sha1s) loaded.set(name, sha1)

  // What an install that was broken off had made, and nothing was ever put into.
  const empty = ours.filter((path) =>
    shown.get(path)?.status === "Empty" && !inList.has(path) && !files.has(nameOf(path.slice(prefix.length)))
  )
  if (empty.length > 0) yield* plane.runtime.exchange(empty.map(Commands.del), timeLeft(deadline))

  const refused = [...failed]
  problems.push(...refused.slice(0, 2 * named).map(([name, why]) => `HAProxy does not serve ${name}: ${why}`))
  if (refused.length > 2 * named) problems.push(`HAProxy does not serve ${refused.length - 2 * named} more`)
  if (unnameable.length > 0) {
    problems.push(`These files have names that cannot be written in a command to HAProxy: ${some(unnameable)}`)
  }
  const gone: Array<string> = []
  const strange: Array<string> = []
  for (const path of ours) {
    const name = nameOf(path.slice(prefix.length))
    if (files.has(name) || !inList.has(path)) continue
    loaded.set(name, shown.get(path)?.sha1 ?? "")
    ;(managed.has(name) ? gone : strange).push(name)
  }
  if (gone.length > 0) {
    problems.push(`HAProxy still serves certificates whose files are gone, until it is reloaded: ${some(gone)}`)
  }
  if (strange.length > 0) {
    problems.push(`HAProxy serves certificates of the folder that are neither there nor known here: ${some(strange)}`)
  }
  const lost = rows.filter(({ name, state }) => state === "active" && !files.has(name) && !gone.includes(name))
  if (lost.length > 0) problems.push(`The files of these certificates are gone: ${some(lost.map(({ name }) => name))}`)
  return {
    state: {
      status: problems.length === 0 ? "ok" : "degraded",
      reason: problems[0] ?? "",
      loaded,
      problems,
      lastRunAt: Date.now()
    },
    repaired: sha1s.size
  }
})
