/**
 * Many certificates at once: what HAProxy has of them, and putting those that it lacks into its memory after a start.
 *
 * Guarantees: each certificate has its own verdict, read back; one that is refused leaves HAProxy without it (or with
 * what it had), and its neighbours go on. Commands of many certificates follow each other in one exchange; exchanges
 * are short enough for others to come between.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ConfigInvalid, HaproxyRefused, type StorageFailed } from "../../domain/Errors.ts"
import * as Tracing from "../../Tracing.ts"
import * as Certificates from "../CertificateCommands.ts"
import type { Command, Verdict } from "../Command.ts"
import * as CrtLists from "../CrtListCommands.ts"
import { LinkLost, type RuntimeApi } from "../RuntimeApi.ts"
import type { CertificateBundle } from "./Bundle.ts"
import * as CrtListFile from "./CrtListFile.ts"
import { after, before } from "./Deadline.ts"
import { difference } from "./Install.ts"
import { pathIn, type Place } from "./Place.ts"
import { notAsSent, payloadOf, refusedStep } from "./Refusals.ts"

type Runtime = RuntimeApi["Service"]

/** Paths whose state one exchange asks for. */
const looksAtOnce = 1_000
/** Certificates that one exchange loads: HAProxy takes about half a millisecond for each. */
const loadsAtOnce = 100

/** A certificate to load. */
export interface RestoreItem {
  readonly file: string
  readonly bundle: CertificateBundle
  /** HAProxy has a certificate under this path. */
  readonly known: boolean
}

/** What became of one. */
export interface Restored {
  readonly file: string
  /** Why HAProxy does not serve it; null: it does. */
  readonly error: HaproxyRefused | ConfigInvalid | null
}

const chunked = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size))

/** What HAProxy has under each path (null: nothing). `deadline` in milliseconds since 1970. */
export const readBack = Tracing.fn("Restore.readBack")(function*(
  runtime: Runtime,
  paths: ReadonlyArray<string>,
  deadline: number
): Effect.fn.Return<ReadonlyMap<string, Certificates.ShownCertificate | null>, LinkLost | HaproxyRefused> {
  const found = new Map<string, Certificates.ShownCertificate | null>()
  for (const chunk of chunked(paths, looksAtOnce)) {
    const verdicts = yield* runtime.exchange(chunk.map(Certificates.show), before(deadline))
    for (const [index, path] of chunk.entries()) {
      const verdict = verdicts[index]!
      if (Result.isFailure(verdict)) return yield* refusedStep(path, verdict.failure.text)
      found.set(path, verdict.success)
    }
  }
  return found
})

/** Everything that HAProxy has in memory: all paths, and the transaction that is open. */
export const loaded = Tracing.fn("Restore.loaded")(function*(
  runtime: Runtime,
  deadline: number
): Effect.fn.Return<Certificates.CertificateList, LinkLost | HaproxyRefused> {
  const [list] = yield* runtime.exchange([Certificates.list], before(deadline))
  return Result.isSuccess(list) ? list.success : yield* refusedStep("show ssl cert", list.failure.text)
})

/** Gives up a transaction that somebody left open; answers its path, or null when there was none. */
export const abortOpen = Tracing.fn("Restore.abortOpen")(function*(
  runtime: Runtime,
  deadline: number
): Effect.fn.Return<string | null, LinkLost | HaproxyRefused> {
  const { transaction } = yield* loaded(runtime, deadline)
  if (transaction === null) return null
  const [aborted] = yield* runtime.exchange([Certificates.abort(transaction)], before(deadline))
  // Its owner may have finished it in between.
  return Result.isSuccess(aborted) ? transaction : yield* refusedStep(transaction, aborted.failure.text)
})

/** The commands of one certificate; a transaction that a refused commit left open would block the next one. */
const loading = (place: Place, { file, known }: RestoreItem, lines: ReadonlyArray<string>) => {
  const path = pathIn(place, file)
  return [
    ...(known ? [] : [Certificates.make(path)]),
    Certificates.set(path, lines),
    Certificates.commit(path),
    Certificates.abort(path),
    ...(known ? [] : [CrtLists.add(place.list, path)]),
    Certificates.show(path)
  ]
}

/** The first refusal of a certificate's commands that counts, or what is wrong with what HAProxy shows. */
const judge = (item: RestoreItem, verdicts: ReadonlyArray<Verdict<unknown>>): HaproxyRefused | null => {
  for (const verdict of verdicts) {
    if (Result.isFailure(verdict)) return refusedStep(item.file, verdict.failure.text)
  }
  const shown = verdicts.at(-1) as Result.Success<Certificates.ShownCertificate | null, never>
  const wrong = difference(shown.success, item.bundle.facts)
  return wrong === null ? null : notAsSent(item.file, wrong)
}

/**
 * Loads certificates whose files are in place already; answers in the order of `items`. Those that are known are
 * replaced, the others made and added to the list.
 */
export const installMany = Tracing.fn("Restore.installMany")(function*(
  runtime: Runtime,
  place: Place,
  items: ReadonlyArray<RestoreItem>,
  deadline: number
): Effect.fn.Return<ReadonlyArray<Restored>, LinkLost | StorageFailed> {
  const link = yield* runtime.link
  if (link._tag === "Down") return yield* new LinkLost({ reason: link.reason, sent: false })
  const errors = new Map<RestoreItem, HaproxyRefused | ConfigInvalid | null>()
  for (const chunk of chunked(items, loadsAtOnce)) {
    const sent = chunk.flatMap((item) => {
      const lines = payloadOf(pathIn(place, item.file), item.file, item.bundle, link.capabilities)
      if ("length" in lines) return [{ item, commands: loading(place, item, lines) }]
      errors.set(item, lines)
      return []
    })
    const verdicts = yield* runtime.exchange(
      sent.flatMap(({ commands }): ReadonlyArray<Command<unknown>> => commands),
      before(deadline)
    )
    let at = 0
    const cleaning: Array<Command<unknown>> = []
    for (const { commands, item } of sent) {
      const error = judge(item, verdicts.slice(at, at += commands.length))
      errors.set(item, error)
      if (error !== null && !item.known) {
        const path = pathIn(place, item.file)
        cleaning.push(CrtLists.del(place.list, path), Certificates.del(path))
      }
    }
    if (cleaning.length > 0) yield* runtime.exchange(cleaning, before(after(deadline)))
  }
  const added = items.filter((item) => !item.known && errors.get(item) === null)
  if (place.listFile !== null && added.length > 0) {
    yield* CrtListFile.append(place.listFile, added.map(({ file }) => pathIn(place, file)))
  }
  return items.map((item) => ({ file: item.file, error: errors.get(item) ?? null }))
})
