/**
 * How things are while nobody serves, in the shape of haproxy_health: the desired state from a copy of the database,
 * HAProxy by one look at its Runtime API, the files by their presence. Nothing is changed: the database itself is
 * not opened (opening could recover its log or migrate it), and HAProxy is only asked. Whether HAProxy runs the
 * desired state is not compared here; that is the control plane's work.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { access } from "node:fs/promises"
import { Settings, type SettingsShape } from "./Config.ts"
import { RuntimeApi } from "./haproxy/RuntimeApi.ts"
import { HostAccess } from "./HostAccess.ts"
import { certificatesAtRest } from "./program/certificates/CertificateHealth.ts"
import type { ComponentStatus, HealthAnswer } from "./program/HealthShapes.ts"
import { copyOf } from "./store/Copy.ts"
import { Store } from "./store/Store.ts"
import { version } from "./Version.ts"

/** Milliseconds that HAProxy gets to answer. */
const patience = 1_500

const desired = (settings: SettingsShape) =>
  Effect.gen(function*() {
    const copy = yield* Effect.mapError(
      copyOf(settings.haproxyDbFile),
      (why) => why === "absent" ? "there is none yet" : `it cannot be looked at: ${why}`
    )
    const pools = { pools: settings.haproxyPoolCount, slots: settings.haproxyMaxSlots }
    return yield* Effect.gen(function*() {
      const store = yield* Store
      return {
        revision: yield* store.revision,
        certificates: yield* store.certificates,
        ...(yield* store.counts)
      }
    }).pipe(Effect.provide(Store.layer({ file: copy, pools })), Effect.mapError((error) => error.message))
  }).pipe(Effect.scoped)

type Live = HealthAnswer["components"]["haproxy"]

const haproxy = (settings: SettingsShape): Effect.Effect<Live> =>
  Effect.gen(function*() {
    const runtime = yield* RuntimeApi
    const up = yield* runtime.links.pipe(
      Stream.filter((link) => link._tag === "Up"),
      Stream.runHead,
      Effect.timeoutOption(patience),
      Effect.map(Option.flatten)
    )
    if (Option.isSome(up)) {
      const { startTime, version } = up.value.epoch
      const answer: Live = { status: "ok", version, uptime_sec: Math.max(0, Math.floor(Date.now() / 1000 - startTime)) }
      return answer
    }
    const link = yield* runtime.link
    const reason = link._tag === "Down" ? link.reason : "it does not answer"
    const answer: Live = { status: "error", version: null, uptime_sec: null, reason }
    return answer
  }).pipe(Effect.provide(
    Layer.unwrap(Effect.map(Effect.service(HostAccess), ({ transport }) => RuntimeApi.layer({ transport }))).pipe(
      Layer.provide(HostAccess.layer),
      Layer.provide(Layer.succeed(Settings, settings))
    )
  ))

const fileOf = (path: string) =>
  Effect.promise(() =>
    access(path).then(
      () => ({ status: "ok" as ComponentStatus, path }),
      (error: NodeJS.ErrnoException) => ({
        status: "error" as ComponentStatus,
        path,
        reason: error.code ?? "unreadable"
      })
    )
  )

/** How things are; `reason` says why nobody serves. */
export const peek = Effect.fnUntraced(function*(settings: SettingsShape, reason: string) {
  const [state, live, map, wildcards, pools, db] = yield* Effect.all([
    Effect.result(desired(settings)),
    haproxy(settings),
    fileOf(settings.haproxyMapFile),
    fileOf(settings.wildcardsFile),
    settings.haproxyPoolsFile === null ? Effect.succeed(null) : fileOf(settings.haproxyPoolsFile),
    fileOf(settings.haproxyDbFile)
  ], { concurrency: "unbounded" })
  const numbers = Result.isSuccess(state)
    ? state.success
    : {
      revision: 0,
      certificates: [],
      domains: 0,
      wildcards: 0,
      servers: 0,
      poolsUsed: 0,
      poolsDeclared: settings.haproxyPoolCount
    }
  const dbFile = Result.isSuccess(state) ? db : { ...db, status: "error" as const, reason: state.failure }
  const files = {
    map_file: map,
    wildcards_file: wildcards,
    db_file: dbFile,
    ...(pools === null ? {} : { pools_file: pools })
  }
  const answer: HealthAnswer = {
    summary: `Nobody serves (${reason}); HAProxy runs on with what it has`,
    status: "unhealthy",
    components: {
      mcp: { status: "error", version, uptime_sec: 0 },
      haproxy: live,
      config_files: {
        status: Object.values(files).every((file) => file.status === "ok") ? "ok" : "error",
        files
      },
      container: { status: "not_configured", state: "not_configured" },
      desired_state: {
        status: Result.isSuccess(state) ? "ok" : "error",
        revision: numbers.revision,
        domains: numbers.domains,
        wildcards: numbers.wildcards,
        servers: numbers.servers,
        pools_used: numbers.poolsUsed,
        pools_declared: numbers.poolsDeclared
      },
      reconciler: {
        status: "unknown",
        in_sync: false,
        last_run_at: null,
        last_drift: 0,
        foreign_entries: 0,
        queued_writes: 0,
        reason: "nobody serves"
      },
      remote: {
        status: settings.ssh === null ? "not_configured" : "unknown",
        mode: settings.ssh === null ? "off" : settings.haproxyRemoteSync,
        role: "reader",
        generation: null,
        lag: 0,
        last_published_at: null,
        ...(settings.ssh === null ? {} : { reason: "nobody serves; `haproxy-mcp remote status` asks the remote host" })
      },
      certificates: certificatesAtRest(numbers.certificates, Date.now())
    }
  }
  return answer
})
