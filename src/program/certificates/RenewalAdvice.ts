/**
 * What the CA says about the time to renew (RFC 9773), asked for certificate by certificate and kept in memory.
 *
 * Guarantees: one question at a time; about the same certificate as seldom as the CA's Retry-After and `askEvery`
 * allow; after a start the questions are spread, so that 10,000 certificates are no storm. A CA that says nothing, or is
 * down, leaves the row's own time in force.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Certificate } from "../../domain/Certificate.ts"
import type { CertificatePlane } from "./Plane.ts"
import { askEvery, spot, type Window } from "./RenewalPlan.ts"

export interface Advice {
  /** What the CA said last about exactly this certificate. */
  readonly window: (certificate: Certificate) => Window | null
  /** Asks, for as long as it runs. `changed` is run when an answer is another one than before. */
  readonly run: (changed: Effect.Effect<void>) => Effect.Effect<never>
}

/** Between two looks at whose turn it is, milliseconds: the shortest, and the longest (clocks jump, rows come). */
const shortestWait = 60_000
const longestWait = 3_600_000
/** After a start each certificate adds so much to the time over which the first questions are spread, milliseconds. */
const firstSpread = 2_000

interface Known {
  readonly sha256: string
  readonly window: Window | null
  askAt: number
}

export const make = (plane: Pick<CertificatePlane, "store" | "files" | "acme">): Advice => {
  const known = new Map<string, Known>()

  const ask = Effect.fnUntraced(function*({ facts, name }: Certificate, askAgainAt: (after: number) => number) {
    const bundle = yield* Effect.orElseSucceed(plane.files.read(name), () => null)
    // The file of another certificate: the next comparison brings the row to it.
    const window = bundle?.facts.sha256 === facts.sha256 ? yield* plane.acme.renewalWindow(bundle.chainText) : null
    const before = known.get(name)?.window ?? null
    known.set(name, { sha256: facts.sha256, window, askAt: askAgainAt(window?.askAgain ?? 0) })
    return before?.start !== window?.start || before?.end !== window?.end
  })

  /** Asks those whose turn it is; answers how long until the next one's. */
  const round = Effect.fnUntraced(function*(changed: Effect.Effect<void>) {
    const rows = (yield* plane.store.certificates).filter(({ source, state }) =>
      source === "acme" && state === "active"
    )
    const names = new Set(rows.map(({ name }) => name))
    for (const name of known.keys()) if (!names.has(name)) known.delete(name)
    const begun = yield* Clock.currentTimeMillis
    for (const { facts, name } of rows) {
      const before = known.get(name)
      const every = askEvery(facts, 0)
      if (before?.sha256 === facts.sha256 && before.askAt - begun <= 2 * Math.max(every, longestWait * 24)) continue
      const spread = Math.min(every, rows.length * firstSpread)
      known.set(name, { sha256: facts.sha256, window: null, askAt: begun + spot(facts.sha256) * spread })
    }
    let next = begun + longestWait
    for (const row of rows) {
      const now = yield* Clock.currentTimeMillis
      const { askAt } = known.get(row.name)!
      if (askAt <= now && (yield* ask(row, (after) => now + askEvery(row.facts, after)))) yield* changed
      next = Math.min(next, known.get(row.name)!.askAt)
    }
    return Math.max(shortestWait, next - (yield* Clock.currentTimeMillis))
  })

  return {
    window: ({ facts, name }) => {
      const about = known.get(name)
      return about?.sha256 === facts.sha256 ? about.window : null
    },
    run: (changed) =>
      Effect.forever(Effect.flatMap(
        round(changed).pipe(Effect.catchCause((cause) =>
          Effect.as(Effect.logWarning("The CA could not be asked for renewal information", cause), longestWait)
        )),
        (wait) =>
          Effect.sleep(Math.min(wait, longestWait))
      ))
  }
}
