/** The process that serves: whether there is one, whether it is this version and these settings, and how it is. */
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { userInfo } from "node:os"
import type { SettingsShape } from "../Config.ts"
import { withAllRights } from "../domain/Principal.ts"
import { fetchStatus, layer as remoteTools } from "../mcp/RemoteTools.ts"
import { newRequestId } from "../mcp/RequestId.ts"
import { ToolRunner } from "../mcp/ToolRunner.ts"
import type { HealthAnswer } from "../program/HealthShapes.ts"
import { version } from "../Version.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"

/** What the process behind the admin socket says. */
export interface Serving {
  readonly pid: number
  readonly version: string
  readonly startedAt: string
  /** Null when it did not say in time. */
  readonly health: HealthAnswer | null
}

/** Milliseconds that it gets to say how it is. */
const patience = 2_500

/** Asks who serves and how it is; null when nobody answers. */
export const ask = Effect.fnUntraced(function*(socket: string): Effect.fn.Return<Serving | null> {
  const status = yield* fetchStatus(socket)
  if (status === null) return null
  const result = yield* Effect.flatMap(ToolRunner, (runner) =>
    runner.call("haproxy_health", {}, {
      actor: { via: "cli", who: userInfo().username, requestId: newRequestId() },
      principal: withAllRights("owner", userInfo().username),
      timeout: patience,
      progress: () => Effect.void
    })).pipe(Effect.provide(remoteTools(socket)))
  return {
    pid: status.pid,
    version: status.version,
    startedAt: status.started_at,
    health: result.isError ? null : result.structuredContent as unknown as HealthAnswer
  }
})

const nobody = (socket: string): Found =>
  existsSync(socket)
    ? warning(
      "Process",
      `nobody answers on ${socket}: serve was killed, or this user may not open it`,
      "Start `haproxy-mcp serve`, or run doctor as its user (`sudo -u haproxy-mcp haproxy-mcp doctor`)."
    )
    : warning(
      "Process",
      `nobody serves (no admin socket ${socket}): HAProxy runs on with what it has`,
      "Start it (`systemctl start haproxy-mcp`, or `haproxy-mcp serve`); if it runs, give doctor its settings."
    )

/** Seconds after which a comparison that comes once a minute is overdue. */
const overdue = 180
/** Writes that wait for their turn, of at most 256. */
const long = 128

const compared = ({ components: { reconciler } }: HealthAnswer): ReadonlyArray<Found> => {
  const found: Array<Found> = []
  const ago = reconciler.last_run_at === null
    ? null
    : Math.round((Date.now() - Date.parse(reconciler.last_run_at)) / 1000)
  const why = reconciler.reason === undefined ? "" : `: ${reconciler.reason}`
  if (!reconciler.in_sync) {
    found.push(error("In sync", `no${why}`, "docs/operations.md, \"Out of sync\"; `haproxy-mcp status` says more."))
  } else if (reconciler.status !== "ok") {
    found.push(warning("In sync", `yes${why}`, "docs/operations.md, \"Out of sync\"."))
  } else if (ago !== null && ago > overdue) {
    found.push(warning("In sync", `last compared ${ago} s ago`, "Look into the log of serve; restart it if it hangs."))
  } else {
    found.push(ok(
      "In sync",
      `yes, compared ${ago} s ago with ${reconciler.last_drift} differences, ${reconciler.foreign_entries} foreign entries`
    ))
  }
  if (reconciler.queued_writes >= long) {
    found.push(
      warning(
        "Queue",
        `${reconciler.queued_writes} writes wait`,
        "Callers get BUSY soon: see \"Disk\" and \"Runtime API\"."
      )
    )
  }
  return found
}

/** A doctor with other settings than serve looks at other files. */
const sameSettings = (
  { components: { config_files, desired_state } }: HealthAnswer,
  settings: SettingsShape
): ReadonlyArray<Found> => {
  const { db_file, map_file, pools_file } = config_files.files
  const different = ([
    ["HAPROXY_DB_FILE", settings.haproxyDbFile, db_file.path],
    ["HAPROXY_MAP_FILE", settings.haproxyMapFile, map_file.path],
    ["HAPROXY_POOL_COUNT", String(settings.haproxyPoolCount), String(desired_state.pools_declared)],
    ["HAPROXY_POOLS_FILE", settings.haproxyPoolsFile ?? "not set", pools_file?.path ?? "not set"]
  ] as const).filter(([, here, there]) => here !== there)
  return different.map(([name, here, there]) =>
    warning(
      "Settings of serve",
      `serve has ${name} ${there}, here it is ${here}`,
      "Give doctor the environment of serve (`set -a; . /etc/haproxy-mcp/env`)."
    )
  )
}

const poolsLeft = ({ components: { desired_state } }: HealthAnswer): ReadonlyArray<Found> => {
  const { pools_declared: declared, pools_used: used } = desired_state
  return used >= declared * 0.9
    ? [
      warning(
        "Pools used",
        `${used} of ${declared}`,
        "Declare more: docs/operations.md, \"Pools used up\"; or let domains share one (`share_with`)."
      )
    ]
    : [ok("Pools used", `${used} of ${declared}`)]
}

const about = (serving: Serving, settings: SettingsShape): ReadonlyArray<Found> => [
  serving.version === version
    ? ok("Process", `serves as process ${serving.pid}, haproxy-mcp ${serving.version}, since ${serving.startedAt}`)
    : warning(
      "Process",
      `serves version ${serving.version}, this is ${version}`,
      "Restart it after an upgrade: `systemctl restart haproxy-mcp`. Traffic goes on meanwhile."
    ),
  ...(serving.health === null
    ? [error("In sync", "serve does not say how it is", "Look into its log; restart it if it hangs.")]
    : [...compared(serving.health), ...poolsLeft(serving.health), ...sameSettings(serving.health, settings)])
]

export const checks = (serving: Serving | null, settings: SettingsShape): ReadonlyArray<Check> => [
  check(
    "control plane",
    "Process",
    Effect.sync(() => serving === null ? [nobody(settings.mcpAdminSocket)] : about(serving, settings))
  )
]
