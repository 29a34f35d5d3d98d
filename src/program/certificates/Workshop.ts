/** What changes of certificates share: their means, the way to HAProxy's place for them, and how they fail. */
import * as Effect from "effect/Effect"
import type { CertificateFacts } from "../../domain/Certificate.ts"
import {
  ConfigInvalid,
  type ControlError,
  type FileFailure,
  HaproxyRefused,
  HaproxyUnreachable,
  OutcomeUnknown
} from "../../domain/Errors.ts"
import type { CertificateBundle } from "../../haproxy/certificates/Bundle.ts"
import { findPlace, type FoundPlace, type NoPlace, type Place } from "../../haproxy/certificates/Place.ts"
import type { LinkLost } from "../../haproxy/RuntimeApi.ts"
import type { KnownFiles } from "./Folder.ts"
import type { Ledger } from "./Ledger.ts"
import type { CertificatePlane } from "./Plane.ts"
import type { Prove } from "./Proof.ts"

/** One control plane's means. */
export interface Workshop {
  readonly plane: CertificatePlane
  readonly ledger: Ledger
  readonly prove: Prove
  /** The folder as it is now. */
  readonly look: Effect.Effect<KnownFiles, FileFailure>
  /** HAProxy serves this now under a name; null: nothing. */
  readonly serves: (name: string, sha1: string | null) => void
  /** HAProxy may not hold what the folder holds: compare. */
  readonly doubt: Effect.Effect<void>
  /** The process is going away. */
  readonly closing: () => boolean
}

/** Between two looks whether HAProxy is back, milliseconds. */
const pause = 20
/** How long a begun change still waits for HAProxy once the process is going away, milliseconds. */
const closingTime = 1_000
/** How long the commands of a lost connection may still run, milliseconds (see RuntimeApi.quiesced). */
const quiesceTime = 1_000

/** What is known when HAProxy was not there until the deadline. `sent`: it may have run something. */
export interface Gone {
  readonly _tag: "Gone"
  readonly sent: boolean
  readonly reason: string
}

/**
 * Repeats an attempt until it ends with something else than a lost link, at most to the deadline. It looks anew each
 * time: what a lost connection left is what the attempt finds.
 */
export const untilHeard = Effect.fnUntraced(function*<A, E>(
  { closing, plane: { runtime } }: Pick<Workshop, "closing" | "plane">,
  latest: number,
  attempt: Effect.Effect<A, E | LinkLost>
): Effect.fn.Return<A | Gone, Exclude<E, LinkLost>> {
  let deadline = latest
  let sent = false
  for (;;) {
    const result = yield* attempt.pipe(
      Effect.catchIf(
        (error): error is Extract<E | LinkLost, LinkLost> => (error as { readonly _tag?: string })._tag === "LinkLost",
        ({ reason, sent }) => Effect.succeed<Gone>({ _tag: "Gone", sent, reason })
      )
    ) as Effect.Effect<A | Gone, Exclude<E, LinkLost>>
    if (!isGone(result)) return result
    sent ||= result.sent
    if (closing()) deadline = Math.min(deadline, Date.now() + closingTime)
    do {
      if (Date.now() + pause >= deadline) return { ...result, sent }
      yield* Effect.sleep(pause)
    } while ((yield* runtime.link)._tag === "Down")
    if (result.sent) {
      yield* Effect.result(runtime.quiesced(Math.min(quiesceTime, Math.max(1, deadline - Date.now()))))
    }
  }
})

export const isGone = (value: unknown): value is Gone =>
  typeof value === "object" && value !== null && (value as { readonly _tag?: string })._tag === "Gone"

/** HAProxy never heard of it. */
export const unreachable = (reason: string): HaproxyUnreachable =>
  new HaproxyUnreachable({
    message: `HAProxy cannot be reached: ${reason}`,
    hint: "Nothing was changed. Check that HAProxy runs and that its Runtime API socket is the configured one."
  })

/** HAProxy loads nothing from our folder, or does not say. */
export const noPlace = ({ hint, kind, reason }: NoPlace): ConfigInvalid | HaproxyRefused =>
  kind === "refused" ?
    new HaproxyRefused({ message: reason, hint: `Nothing was changed. ${hint}` }) :
    new ConfigInvalid({
      message: `HAProxy has no place for certificates: ${reason}`,
      hint: `Nothing was changed. ${hint}`
    })

export const outcomeUnknown = (message: string, changeId: string): OutcomeUnknown =>
  new OutcomeUnknown({
    message,
    hint: "Ask haproxy_operation with the change_id what became of it; the same call may be repeated.",
    changeId
  })

/** The place of one connection: a worker has the lists of its start for good, and another worker is another connection. */
const places = new WeakMap<CertificatePlane, { readonly connection: number; readonly found: FoundPlace }>()

const findOnce = Effect.fnUntraced(function*(
  { plane }: Workshop,
  deadline: number
): Effect.fn.Return<FoundPlace, LinkLost> {
  const link = yield* plane.runtime.link
  const known = places.get(plane)
  if (known !== undefined && link._tag === "Up" && link.connection === known.connection) return known.found
  const found = yield* findPlace(plane.runtime, plane.place, deadline)
  const now = yield* plane.runtime.link
  // Under which path a list of a file knows the folder depends on its lines, which may change.
  if (
    found._tag === "Place" && found.place.listFile === null && link._tag === "Up" && now._tag === "Up"
    && now.connection === link.connection
  ) {
    places.set(plane, { connection: link.connection, found })
  }
  return found
})

/** Where certificates go in HAProxy, waiting for it until the deadline. */
export const findPlaceBy = (shop: Workshop, deadline: number): Effect.Effect<FoundPlace | Gone> =>
  untilHeard(shop, deadline, findOnce(shop, deadline))

/** The same, or why a change cannot be made. */
export const requirePlace = Effect.fnUntraced(function*(
  shop: Workshop,
  deadline: number
): Effect.fn.Return<Place, ControlError> {
  const found = yield* findPlaceBy(shop, deadline)
  if (found._tag === "Gone") return yield* unreachable(found.reason)
  return found._tag === "Place" ? found.place : yield* noPlace(found)
})

/** What the file of a name holds; null: there is none, or nothing that could be brought back. */
export const readOld = (
  { plane: { files } }: Workshop,
  name: string
): Effect.Effect<CertificateBundle | null, FileFailure> =>
  Effect.catchTag(files.read(name), "InvalidInput", () => Effect.succeed(null))

/** The certificate's file that has these contents, in words for a message. */
export const ownerOf = Effect.fnUntraced(function*(shop: Workshop, sha256: string) {
  const known = yield* Effect.orElseSucceed(shop.look, (): KnownFiles => new Map())
  for (const { facts, file } of known.values()) if (facts?.sha256 === sha256) return file.file
  return null
})

/** Is it the same certificate with the same chain? */
export const isSame = (
  a: Pick<CertificateFacts, "sha256" | "chain"> | undefined,
  b: Pick<CertificateFacts, "sha256" | "chain">
): boolean => a !== undefined && a.sha256 === b.sha256 && a.chain === b.chain
