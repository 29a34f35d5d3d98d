/**
 * Takes what HAProxy runs into the desired state, once: in the first comparison after a migration, before anything is
 * repaired, or when an operator asks for it beside an empty database (`haproxy-mcp foreign adopt --all`). Nothing
 * changes in HAProxy. It runs inside the actor.
 *
 * Whether it is due stands in the change log: the migration's change is pending until HAProxy has been compared for the
 * first time, so it happens however long HAProxy was away and however often this process was restarted meanwhile.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Actor } from "../domain/Change.ts"
import { StorageFailed } from "../domain/Errors.ts"
import { newChangeId } from "./ChangeId.ts"
import * as Input from "./Input.ts"
import type { Limits } from "./Limits.ts"
import { counted } from "./MigrationReport.ts"
import { observe, type Plane } from "./Reconciler.ts"
import { planTakeOver } from "./TakeOverPlan.ts"

/** The name of a migration in the change log. */
export const migrationTool = "migration"

/** Who migrates. */
export const migrationActor: Actor = { via: migrationTool, who: "haproxy-mcp", requestId: "-" }

/** Notes of one run that the log shows; what is not taken is drift, and goes. */
const shownNotes = 20

/** The input rules for addresses, for servers that were there before us. */
export const acceptServer =
  (limits: Limits["Service"]) =>
  (ip: string, port: number): Result.Result<Effect.Success<ReturnType<typeof Input.endpoint>>, string> =>
    Result.mapError(
      Effect.runSync(Effect.result(Input.endpoint(limits, { ip, http_port: port }))),
      (refusal) => refusal.message
    )

/** What was taken. */
export interface TakenOver {
  readonly routes: number
  readonly servers: number
  readonly changeId: string | null
}

/** Takes it, in one commit. `deadline` in milliseconds since 1970. */
export const takeOver = Effect.fnUntraced(function*(plane: Plane, limits: Limits["Service"], deadline: number) {
  const { store } = plane
  const observed = yield* observe(plane, deadline)
  const plan = planTakeOver(
    { ...observed, routes: yield* store.allRoutes, servers: yield* store.allServers },
    {
      limits: plane.limits,
      isRegistrable: (name) => limits.suffixes.registrable(name) === name,
      accept: acceptServer(limits)
    },
    yield* store.nextSeq
  )
  const summary = `Took over ${counted(plan.routes, "name")} and ${
    counted(plan.servers, "server")
  } as HAProxy runs them`
  const changeId = plan.edits.length === 0 ? null : newChangeId()
  if (changeId !== null) {
    yield* store.commit(Effect.andThen(
      store.apply(plan.edits),
      store.record({
        changeId,
        actor: migrationActor,
        tool: migrationTool,
        summary,
        edits: plan.edits,
        outcome: "applied"
      })
    )).pipe(
      Effect.catchTag(
        "CommitUncertain",
        (error) =>
          Effect.fail(new StorageFailed({ message: error.message, hint: "Check the disk that holds the database." }))
      )
    )
  }
  if (changeId !== null || plan.notes.length > 0) {
    yield* Effect.logInfo(summary).pipe(
      Effect.annotateLogs({
        change_id: changeId,
        notes: plan.notes.slice(0, shownNotes).map(({ what, why }) => `${what}: ${why}`),
        more_notes: Math.max(0, plan.notes.length - shownNotes)
      })
    )
  }
  const taken: TakenOver = { routes: plan.routes, servers: plan.servers, changeId }
  return taken
})
