/** What HAProxy says of servers now, for the verbs that only look. Unreachable is an answer here, not an error. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { poolName, type PoolNumber } from "../domain/Pool.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import * as Stats from "../haproxy/StatCommands.ts"

/** Milliseconds that a look may take. */
const lookTime = 3_000

/** Rows of `show stat` by server name, or why there are none. */
export type Look =
  | { readonly _tag: "seen"; readonly rows: ReadonlyMap<string, Stats.StatRow> }
  | { readonly _tag: "unseen"; readonly reason: string }

/** The servers of a pool as HAProxy sees them. */
export const lookAt = Effect.fnUntraced(function*(pool: PoolNumber): Effect.fn.Return<Look, never, RuntimeApi> {
  const runtime = yield* RuntimeApi
  const answer = yield* Effect.result(runtime.exchange([Stats.show({ proxy: poolName(pool) })], { timeout: lookTime }))
  if (Result.isFailure(answer)) return { _tag: "unseen", reason: answer.failure.reason }
  const [verdict] = answer.success
  if (Result.isFailure(verdict)) return { _tag: "unseen", reason: verdict.failure.text }
  return { _tag: "seen", rows: new Map(verdict.success.map((row) => [row.server, row])) }
})
