/**
 * One read for everybody who waits for it. Reading all backends of a large HAProxy costs a tenth of a second on the one
 * connection that writes use too; 64 clients that ask at once must not make it 64 of them.
 *
 * Guarantees: one read of a kind at a time per HAProxy; nobody gets an answer whose reading began before they asked,
 * so a client that has just changed something sees it; one that goes away takes no one's answer with it. Nothing is
 * kept once nobody waits.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** Reads of one kind. */
class Slot {
  readonly turn = Semaphore.makeUnsafe(1)
  waiting = 0
  /** The last answer, and how many had asked when its reading began. */
  latest: { readonly covers: number; readonly value: unknown } | null = null
  asked = 0
}

const slots = new WeakMap<object, Map<string, Slot>>()

const slotOf = (owner: object, kind: string): Slot => {
  let kinds = slots.get(owner)
  if (kinds === undefined) slots.set(owner, kinds = new Map())
  let slot = kinds.get(kind)
  if (slot === undefined) kinds.set(kind, slot = new Slot())
  return slot
}

/** A read of this kind from this owner (a HAProxy's link), shared with those who wait for the same. */
export const shared = <A, E, R>(owner: object, kind: string, read: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const slot = slotOf(owner, kind)
    const mine = ++slot.asked
    slot.waiting++
    const take = Effect.suspend((): Effect.Effect<A, E, R> => {
      if (slot.latest !== null && slot.latest.covers >= mine) return Effect.succeed(slot.latest.value as A)
      const covers = slot.asked
      return Effect.tap(read, (value) => Effect.sync(() => void (slot.latest = { covers, value })))
    })
    return Effect.ensuring(
      slot.turn.withPermit(take),
      Effect.sync(() => {
        if (--slot.waiting === 0) slot.latest = null
      })
    )
  })
