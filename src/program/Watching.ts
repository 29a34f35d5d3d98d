/**
 * Tells when what somebody looks at has changed: status, domains, pools, revisions.
 *
 * Guarantees: what was committed and settled through this process is told, at most once in {@link window} for each subject,
 * and the last change always is (the notice comes after it). While a notice is being delivered nothing is queued but the set of
 * what changed since, which is bounded. A notice may come for nothing; it says "look again" and no more. Of status, what the
 * actor knows is looked at, too: HAProxy gone or back, in sync or not, readiness.
 * Not told: what only HAProxy knows (a check that fails, sessions), foreign entries, certificates whose file somebody
 * replaced before the folder is compared.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { parsePoolName } from "../domain/Pool.ts"
import type { RouteName } from "../domain/RouteName.ts"
import { Store } from "../store/Store.ts"
import { notReadyReason } from "./Health.ts"
import { PoolAllocator } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

/** Milliseconds in which notices of one subject become one. */
export const window = 300
/** Milliseconds between two looks at what the actor knows, while somebody watches the status. */
const lookEvery = 500
/** Keys that are kept apart while a notice is on its way; beyond that, all may have changed. */
const mostKeys = 10_000

/** What can be watched. */
export type Subject =
  | { readonly of: "status" }
  | { readonly of: "domain"; readonly name: RouteName }
  | { readonly of: "pool"; readonly name: string }
  | { readonly of: "revision"; readonly revision: number }

/** What changed since the last notice. */
class Pending {
  all = false
  status = false
  readonly keys = new Set<string>()
  readonly revisions = new Set<number>()

  add(keys: ReadonlySet<string> | null, revision: number): void {
    this.status = true
    if (keys === null || this.keys.size + keys.size > mostKeys || this.revisions.size >= mostKeys) this.all = true
    if (this.all) return
    this.revisions.add(revision)
    for (const key of keys!) this.keys.add(key)
  }

  /** Has the subject changed, as far as is known? A domain also changes with the servers of its pool. */
  touches(subject: Subject): boolean {
    switch (subject.of) {
      case "status":
        return this.status
      case "domain":
        return this.all || this.keys.has(`route:${subject.name}`)
      case "pool":
        return this.all || ["pool", "member"].some((what) => this.keys.has(`${what}:${parsePoolName(subject.name)}`))
      case "revision":
        return this.all || this.revisions.has(subject.revision)
    }
  }

  /** Servers or the owner of some pool changed. */
  get pools(): boolean {
    for (const key of this.keys) if (key.startsWith("pool:")) return true
    return false
  }
}

/**
 * Watches until it is interrupted. `begun` runs once: what changes from then on is told. `told` gets the places of the
 * subjects that changed; what changes while it runs is told after it.
 */
export const watch = (
  subjects: ReadonlyArray<Subject>,
  told: (places: ReadonlyArray<number>) => Effect.Effect<void>,
  begun: Effect.Effect<void>
): Effect.Effect<void, never, ProgramServices> =>
  Effect.scoped(Effect.gen(function*() {
    const store = yield* Store
    const allocator = yield* PoolAllocator
    const wake = yield* Queue.sliding<void>(1)
    let pending = new Pending()
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        store.watch(({ keys, revision }) => {
          pending.add(keys, revision)
          Queue.offerUnsafe(wake, undefined)
        })
      ),
      (stop) => Effect.sync(stop)
    )

    if (subjects.some(({ of }) => of === "status")) {
      const look = Effect.gen(function*() {
        const { inSync, problems, reason } = yield* allocator.sync
        return JSON.stringify([inSync, reason, problems, yield* notReadyReason])
      })
      let seen = yield* look
      yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
        yield* Effect.sleep(lookEvery)
        const now = yield* look
        if (now === seen) return
        seen = now
        pending.status = true
        Queue.offerUnsafe(wake, undefined)
      })))
    }

    yield* begun

    const touched = Effect.fnUntraced(function*(changed: Pending, subject: Subject) {
      if (changed.touches(subject)) return true
      if (subject.of !== "domain" || !changed.pools) return false
      // Not known now: then it is better to look once too often.
      const route = yield* Effect.orElseSucceed(store.route(subject.name), () => undefined)
      return route === undefined || (route !== null && changed.keys.has(`pool:${route.pool}`))
    })

    return yield* Effect.forever(Effect.gen(function*() {
      yield* Queue.take(wake)
      yield* Effect.sleep(window)
      const changed = pending
      pending = new Pending()
      const places: Array<number> = []
      for (const [place, subject] of subjects.entries()) if (yield* touched(changed, subject)) places.push(place)
      if (places.length > 0) yield* told(places)
    }))
  }))
