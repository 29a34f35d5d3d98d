/**
 * What goes on by itself around certificates: HAProxy kept at the folder, renewals, the numbers of /metrics. One thing
 * for the layer to make and to run; changes tell it what they did.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Semaphore from "effect/Semaphore"
import type { FileFailure } from "../../domain/Errors.ts"
import type { CertificatesState } from "./Certificates.ts"
import * as Folder from "./Folder.ts"
import * as Metrics from "./Metrics.ts"
import * as Overview from "./Overview.ts"
import type { CertificatePlane } from "./Plane.ts"
import * as Renewal from "./Renewal.ts"
import * as Restorer from "./Restorer.ts"
import { recover } from "./Rows.ts"

export interface UpkeepOptions {
  readonly plane: CertificatePlane
  /** This process only reads: what the last stop left open stays open. */
  readonly isReader?: boolean
  /** Of all changes of certificates. */
  readonly permit: Semaphore.Semaphore
  /** See Renewal.ts. */
  readonly issue: Renewal.RenewalOptions["issue"]
  /** Runs under the permit after every comparison that came to its end. */
  readonly compared: (state: CertificatesState) => Effect.Effect<void>
  /** Milliseconds between comparisons that nothing asked for. */
  readonly compareEvery?: number
  /** Milliseconds from the start to the first renewal by itself. Default: {@link settled}. */
  readonly renewAfter?: number
}

/** A command of a few seconds that opens the database itself must not begin what it would break off. Milliseconds. */
const settled = 30_000

export interface Upkeep {
  readonly folder: Folder.Folder
  readonly restorer: Restorer.Restorer
  readonly renewals: Renewal.Renewals
  /** Rows have changed: numbers are counted anew, and the next renewal is reckoned anew. */
  readonly changed: Effect.Effect<void>
  /** Begins to work, for as long as the scope lives. */
  readonly start: Effect.Effect<void, never, Scope.Scope>
}

/** Ends the issues that the last stop left open; the rest begins with {@link Upkeep.start}. */
export const make = Effect.fnUntraced(
  function*(options: UpkeepOptions): Effect.fn.Return<Upkeep, FileFailure, Scope.Scope> {
    const { compareEvery, compared, issue, permit, plane, renewAfter = settled } = options
    if (options.isReader !== true) yield* recover(plane)
    const folder = Folder.make(plane.files, plane.store.certificates)
    const overview = Overview.make(plane.store, folder)
    const restorer = Restorer.make({
      plane,
      folder,
      permit,
      compared: (state) => Effect.andThen(compared(state), changed),
      ...(compareEvery === undefined ? {} : { every: compareEvery })
    })
    const renewals = Renewal.make({
      plane,
      issue,
      ready: Effect.map(restorer.state, ({ status }) => status === "ok" || status === "degraded"),
      noted: overview.changed
    })
    const changed = Effect.andThen(overview.changed, renewals.wake)
    yield* Metrics.watch({
      numbers: (now) => Overview.numbersOf(overview.all(), now, renewals.momentOf),
      loaded: restorer.loaded
    })
    return {
      folder,
      restorer,
      renewals,
      changed,
      start: Effect.gen(function*() {
        yield* Effect.forkScoped(restorer.run)
        yield* Effect.forkScoped(overview.run)
        yield* Effect.forkScoped(Effect.andThen(Effect.sleep(renewAfter), renewals.run))
      })
    }
  }
)
