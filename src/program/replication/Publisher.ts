/**
 * Brings what is committed to the remote host, and says whether this process may still write: the program's side of a
 * database whose durable home is elsewhere (remote/RemoteSync.ts does the work there, Publication.ts makes this service).
 *
 * Guarantees, in strict mode: `published` answers only when everything that was committed before the call is durable there;
 * `mayWrite` answers only when, at that moment, nobody else has written there. Without a remote both answer at once.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Fenced, RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"

/** `off`: there is no remote. `strict`: acknowledged means durable there. `async`: it follows soon; every answer says so. */
export type PublishMode = "off" | "strict" | "async"

/** What became of a wait for the remote: all is there; it follows (async); or nobody knows at the deadline, and why. */
export type Publication =
  | { readonly _tag: "Durable" }
  | { readonly _tag: "Behind" }
  | { readonly _tag: "Unknown"; readonly reason: string }

/** How the copy there stands. */
export interface ReplicationStatus {
  readonly mode: PublishMode
  /** `writer`: this process writes there. `reader`: it may not, see `refusal`. */
  readonly role: "writer" | "reader"
  /** Number of the newest generation that is known here; null before the first. */
  readonly generation: number | null
  /** Commits that are not durable there yet. */
  readonly lag: number
  /** Milliseconds since 1970 of the last one that became durable. */
  readonly publishedAt: number | null
  /** Why it does not get on; the empty text when it does. */
  readonly reason: string
}

/** See the module's head. */
export interface PublisherShape {
  readonly mode: PublishMode
  /** Why this process writes nothing and touches nothing of HAProxy, for as long as it lives; null when it may. */
  readonly refusal: Effect.Effect<Fenced | RemoteUnreachable | null>
  /** It has not claimed the writing (yet), so another control plane may be at work: nothing is compared without a write. */
  readonly isGuest: Effect.Effect<boolean>
  /**
   * Asks the remote, in one round trip, whether this process is still the one that writes; the first time it makes sure of
   * that by a generation of its own. `deadline`: ms since 1970.
   */
  readonly mayWrite: (deadline: number) => Effect.Effect<void, Fenced | RemoteUnreachable | StorageFailed>
  /**
   * Runs work that commits what may be taken back: nothing of it leaves for the remote before it has ended, and it begins
   * only once everything before it is on its way. So a generation holds verdicts, never what is still to be decided: who
   * takes over must not find a change whose caller is told later that nothing happened.
   */
  readonly deciding: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Waits until all that is committed now is durable there, at most to `deadline`. */
  readonly published: (deadline: number) => Effect.Effect<Publication>
  /** Runs something once all that is committed now is durable there, whenever that is; never, when that never is. */
  readonly afterwards: (work: Effect.Effect<void>) => Effect.Effect<void>
  readonly status: Effect.Effect<ReplicationStatus>
}

/** There is no remote: the database of this machine is the only one. */
export const off: PublisherShape = {
  mode: "off",
  refusal: Effect.succeed(null),
  isGuest: Effect.succeed(false),
  mayWrite: () => Effect.void,
  deciding: (work) => work,
  published: () => Effect.succeed({ _tag: "Durable" }),
  afterwards: (work) => work,
  status: Effect.succeed({ mode: "off", role: "writer", generation: null, lag: 0, publishedAt: null, reason: "" })
}

/** One that only reads, for as long as the control plane lives. */
export const reader = (mode: PublishMode, refusal: Fenced | RemoteUnreachable): PublisherShape => ({
  mode,
  refusal: Effect.succeed(refusal),
  isGuest: Effect.succeed(false),
  mayWrite: () => Effect.fail(refusal),
  deciding: (work) => work,
  published: () => Effect.succeed({ _tag: "Durable" }),
  afterwards: () => Effect.void,
  status: Effect.succeed({
    mode,
    role: "reader",
    generation: null,
    lag: 0,
    publishedAt: null,
    reason: refusal.message
  })
})

/** Of the control plane that is being built; {@link off} unless one is provided. */
export const Publisher = Context.Reference<PublisherShape>("haproxy-mcp/program/Publisher", { defaultValue: () => off })
