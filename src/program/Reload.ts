/**
 * A reload that somebody asked for, as a protocol: check, tell, see the new worker, compare.
 *
 * A configuration that HAProxy itself refuses never reaches the running one. While HAProxy is told, no write is made,
 * so that the new worker reads files which hold all that was acknowledged. A success means that a new worker answers
 * and was compared with the desired state. Whatever fails on the way, the old worker goes on serving.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { ConfigInvalid, type ControlError, OutcomeUnknown, TimedOut } from "../domain/Errors.ts"
import { type CheckMessage, HostControl } from "../haproxy/HostControl.ts"
import { type Epoch, RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { Caller } from "./Caller.ts"
import type { ReloadAnswer, WorkerItem } from "./ConfigurationShapes.ts"
import { endOfDryRun, makePlan } from "./DryRun.ts"
import * as Metrics from "./Metrics.ts"
import { LongestCall } from "./Operations.ts"
import { PoolAllocator } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

/** Milliseconds that writes are held for a new worker after HAProxy was told; then it is waited for beside them. */
const holdWrites = 5_000
/** With less time left HAProxy is not told any more. */
const leastTime = 500
/** Warnings of an answer. */
const mostWarnings = 10

const workerItem = ({ pid, startTime, version }: Epoch): WorkerItem => ({
  pid,
  started_at: new Date(startTime * 1000).toISOString(),
  version
})

const place = ({ file, line, text }: CheckMessage): string =>
  file === null || text.includes(`${file}:`) ? text : `${file}${line === null ? "" : `:${line}`}: ${text}`

const warningsIn = (messages: ReadonlyArray<CheckMessage>): ReadonlyArray<string> =>
  messages.filter(({ level }) => level !== "notice").map(place)

/** Waits for a worker other than `before`, at most so long. */
const another = Effect.fnUntraced(function*(before: Epoch | null, timeout: number) {
  const runtime = yield* RuntimeApi
  const fresh = runtime.links.pipe(
    Stream.filter((link) =>
      link._tag === "Up" && (before === null || link.epoch.pid !== before.pid
        || link.epoch.startTime !== before.startTime)
    ),
    Stream.runHead,
    Effect.timeoutOption(Math.max(0, timeout))
  )
  const link = Option.getOrNull(Option.flatten(yield* fresh))
  return link?._tag === "Up" ? link.epoch : null
})

/** Lets HAProxy read its configuration again. */
export const reload: Effect.Effect<ReloadAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const host = yield* HostControl
  const runtime = yield* RuntimeApi
  const allocator = yield* PoolAllocator
  const caller = yield* Caller
  const began = Date.now()
  const deadline = began + (yield* LongestCall)
  const left = () => deadline - Date.now()

  const way = yield* host.way
  const checked = yield* host.check(left())
  const alerts = checked.messages.filter(({ level }) => level === "alert")
  if (!checked.valid) {
    return yield* new ConfigInvalid({
      message: `HAProxy refuses its configuration: ${alerts.slice(0, 3).map(place).join("; ")}`,
      hint: "HAProxy was not told to reload and goes on as it is. haproxy_check_config lists all that is wrong."
    })
  }
  yield* caller.progress(1, 3, "The configuration is valid")
  const serving = yield* runtime.link
  const worker = serving._tag === "Up" ? workerItem(serving.epoch) : null
  yield* endOfDryRun(Effect.succeed({
    summary: `HAProxy is reloaded by ${way._tag}, since it accepts its configuration`,
    warnings: warningsIn(checked.messages).slice(0, mostWarnings),
    answer: { way: way._tag, old_worker: worker },
    plan: makePlan({
      steps: [
        `HAProxy reads its configuration again (${way._tag}); a new worker takes over${
          worker === null ? "" : ` from ${worker.pid}`
        }, and open sessions end in the old one`
      ],
      live_sessions: null
    })
  }))

  const told = yield* allocator.withoutWrites(Effect.gen(function*() {
    if (left() < leastTime) {
      return yield* new TimedOut({
        message: "No time was left to reload HAProxy after checking its configuration",
        hint: "HAProxy was not told to reload. Try again."
      })
    }
    const link = yield* runtime.link
    const before = link._tag === "Up" ? link.epoch : null
    const answer = yield* host.reload(way, left())
    yield* Metrics.reloaded("requested")
    const now = yield* runtime.link
    // The new worker listens already: no need to wait until the old one is seen to stop.
    if (answer.loaded && before !== null && now._tag === "Up" && now.epoch.pid === before.pid) {
      yield* runtime.reset("HAProxy was told to reload")
    }
    return { before, messages: answer.messages, after: yield* another(before, Math.min(left(), holdWrites)) }
  }))
  yield* caller.progress(2, 3, "HAProxy was told to reload")

  const { before } = told
  const after = told.after ?? (yield* another(before, left() - leastTime))
  if (after === null) {
    return yield* new OutcomeUnknown({
      message: before === null
        ? "HAProxy was told to reload, and no worker of it answers"
        : `HAProxy was told to reload, and no other worker than ${before.pid} answers`,
      hint: "The old worker goes on until a new one serves. HAProxy's own log says why there is none; "
        + "haproxy_health says which worker answers."
    })
  }
  const sync = yield* allocator.reconcile.pipe(
    Effect.provideService(Caller, { ...caller, timeout: Math.max(1, left()) }),
    Effect.mapError(({ message }) =>
      new OutcomeUnknown({
        message: `HAProxy was reloaded (worker ${after.pid}), but does not run the desired state yet: ${message}`,
        hint: "It is brought there as soon as possible; haproxy_health says when."
      })
    )
  )
  const duration = Date.now() - began
  const warnings = [...new Set([...warningsIn(checked.messages), ...warningsIn(told.messages), ...sync.problems])]
  return {
    summary: `HAProxy was reloaded in ${duration} ms: worker ${after.pid} serves${
      before === null ? "" : ` in place of ${before.pid}`
    } and runs the desired state`,
    way: way._tag,
    old_worker: before === null ? null : workerItem(before),
    new_worker: workerItem(after),
    duration_ms: duration,
    repaired: sync.lastDrift,
    warnings: warnings.slice(0, mostWarnings)
  }
})
