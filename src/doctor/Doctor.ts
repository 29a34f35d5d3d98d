/**
 * `haproxy-mcp doctor`: looks at everything between the settings and the traffic, and says what is wrong and how to
 * mend it.
 *
 * Guarantees: nothing is changed. HAProxy is only asked; the database is looked at through a copy and never opened; one
 * file is made and removed again beside it, to time the disk, and one in each folder of another host, where HAProxy's
 * files are looked at when they are there (HaproxyDisk.ts). No secret is part of a finding. Every look ends in its
 * time, all together within ten seconds, but for a disk that does not answer at all. A `serve` that runs is asked what
 * only it knows.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { decodeSettings, Settings, type SettingsShape, type Sources } from "../Config.ts"
import { hostLayer } from "../ControlPlane.ts"
import { HostControl } from "../haproxy/HostControl.ts"
import { RuntimeApi } from "../haproxy/RuntimeApi.ts"
import { acmeHost, HostAccess } from "../HostAccess.ts"
import { isHaproxyHere } from "../Listeners.ts"
import { version } from "../Version.ts"
import * as Access from "./Access.ts"
import * as Acme from "./Acme.ts"
import * as Certificates from "./Certificates.ts"
import * as Database from "./Database.ts"
import * as Files from "./Files.ts"
import { type Check, check, error, type Finding, ok, type Report, run, warning } from "./Finding.ts"
import * as Haproxy from "./Haproxy.ts"
import { haproxyDisk } from "./HaproxyDisk.ts"
import * as Host from "./Host.ts"
import * as Machine from "./Machine.ts"
import * as Routing from "./Routing.ts"
import * as Serving from "./Serving.ts"
import * as Ssh from "./Ssh.ts"

/** Milliseconds for HAProxy's first answer, and for that of a serving process. */
const firstAnswer = { haproxy: 2_000, serving: 3_500 }

const settingsOf = (settings: SettingsShape): Check =>
  check(
    "settings",
    "Settings",
    Effect.sync(() => [
      ok("Settings", "every value keeps its rule"),
      ...settings.notices.map((notice) => warning("Settings", notice, "Remove it, or see docs/settings.md."))
    ])
  )

/** Every problem of the settings, one finding each. */
const invalid = (message: string): Check =>
  check(
    "settings",
    "Settings",
    Effect.sync(() =>
      message.split("\n").slice(1).map((problem) =>
        error("Settings", problem.trim(), "docs/settings.md, or `haproxy-mcp serve --help`")
      )
    )
  )

const certificateSettings = /^HAPROXY_(?:(?:RUNTIME_)?CERT_DIR|CRT_LIST_FILE)$/

/** Did somebody set one of these? */
const wasGiven = (sources: Sources, names: RegExp): boolean =>
  Object.entries({ ...sources.env, ...sources.flags }).some(([name, value]) => value !== undefined && names.test(name))

const checksOf = (sources: Sources, settings: SettingsShape) =>
  Effect.gen(function*() {
    const runtime = yield* RuntimeApi
    const host = yield* HostControl
    const access = yield* HostAccess
    const { ssh } = access
    const there = haproxyDisk(access, settings)
    const [serving, link, rows] = yield* Effect.all([
      Effect.map(Effect.timeoutOption(Serving.ask(settings.mcpAdminSocket), firstAnswer.serving), Option.getOrNull),
      runtime.link,
      Certificates.rowsIn(settings.haproxyDbFile)
    ], { concurrency: "unbounded" })
    const transport = settings.haproxyTransport
    const live = link._tag === "Up" ? { runtime, link } : null
    const haproxyIsHere = isHaproxyHere(settings)
    return [
      settingsOf(settings),
      ...Machine.checks,
      ...Ssh.checks(settings, ssh),
      ...(live !== null
        ? [...Haproxy.checks(live, transport), ...Host.checks(host), ...Routing.checks(live, host, settings, there)]
        : [Haproxy.unreachable(transport, link._tag === "Up" ? "" : link.reason)]),
      ...Certificates.checks({
        settings,
        live,
        there,
        haproxyIsHere,
        rows,
        given: wasGiven(sources, certificateSettings)
      }),
      ...Acme.checks(
        settings,
        sources.env,
        acmeHost(settings, ssh),
        wasGiven(sources, /^ACME_/) || rows.some(({ source }) => source === "acme")
      ),
      ...Files.checks(settings, there),
      ...Database.checks(settings, serving?.pid ?? null),
      ...Access.checks(settings),
      ...Serving.checks(serving, settings)
    ]
  })

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

const reportOf = (findings: ReadonlyArray<Finding>): Report => {
  const errors = findings.filter(({ level }) => level === "error").length
  const warnings = findings.filter(({ level }) => level === "warning").length
  return {
    summary: errors + warnings === 0
      ? `All is well: ${findings.length} findings`
      : `${counted(errors, "error")}, ${counted(warnings, "warning")}, ${findings.length - errors - warnings} well`,
    status: errors > 0 ? "error" : warnings > 0 ? "warning" : "ok",
    version,
    findings
  }
}

/** Looks at everything. Never fails: what cannot be looked at is a finding. */
export const examine = (sources: Sources): Effect.Effect<Report> =>
  Effect.gen(function*() {
    const settings = yield* Effect.result(decodeSettings(sources))
    const all = Effect.fnUntraced(function*(checks: ReadonlyArray<Check>) {
      return (yield* Effect.all(checks.map(run), { concurrency: "unbounded" })).flat()
    })
    if (Result.isFailure(settings)) {
      return reportOf(yield* all([invalid(settings.failure.message), ...Machine.checks]))
    }
    const haproxy = Layer.unwrap(Effect.map(Effect.service(HostAccess), (access) =>
      Layer.provideMerge(
        hostLayer(settings.success, isHaproxyHere(settings.success), access),
        // One attempt to connect is enough for a look.
        RuntimeApi.layer({
          transport: access.transport,
          connectTimeout: firstAnswer.haproxy,
          firstWait: firstAnswer.haproxy + 200,
          retry: 60_000
        })
      )))
    return yield* Effect.flatMap(checksOf(sources, settings.success), all).pipe(
      Effect.map(reportOf),
      Effect.provide(haproxy.pipe(
        Layer.provideMerge(HostAccess.layer),
        Layer.provide(Layer.succeed(Settings, settings.success))
      ))
    )
  })
