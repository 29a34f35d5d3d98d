/**
 * One certificate in HAProxy's memory: put there, replaced, taken away, without a connection noticing.
 *
 * Guarantees: a success was read back (SHA-1, chain length, in use); a refusal at any step leaves HAProxy and the
 * crt-list file as they were, as far as the caller gave what was there. A lost link says nothing about what HAProxy
 * did: the caller reads back and decides ({@link revert} works from any state in between). It needs one writer of
 * certificates: HAProxy has one transaction in the whole process. Not here: the PEM file (CertificateFiles.ts), which
 * is published in the middle by the caller's effect, and restored by the caller; proof by TLS (Handshake.ts).
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { CertificateFacts } from "../../domain/Certificate.ts"
import type { ConfigInvalid, FileFailure, HaproxyRefused } from "../../domain/Errors.ts"
import * as Tracing from "../../Tracing.ts"
import * as Certificates from "../CertificateCommands.ts"
import type { Command, Verdict } from "../Command.ts"
import * as CrtLists from "../CrtListCommands.ts"
import { LinkLost, type RuntimeApi } from "../RuntimeApi.ts"
import type { CertificateBundle } from "./Bundle.ts"
import * as CrtListFile from "./CrtListFile.ts"
import { after, before } from "./Deadline.ts"
import { pathIn, type Place } from "./Place.ts"
import { notAsSent, payloadOf, refusedStep } from "./Refusals.ts"

type Runtime = RuntimeApi["Service"]

export interface InstallOptions {
  /** Puts the PEM file in place, durably; run when HAProxy has read the new certificate and not yet taken it. */
  readonly publish: Effect.Effect<void, FileFailure>
  /** What the file held before: set again when something fails later. Null or left out: nothing. */
  readonly before?: CertificateBundle | null
  /** Told what HAProxy had under this path, before anything of it is changed; null: nothing. */
  readonly found?: (shown: Certificates.ShownCertificate | null) => void
  /** Milliseconds since 1970. */
  readonly deadline: number
}

/** What an install did. */
export interface InstalledInHaproxy {
  /** HAProxy had no certificate under this path. */
  readonly isNew: boolean
  /** SHA-1 of what HAProxy had before; null: nothing. */
  readonly replaced: string | null
}

/** What {@link install} fails with. */
export type InstallError = LinkLost | HaproxyRefused | ConfigInvalid | FileFailure

/** Sends the commands; answers their verdicts. */
const send = <const C extends ReadonlyArray<Command<unknown>>>(runtime: Runtime, commands: C, deadline: number) =>
  runtime.exchange(commands, before(deadline))

const must = <A>(file: string, verdict: Verdict<A>): Effect.Effect<A, HaproxyRefused> =>
  Result.isSuccess(verdict) ? Effect.succeed(verdict.success) : Effect.fail(refusedStep(file, verdict.failure.text))

const capabilitiesOf = Effect.fnUntraced(function*(runtime: Runtime) {
  const link = yield* runtime.link
  return link._tag === "Up" ? link.capabilities : yield* new LinkLost({ reason: link.reason, sent: false })
})

/** Why what HAProxy shows is not this certificate in use; null: it is. */
export const difference = (
  shown: Certificates.ShownCertificate | null,
  facts: Pick<CertificateFacts, "sha1" | "chain">
): string | null => {
  if (shown === null) return "there is no such certificate"
  if (shown.sha1 !== facts.sha1) return `its SHA-1 is ${shown.sha1 || "not there"}, not ${facts.sha1}`
  // With `issuers-chain-path` HAProxy completes a file that has no chain.
  if (facts.chain > 0 && shown.chain !== facts.chain) return `its chain has ${shown.chain}, not ${facts.chain}`
  return shown.status === "Used" ? null : "no list of certificates has it"
}

/** `set ssl cert` again, past a transaction of ours that was left open; else its refusal. */
const setPast = Effect.fnUntraced(function*(
  runtime: Runtime,
  place: Place,
  file: string,
  lines: ReadonlyArray<string>,
  refused: Verdict<void>,
  deadline: number
) {
  const left = Result.isFailure(refused) ? Certificates.otherTransaction(refused.failure.text) : null
  if (left === null || !left.startsWith(`${place.folder}/`)) return yield* must(file, refused)
  const again = [Certificates.abort(left), Certificates.set(pathIn(place, file), lines)] as const
  const [, second] = yield* send(runtime, again, deadline)
  yield* must(file, second)
})

/** Nothing was committed: the transaction goes, and with it the certificate if `new` made it. */
const forget = (runtime: Runtime, path: string, isNew: boolean, deadline: number) =>
  send(
    runtime,
    isNew ? [Certificates.abort(path), Certificates.del(path)] : [Certificates.abort(path)],
    after(deadline)
  )

/** Adds the certificate to the list of a file if it is not there; answers whether it was added. */
const enlist = Effect.fnUntraced(function*(runtime: Runtime, place: Place, file: string, deadline: number) {
  const path = pathIn(place, file)
  const [list] = yield* send(runtime, [CrtLists.show(place.list)], deadline)
  const entries = (yield* must(file, list)) ?? []
  if (entries.some(({ certificate }) => certificate === path)) return false
  const [verdict] = yield* send(runtime, [CrtLists.add(place.list, path)], deadline)
  return (yield* must(file, verdict)) === "added"
})

/** Read back: this certificate, in use. */
const mustBe = Effect.fnUntraced(
  function*(file: string, now: Verdict<Certificates.ShownCertificate | null>, { facts }: CertificateBundle) {
    const wrong = difference(yield* must(file, now), facts)
    if (wrong !== null) return yield* notAsSent(file, wrong)
  }
)

/**
 * Makes HAProxy serve the certificate from `file` of the folder: new, or in place of what it has under that path.
 * Everything before `publish` is undone when it fails. ConfigInvalid: it cannot be sent; nothing was touched.
 */
export const install = Tracing.fn("Install.install")(function*(
  runtime: Runtime,
  place: Place,
  file: string,
  bundle: CertificateBundle,
  options: InstallOptions
): Effect.fn.Return<InstalledInHaproxy, InstallError> {
  const { deadline, publish } = options
  const path = pathIn(place, file)
  const capabilities = yield* capabilitiesOf(runtime)
  const lines = payloadOf(path, file, bundle, capabilities)
  if (!("length" in lines)) return yield* lines
  // In one go: `new` of one that is there changes nothing.
  const [was, , made, set] = yield* send(
    runtime,
    [Certificates.show(path), Certificates.abort(path), Certificates.make(path), Certificates.set(path, lines)],
    deadline
  )
  const shown = Result.isSuccess(was) ? was.success : null
  // One that `new` made and nobody filled is as good as none, and goes when this install is undone.
  const known = shown?.status === "Empty" ? null : shown
  const isNew = Result.isSuccess(was) ? known === null : Result.isSuccess(made) && made.success === "made"
  if (Result.isSuccess(was)) options.found?.(shown)
  yield* Effect.gen(function*() {
    yield* must(file, was)
    if (isNew) yield* must(file, made)
    if (Result.isFailure(set)) yield* setPast(runtime, place, file, lines, set, deadline)
    yield* publish
  }).pipe(
    Effect.tapError((error) => error instanceof LinkLost ? Effect.void : forget(runtime, path, isNew, deadline))
  )

  let added = known?.status !== "Used"
  let takeBack: CrtListFile.TakeBack = Effect.void
  yield* Effect.gen(function*() {
    const commit = Certificates.commit(path)
    const show = Certificates.show(path)
    // A folder takes it once, and no list takes one that is empty because its commit was refused. A list of a file
    // would take twice what it may have: that is looked at first.
    if (place.listFile === null || known === null) {
      const [committed, listed, now] = yield* send(runtime, [commit, CrtLists.add(place.list, path), show], deadline)
      added = added || (Result.isSuccess(listed) && listed.success === "added")
      yield* must(file, committed)
      yield* must(file, listed)
      if (place.listFile !== null) takeBack = yield* CrtListFile.append(place.disk, place.listFile, [path])
      return yield* mustBe(file, now, bundle)
    }
    const [committed] = yield* send(runtime, [commit], deadline)
    yield* must(file, committed)
    added = (yield* enlist(runtime, place, file, deadline)) || added
    takeBack = yield* CrtListFile.append(place.disk, place.listFile, [path])
    const [now] = yield* send(runtime, [show], deadline)
    yield* mustBe(file, now, bundle)
  }).pipe(
    Effect.tapError((error) =>
      error instanceof LinkLost ? Effect.void : Effect.gen(function*() {
        yield* takeBack
        const [, now] = yield* send(
          runtime,
          [
            Certificates.abort(path),
            Certificates.show(path),
            ...(added ? [CrtLists.del(place.list, path)] : []),
            ...(known === null ? [Certificates.del(path)] : [])
          ],
          after(deadline)
        )
        // A commit whose answer was not understood may have been one.
        const isChanged = known !== null && !(Result.isSuccess(now) && now.success?.sha1 === known.sha1)
        if (isChanged && options.before != null) yield* setOld(runtime, place, file, options.before, deadline)
      })
    )
  )
  return { isNew: known === null, replaced: known?.sha1 ?? null }
})

/** Sets and commits what was there before. */
const setOld = Effect.fnUntraced(function*(
  runtime: Runtime,
  place: Place,
  file: string,
  bundle: CertificateBundle,
  deadline: number
) {
  const path = pathIn(place, file)
  const lines = payloadOf(path, file, bundle, yield* capabilitiesOf(runtime))
  if (!("length" in lines)) return yield* lines
  const commands = [
    Certificates.abort(path),
    Certificates.set(path, lines),
    Certificates.commit(path),
    Certificates.show(path)
  ] as const
  const [, set, committed, shown] = yield* send(runtime, commands, after(deadline))
  yield* must(file, set)
  yield* must(file, committed)
  const now = yield* must(file, shown)
  if (now?.sha1 !== bundle.facts.sha1) return yield* notAsSent(file, "the one of before is not back")
})

/**
 * Takes an install (or an uninstall) back, whatever came of it: `before` is what HAProxy served from this file, null:
 * nothing. For a handshake that failed, and for a link that was lost on the way.
 */
export const revert = Tracing.fn("Install.revert")(function*(
  runtime: Runtime,
  place: Place,
  file: string,
  before: CertificateBundle | null,
  deadline: number
): Effect.fn.Return<void, InstallError> {
  if (before === null) yield* uninstall(runtime, place, file, deadline)
  else yield* install(runtime, place, file, before, { publish: Effect.void, deadline })
})

/**
 * Takes a certificate from every line of our list and from HAProxy's memory; answers whether there was anything. The
 * default certificate of a bind without `strict-sni` is refused, with nothing changed. After an answer that was not
 * understood the certificate itself may be gone: its lines are put back here, and {@link revert} with its bundle brings
 * back the rest.
 */
export const uninstall = Tracing.fn("Install.uninstall")(function*(
  runtime: Runtime,
  place: Place,
  file: string,
  deadline: number
): Effect.fn.Return<boolean, LinkLost | HaproxyRefused | FileFailure> {
  const path = pathIn(place, file)
  const [was, , list] = yield* send(
    runtime,
    [Certificates.show(path), Certificates.abort(path), CrtLists.show(place.list)],
    deadline
  )
  const known = yield* must(file, was)
  const entries = ((yield* must(file, list)) ?? []).filter(({ certificate }) => certificate === path)
  // The file first: a HAProxy that starts in between must not look for a certificate that is about to go.
  const takeBack = place.listFile === null ? Effect.void : yield* CrtListFile.remove(place.disk, place.listFile, path)
  const gone: Array<CrtLists.CrtListEntry> = []
  yield* Effect.gen(function*() {
    for (const entry of entries) {
      const line = entries.length === 1 ? undefined : entry.line
      // Before the answer: what is not understood may have been done.
      gone.push(entry)
      const [verdict] = yield* send(runtime, [CrtLists.del(place.list, path, line)], deadline)
      yield* must(file, verdict)
    }
    if (known === null) return
    const [verdict, left] = yield* send(runtime, [Certificates.del(path), Certificates.show(path)], deadline)
    yield* must(file, verdict)
    if ((yield* must(file, left)) !== null) return yield* notAsSent(file, "it is still there")
  }).pipe(
    Effect.tapError((error) =>
      Effect.andThen(takeBack, error instanceof LinkLost ? Effect.void : putBack(runtime, place, path, gone, deadline))
    )
  )
  return known !== null || entries.length > 0
})

/** Adds the lines that are missing now. */
const putBack = Effect.fnUntraced(function*(
  runtime: Runtime,
  place: Place,
  path: string,
  lines: ReadonlyArray<CrtLists.CrtListEntry>,
  deadline: number
) {
  if (lines.length === 0) return
  const [list] = yield* send(runtime, [CrtLists.show(place.list)], after(deadline))
  const there = Result.isSuccess(list) ? list.success ?? [] : []
  const missing = lines.filter(({ rest }) => !there.some((one) => one.certificate === path && one.rest === rest))
  yield* send(runtime, missing.map(({ rest }) => CrtLists.add(place.list, path, rest)), after(deadline))
})
