/**
 * What a lost connection may have left behind: commands that stand in HAProxy's buffers and are run later than the
 * look that follows (a HAProxy that was paused, with threads that wake at different times). A comparison first waits
 * until they have ended; where that cannot be seen, further comparisons follow, so that none of their effects stays.
 */
import * as Effect from "effect/Effect"
import type { RuntimeApi } from "../haproxy/RuntimeApi.ts"

/** How long the first comparison after a loss waits for the end of them, milliseconds. */
const longWait = 1_000
/** The same for the comparisons that follow it. */
const shortWait = 50
/** Where the end of them is not seen, milliseconds until each further comparison; after the last one it is enough. */
const pauses = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000]

export const make = (runtime: RuntimeApi["Service"]) => {
  let known = { loss: 0, looks: 0 }
  return {
    /** There was a loss that no comparison has followed yet. */
    isNew: Effect.map(runtime.doubt, (loss) => loss !== 0 && loss !== known.loss),
    /** Waits for the end of them, a bounded time. */
    settle: Effect.gen(function*() {
      const loss = yield* runtime.doubt
      if (loss === 0) return
      if (known.loss !== loss) known = { loss, looks: 0 }
      yield* Effect.result(runtime.quiesced(known.looks === 0 ? longWait : shortWait))
    }),
    /** Milliseconds after which to compare again; null when that is not needed, or not any more. */
    nextLook: Effect.map(runtime.doubt, (loss) => loss === 0 ? null : pauses[known.looks++] ?? null)
  }
}
