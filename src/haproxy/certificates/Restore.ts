/**
 * Many certificates at once: what HAProxy has of them, and putting those that it lacks into its memory after a start.
 *
 * Guarantees: each certificate has its own verdict, read back; one that is refused leaves HAProxy without it (or with
 * what it had), and its neighbours go on. Commands of many certificates follow each other in one exchange; exchanges
 * are short enough for others to come between.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ConfigInvalid, type FileFailure, HaproxyRefused } from "../../domain/Errors.ts"
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
    // A list of a file would take it twice, should it be there already: that is looked at first.
    ...(known || place.listFile !== null ? [] : [CrtLists.add(place.list, path)]),
    Certificates.show(path)
  ]
}

/** The first refusal of a certificate's commands, or what is wrong with what HAProxy shows; null: all is well. */
const judge = (item: RestoreItem, verdicts: ReadonlyArray<Verdict<unknown>>): Judged => {
  for (const verdict of verdicts) {
    if (Result.isFailure(verdict)) return { error: refusedStep(item.file, verdict.failure.text), isUnlisted: false }
  }
  const { success } = verdicts.at(-1) as Result.Success<Certificates.ShownCertificate | null, never>
  const wrong = difference(success, item.bundle.facts)
  const isUnlisted = success?.status === "Unused" &&
    difference({ ...success, status: "Used" }, item.bundle.facts) === null
  return { error: wrong === null ? null : notAsSent(item.file, wrong), isUnlisted }
}

interface Judged {
  readonly error: HaproxyRefused | null
  /** It is there, and only no list has it. */
  readonly isUnlisted: boolean
}

const made = (verdict: Verdict<unknown> | undefined): boolean =>
  verdict !== undefined && Result.isSuccess(verdict) && verdict.success === "made"

/** Sends the commands of every item in one exchange; answers the verdicts of each. */
const sendAll = Effect.fnUntraced(function*(
  runtime: Runtime,
  all: ReadonlyArray<readonly [item: RestoreItem, commands: ReadonlyArray<Command<unknown>>]>,
  deadline: number
) {
  const verdicts = yield* runtime.exchange(all.flatMap(([, commands]) => commands), before(deadline))
  let at = 0
  return all.map(([item, commands]) => [item, verdicts.slice(at, at += commands.length)] as const)
})

/**
 * Loads certificates whose files are in place already; answers in the order of `items`. Those that are known are
 * replaced, the others made; each is added to the list that is in none.
 */
export const installMany = Tracing.fn("Restore.installMany")(function*(
  runtime: Runtime,
  place: Place,
  items: ReadonlyArray<RestoreItem>,
  deadline: number
): Effect.fn.Return<ReadonlyArray<Restored>, LinkLost | FileFailure> {
  const link = yield* runtime.link
  if (link._tag === "Down") return yield* new LinkLost({ reason: link.reason, sent: false })
  const errors = new Map<RestoreItem, HaproxyRefused | ConfigInvalid | null>()
  const added: Array<string> = []
  for (const chunk of chunked(items, loadsAtOnce)) {
    const loads: Array<readonly [RestoreItem, ReadonlyArray<Command<unknown>>]> = []
    for (const item of chunk) {
      const lines = payloadOf(pathIn(place, item.file), item.file, item.bundle, link.capabilities)
      if ("length" in lines) loads.push([item, loading(place, item, lines)])
      else errors.set(item, lines)
    }
    const unlisted: Array<RestoreItem> = []
    const failed: Array<RestoreItem> = []
    for (const [item, verdicts] of yield* sendAll(runtime, loads, deadline)) {
      const { error, isUnlisted } = judge(item, verdicts)
      errors.set(item, error)
      if (isUnlisted) unlisted.push(item)
      else if (!item.known && error === null) added.push(pathIn(place, item.file))
      // What was there all the same is not ours to delete.
      else if (!item.known && made(verdicts[0])) failed.push(item)
    }
    const listing = unlisted.map((item) => {
      const path = pathIn(place, item.file)
      return [item, [CrtLists.add(place.list, path), Certificates.show(path)]] as const
    })
    for (const [item, verdicts] of yield* sendAll(runtime, listing, deadline)) {
      const { error } = judge(item, verdicts)
      errors.set(item, error)
      if (error === null) added.push(pathIn(place, item.file))
    }
    const cleaning = failed.flatMap((item) => {
      const path = pathIn(place, item.file)
      return [CrtLists.del(place.list, path), Certificates.del(path)]
    })
    yield* runtime.exchange(cleaning, before(after(deadline)))
  }
  if (place.listFile !== null && added.length > 0) {
    yield* Effect.asVoid(CrtListFile.append(place.disk, place.listFile, added))
  }
  return items.map((item) => ({ file: item.file, error: errors.get(item) ?? null }))
})
