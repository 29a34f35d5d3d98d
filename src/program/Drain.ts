/** The verb that waits until servers that take no new requests have finished the ones they have. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Conflict, type ControlError, HaproxyUnreachable, NotFound } from "../domain/Errors.ts"
import { poolName, type Server, slotName } from "../domain/Pool.ts"
import { Store } from "../store/Store.ts"
import * as Tracing from "../Tracing.ts"
import { Caller } from "./Caller.ts"
import * as Input from "./Input.ts"
import { Limits } from "./Limits.ts"
import { requireRoute } from "./Lookup.ts"
import { lookAt } from "./Observed.ts"
import { LongestCall, Operations } from "./Operations.ts"
import type { WaitDrainAnswer, WaitDrainInput } from "./ServerShapes.ts"
import type { ProgramServices } from "./Services.ts"

/** Milliseconds between two looks at the sessions. */
const lookEvery = 200
/** Looks that may fail in a row before HAProxy counts as unreachable. */
const patience = 25

/** The servers to wait for: the one named, or all that are in drain or maint. */
const drainTargets = Effect.fnUntraced(function*(input: WaitDrainInput) {
  const store = yield* Store
  const limits = yield* Limits
  const route = yield* requireRoute(store, "domain", yield* Input.existingName("domain", input.domain))
  const servers = yield* store.servers(route.pool)
  if (input.slot === undefined) {
    const leaving = servers.filter((server) => server.state !== "ready")
    if (leaving.length > 0) return { route, targets: leaving }
    return yield* new Conflict({
      message: servers.length === 0
        ? `${route.name} has no servers`
        : `No server of ${route.name} is in drain or maint: all go on taking requests`,
      hint: "Set a server to drain first, with haproxy_set_server_state.",
      field: "domain"
    })
  }
  const slot = yield* Input.slot(limits, input.slot, 1)
  const server = servers.find((one) => one.slot === slot)
  if (server === undefined) {
    return yield* new NotFound({
      message: `Slot ${slot} of ${poolName(route.pool)} is empty`,
      hint: servers.length === 0
        ? "The pool has no servers: nothing is left to wait for."
        : "Use one of the valid values.",
      field: "slot",
      validValues: servers.map((one) => String(one.slot))
    })
  }
  if (server.state === "ready") {
    return yield* new Conflict({
      message: `Slot ${slot} of ${poolName(route.pool)} is ready and goes on taking requests`,
      hint: "Set it to drain first, with haproxy_set_server_state.",
      field: "slot"
    })
  }
  return { route, targets: [server] }
})

/** What a wait has seen last; it outlives the call that began it. */
interface Sight {
  remaining: WaitDrainAnswer["remaining"]
  /** The caller is still there to hear of progress. */
  heard: boolean
}

const sessions = (remaining: WaitDrainAnswer["remaining"]): number =>
  remaining.reduce((sum, one) => sum + one.current_sessions, 0)

const left = (count: number): string => `${count} session${count === 1 ? " is" : "s are"} left`

/** Looks until the sessions are gone or the time is over. */
const watch = Effect.fnUntraced(function*(
  name: string,
  targets: ReadonlyArray<Server>,
  timeout: number,
  sight: Sight
) {
  const caller = yield* Caller
  const began = Date.now()
  const pool = targets[0]!.pool
  let failures = 0
  let most = 0
  for (;;) {
    const look = yield* lookAt(pool)
    const waited = Date.now() - began
    if (look._tag === "unseen") {
      if (++failures > patience || waited >= timeout) {
        return yield* new HaproxyUnreachable({
          message: `HAProxy cannot be asked: ${look.reason}`,
          hint: "The servers keep their state; wait again once HAProxy is back."
        })
      }
    } else {
      failures = 0
      const remaining = targets
        .map((server) => ({
          slot: server.slot as number,
          current_sessions: look.rows.get(slotName(pool, server.slot))?.currentSessions ?? 0
        }))
        .filter((one) => one.current_sessions > 0)
      sight.remaining = remaining
      const count = sessions(remaining)
      most = Math.max(most, count)
      if (sight.heard) yield* caller.progress(most - count, most, left(count))
      if (count === 0 || waited >= timeout) {
        const answer: WaitDrainAnswer = {
          summary: count === 0
            ? `${
              targets.length === 1 ? "The server" : `All ${targets.length} servers`
            } of ${name} drained after ${waited} ms`
            : `${left(count)} after ${Math.round(waited / 1000)} s`,
          domain: name,
          drained: count === 0,
          remaining,
          waited_ms: waited
        }
        return answer
      }
    }
    yield* Effect.sleep(Math.max(1, Math.min(lookEvery, timeout - (Date.now() - began))))
  }
})

/**
 * Waits until the servers have no sessions, at most `timeout` seconds (default 30, at most 3,600). Longer than a
 * call may last, it goes on as an operation and answers its id. Not drained at the end is an answer, no error.
 */
export const waitDrain = Tracing.fn("waitDrain")(function*(
  input: WaitDrainInput
): Effect.fn.Return<WaitDrainAnswer, ControlError, ProgramServices> {
  const timeout = (yield* Input.whole("timeout", input.timeout ?? 30, 1, 3_600)) * 1000
  const { route, targets } = yield* drainTargets(input)
  const services = yield* Effect.context<ProgramServices>()
  const sight: Sight = { remaining: [], heard: true }
  const work = watch(route.name, targets, timeout, sight).pipe(Effect.provideContext(services))
  const longestCall = yield* LongestCall
  if (timeout <= longestCall) return yield* work
  const operations = yield* Operations
  const id = yield* operations.start("haproxy_wait_drain", work)
  const first = yield* operations.follow(id, longestCall).pipe(
    Effect.ensuring(Effect.sync(() => {
      sight.heard = false
    }))
  )
  if (Option.isSome(first) && first.value.status === "done") return first.value.result as WaitDrainAnswer
  if (Option.isSome(first) && first.value.failure !== null) return yield* first.value.failure
  return {
    summary: `${left(sessions(sight.remaining))}; still draining: follow it with haproxy_operation`,
    domain: route.name,
    drained: false,
    remaining: sight.remaining,
    waited_ms: longestCall,
    operation_id: id
  }
})
