/**
 * The legacy verbs that save and restore servers. The desired state is in the database and HAProxy is kept at it, so
 * nobody needs them to survive a restart; they are here for those who call them.
 *
 * Saving writes HAProxy's own `show servers state` to a file. Restoring sets weight and state of servers of ours as
 * they were saved, through the same write path as every change, and only where the slot still holds the saved address:
 * a pool that was freed meanwhile may belong to somebody else, and must never get the old owner's server back.
 * Addresses are therefore never restored, and nothing that is not ours is touched.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Edit } from "../domain/Change.ts"
import { type ControlError, HaproxyRefused, HaproxyUnreachable, InvalidInput, NotFound } from "../domain/Errors.ts"
import { parseSlotName, placeholder, poolName, type Server, slotName, type Weight } from "../domain/Pool.ts"
import { HostControl } from "../haproxy/HostControl.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { parseState, type ServerStateRow, stateText } from "../haproxy/ServerCommands.ts"
import { Store } from "../store/Store.ts"
import { Caller } from "./Caller.ts"
import type { RestoreStateAnswer, SaveStateAnswer } from "./ConfigurationShapes.ts"
import type { Decide, Draft } from "./Decision.ts"
import { endOfDryRun, makePlan } from "./DryRun.ts"
import { Limits } from "./Limits.ts"
import { write } from "./PoolAllocator.ts"
import type { ProgramServices } from "./Services.ts"

/** Restored servers that an answer lists. */
const listed = 100

/** What every answer of these two says. */
const legacy = "the desired state is in the database and needs no such file"

/** Saves `show servers state` to HAPROXY_STATE_FILE. */
export const saveState: Effect.Effect<SaveStateAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const runtime = yield* RuntimeApi
  const { stateFile } = yield* HostControl
  const { timeout } = yield* Caller
  const [verdict] = yield* runtime.exchange([stateText], { timeout }).pipe(
    Effect.mapError(({ reason }) =>
      new HaproxyUnreachable({
        message: `HAProxy cannot be asked for its servers: ${reason}`,
        hint: "Nothing was written. haproxy_health says how HAProxy is."
      })
    )
  )
  if (Result.isFailure(verdict)) {
    return yield* new HaproxyRefused({
      message: `HAProxy does not list its servers: ${verdict.failure.text}`,
      hint: "Nothing was written. Check that the Runtime API socket has level admin."
    })
  }
  const text = verdict.success.endsWith("\n") ? verdict.success : `${verdict.success}\n`
  const servers = Result.getOrElse(parseState(text), () => []).length
  const answer: SaveStateAnswer = {
    summary: `${servers} servers saved to ${stateFile.path} (legacy: ${legacy})`,
    file: stateFile.path,
    servers,
    bytes: Buffer.byteLength(text)
  }
  const { summary } = answer
  yield* endOfDryRun(
    Effect.succeed({ answer, summary, warnings: [], plan: makePlan({ files: [stateFile.path] }) })
  )
  yield* stateFile.write(text)
  return answer
})

const isWeight = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 256

/** What a saved row means for a slot of ours. */
const restoredServer = (row: ServerStateRow, now: Server | undefined): Server | "same" | "skipped" => {
  if (now === undefined || now.ip !== row.ip || now.port !== row.port || !isWeight(row.userWeight)) return "skipped"
  return now.weight === row.userWeight && now.state === row.state
    ? "same"
    : { ...now, weight: row.userWeight as Weight, state: row.state }
}

/** Sets weight and state of our servers as they were saved. */
export const restoreState: Effect.Effect<RestoreStateAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const store = yield* Store
  const { pools: limits } = yield* Limits
  const { stateFile } = yield* HostControl
  const saved = yield* stateFile.read
  if (saved === null) {
    return yield* new NotFound({
      message: `There is no saved state at ${stateFile.path}`,
      hint: "haproxy_save_state makes one. Nothing is lost without it: the desired state is in the database."
    })
  }
  const rows = parseState(saved.text)
  if (Result.isFailure(rows)) {
    return yield* new InvalidInput({
      message: `${stateFile.path} is not a state file of HAProxy's`,
      hint: "It must be as `show servers state` writes it; haproxy_save_state writes a new one."
    })
  }
  const decide: Decide<Draft<RestoreStateAnswer>> = Effect.fnUntraced(function*() {
    const slots = new Map((yield* store.allServers).map((server) => [slotName(server.pool, server.slot), server]))
    const edits: Array<Edit> = []
    const restored: Array<Server> = []
    const counts = { same: 0, skipped: 0, foreign: 0 }
    // A name that stands twice in the file counts as its last row says.
    for (const row of new Map(rows.success.map((row) => [`${row.backend}/${row.server}`, row])).values()) {
      const name = parseSlotName(row.server)
      const ours = name !== null && poolName(name.pool) === row.backend && name.pool <= limits.pools
        && name.slot <= limits.slots
      if (!ours) {
        counts.foreign++
        continue
      }
      if (row.ip === placeholder.ip && row.port === placeholder.port) continue
      const before = slots.get(row.server)
      const after = restoredServer(row, before)
      if (typeof after === "string") {
        counts[after]++
        continue
      }
      edits.push({ kind: "server", pool: after.pool, slot: after.slot, before: before ?? null, after })
      restored.push(after)
    }
    const summary = restored.length === 0
      ? "Nothing differs from the saved weights and states"
      : `Weight and state of ${restored.length} server${restored.length === 1 ? "" : "s"} are as they were saved`
    const skipped = counts.skipped === 0
      ? []
      : [`${counts.skipped} saved servers are not in their slots any more; addresses are never restored`]
    return {
      edits,
      reads: [],
      summary,
      answer: {
        summary: `${summary} (legacy: ${legacy})`,
        file: stateFile.path,
        saved_at: new Date(saved.savedAt).toISOString(),
        restored: restored.slice(0, listed).map((server) => ({
          server: slotName(server.pool, server.slot),
          weight: server.weight,
          state: server.state
        })),
        restored_count: restored.length,
        same_count: counts.same,
        skipped_count: counts.skipped,
        foreign_count: counts.foreign,
        warnings: skipped
      }
    }
  })
  return yield* write(decide)
})
