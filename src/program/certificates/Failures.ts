/** What a row keeps of an attempt that failed: why, how often, and when it is tried again. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { ControlError } from "../../domain/Errors.ts"
import type { Store } from "../../store/Store.ts"
import { retryAt } from "./RenewalPlan.ts"

/** Characters of an error that are kept. */
const longestError = 300

/** One line of an error, as a row keeps it. */
export const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim().slice(0, longestError)

/** Notes it in the row, if there is one; what cannot be noted is logged. */
export const noteFailure = Effect.fnUntraced(function*(store: Store["Service"], name: string, error: ControlError) {
  const now = yield* Clock.currentTimeMillis
  const random = yield* Random.next
  yield* store.commit(Effect.gen(function*() {
    const row = yield* store.certificate(name)
    if (row === null || row.state === "issuing") return
    const failures = row.failures + 1
    yield* store.putCertificate({
      ...row,
      failures,
      lastError: oneLine(error.message),
      nextAttempt: retryAt(row.facts, failures, now, random)
    })
  })).pipe(Effect.catchCause((cause) => Effect.logWarning(`The failed renewal of ${name} could not be noted`, cause)))
})
