/** The verb that says how the control plane, its files and its HAProxy are, and what `/readyz` answers. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ControlError } from "../domain/Errors.ts"
import { HostControl } from "../haproxy/HostControl.ts"
import * as Info from "../haproxy/InfoCommands.ts"
import { MapFiles } from "../haproxy/MapFiles.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { Store } from "../store/Store.ts"
import { version } from "../Version.ts"
import { certificatesHealth } from "./certificates/CertificateHealth.ts"
import type { ComponentStatus, HealthAnswer } from "./HealthShapes.ts"
import { PoolAllocator } from "./PoolAllocator.ts"
import type { ReplicationStatus } from "./replication/Publisher.ts"
import type { ProgramServices } from "./Services.ts"

/** Milliseconds that HAProxy gets to answer. */
const lookTime = 2_000

const haproxy = Effect.gen(function*() {
  const runtime = yield* RuntimeApi
  const answer = yield* Effect.result(runtime.exchange([Info.show], { timeout: lookTime }))
  if (Result.isFailure(answer)) {
    return { status: "error" as const, version: null, uptime_sec: null, reason: answer.failure.reason }
  }
  const [info] = answer.success
  return Result.isFailure(info)
    ? { status: "error" as const, version: null, uptime_sec: null, reason: info.failure.text }
    : { status: "ok" as const, version: info.success.version, uptime_sec: info.success.uptime }
})

const fileOf = (
  checks: ReadonlyArray<{ readonly path: string; readonly ok: boolean; readonly reason: string }>,
  path: string
) => {
  const check = checks.find((one) => one.path === path)
  return {
    status: (check === undefined ? "unknown" : check.ok ? "ok" : "error") as ComponentStatus,
    path,
    ...(check === undefined || check.ok ? {} : { reason: check.reason })
  }
}

/** The remote copy as health shows it. */
export const remoteComponent = (
  { generation, lag, mode, publishedAt, reason, role }: ReplicationStatus
): HealthAnswer["components"]["remote"] => ({
  status: mode === "off" ? "not_configured" : role === "reader" ? "error" : reason === "" ? "ok" : "degraded",
  mode,
  role,
  generation,
  lag,
  last_published_at: publishedAt === null ? null : new Date(publishedAt).toISOString(),
  ...(reason === "" ? {} : { reason })
})

/** Everything at a glance. Never fails because something is down: that is what it reports. */
export const health: Effect.Effect<HealthAnswer, ControlError, ProgramServices> = Effect.gen(function*() {
  const store = yield* Store
  const files = yield* MapFiles
  const allocator = yield* PoolAllocator
  const live = yield* haproxy
  const checks = yield* files.check
  const counts = yield* Effect.result(store.counts)
  const sync = yield* allocator.sync
  const dbOk = Result.isSuccess(counts)
  const numbers = dbOk
    ? counts.success
    : { domains: 0, wildcards: 0, servers: 0, poolsUsed: 0, poolsDeclared: 0 }
  const maps = {
    map_file: fileOf(checks, files.paths.domains),
    wildcards_file: fileOf(checks, files.paths.wildcards),
    db_file: {
      status: (dbOk ? "ok" : "error") as ComponentStatus,
      path: store.path,
      ...(dbOk ? {} : { reason: counts.failure.message })
    },
    ...(files.paths.pools === null ? {} : { pools_file: fileOf(checks, files.paths.pools) })
  }
  const filesOk = Object.values(maps).every((file) => file.status === "ok")
  const reconciler: ComponentStatus = !sync.inSync ? "error" : sync.problems.length > 0 ? "degraded" : "ok"
  const certificates = yield* certificatesHealth
  const remote = remoteComponent(yield* allocator.publisher.status)
  const certificatesOk = certificates.status !== "error" && certificates.status !== "degraded"
  const remoteOk = remote.status === "ok" || remote.status === "not_configured"
  const status = live.status === "ok" && filesOk && reconciler === "ok" && certificatesOk && remoteOk
    ? "healthy"
    : dbOk && (live.status === "ok" || sync.inSync)
    ? "degraded"
    : "unhealthy"
  const reasons = [
    ...("reason" in live ? [live.reason.includes("HAProxy") ? live.reason : `HAProxy: ${live.reason}`] : []),
    ...Object.values(maps).flatMap((file) => "reason" in file ? [`${file.path}: ${file.reason}`] : []),
    ...(sync.inSync ? sync.problems : "reason" in live && live.reason === sync.reason ? [] : [sync.reason]),
    ...(remoteOk ? [] : [remote.reason ?? "the remote copy of the database is behind"]),
    ...(certificatesOk ? [] : [`certificates: ${certificates.reason}`])
  ]
  return {
    summary: status === "healthy"
      ? `All is well: ${numbers.domains} domains, HAProxy ${live.version} runs revision ${yield* store.revision}`
      : `${status}: ${[...new Set(reasons)].slice(0, 3).join("; ")}`,
    status,
    components: {
      mcp: { status: "ok", version, uptime_sec: Math.floor(process.uptime()) },
      haproxy: live,
      config_files: { status: filesOk ? "ok" : "error", files: maps },
      container: yield* (yield* HostControl).container,
      desired_state: {
        status: dbOk ? "ok" : "error",
        revision: yield* store.revision,
        domains: numbers.domains,
        wildcards: numbers.wildcards,
        servers: numbers.servers,
        pools_used: numbers.poolsUsed,
        pools_declared: numbers.poolsDeclared
      },
      reconciler: {
        status: reconciler,
        in_sync: sync.inSync,
        last_run_at: sync.lastRunAt === null ? null : new Date(sync.lastRunAt).toISOString(),
        last_drift: sync.lastDrift,
        foreign_entries: sync.foreign,
        queued_writes: yield* allocator.queued,
        ...(sync.inSync && sync.problems.length === 0
          ? {}
          : { reason: sync.inSync ? sync.problems.join("; ") : sync.reason })
      },
      remote,
      certificates
    }
  }
})

/** `/readyz`: null when writes would be taken now, else why not, in one sentence. */
export const notReadyReason: Effect.Effect<string | null, never, ProgramServices> = Effect.gen(function*() {
  const allocator = yield* PoolAllocator
  const { inSync, reason } = yield* allocator.sync
  if (!inSync) return reason
  const remote = yield* allocator.publisher.status
  return remote.mode === "strict" && remote.reason !== "" ? remote.reason : null
})
