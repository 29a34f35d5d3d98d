/**
 * Logs, metrics and traces of the process.
 *
 * Logs: one JSON object per line on standard error, `{time, level, msg, request_id?, trace_id?, …fields, cause?}`, from
 * LOG_LEVEL on. Fields come from `Effect.annotateLogs` and from objects that are logged after the message. Redacted
 * values stay redacted, and bearer tokens and private keys that slipped into a text are cut out of the line.
 *
 * Metrics: named `haproxy_mcp_<noun>_<unit>`, counters ending in `_total`, times in `_seconds`; Effect's registry
 * holds them. Traces: the spans of Tracing.ts. Both leave the process by OTLP only when
 * OTEL_EXPORTER_OTLP_ENDPOINT is set; the code for it is not even loaded otherwise.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"
import { Settings, type SettingsShape } from "./Config.ts"
import { ConfigInvalid } from "./domain/Errors.ts"
import * as ProcessMetrics from "./ProcessMetrics.ts"
import { plain, safeJson } from "./Scrub.ts"

const levels: Readonly<Record<SettingsShape["logLevel"], LogLevel.LogLevel>> = {
  DEBUG: "Debug",
  INFO: "Info",
  WARNING: "Warn",
  ERROR: "Error"
}

const levelNames: Readonly<Record<LogLevel.LogLevel, string>> = {
  All: "DEBUG",
  None: "ERROR",
  Fatal: "ERROR",
  Error: "ERROR",
  Warn: "WARNING",
  Info: "INFO",
  Debug: "DEBUG",
  Trace: "DEBUG"
}

/** Is it JSON as it stands? */
const isSimple = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean" || value === null

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Error)
  && (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)

/** One log line without its end, for a message and what surrounds it. */
export const formatLine = Logger.make<unknown, string>(({ cause, date, fiber, logLevel, message }) => {
  const parts: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  const own = { time: date.toISOString(), level: levelNames[logLevel], msg: "" }
  const line: Record<string, unknown> = { ...own, ...fiber.getRef(References.CurrentLogAnnotations) }
  if (fiber.cache.span !== undefined) line["trace_id"] = fiber.cache.span.traceId
  for (const part of parts) {
    if (isFields(part)) Object.assign(line, part)
    else {
      const value = plain(part)
      const word = typeof value === "string" ? value : JSON.stringify(value) ?? String(value)
      own.msg = own.msg === "" ? word : `${own.msg} ${word}`
    }
  }
  // A field may not hide the three that every line has.
  Object.assign(line, own)
  if (cause.reasons.length > 0) line["cause"] = Cause.pretty(cause)
  return safeJson(line, Object.values(line).every(isSimple))
})

/** Characters that may wait for the end of the turn. */
const mostPending = 64 * 1024

/**
 * Standard error, written once per turn of the event loop: a write blocks the process until the kernel has it. What
 * waits is written before a warning, an error and the end of the process are, so that no end takes a line along.
 */
const makeWriter = () => {
  let pending = ""
  const flush = () => {
    if (pending === "") return
    const text = pending
    pending = ""
    process.stderr.write(text)
  }
  process.on("exit", flush)
  return (line: string, now: boolean) => {
    if (pending === "" && !now) setImmediate(flush)
    pending += `${line}\n`
    if (now || pending.length > mostPending) flush()
  }
}

let writer: ReturnType<typeof makeWriter> | undefined

const stderrLogger = Logger.make<unknown, void>((options) => {
  writer ??= makeWriter()
  writer(formatLine.log(options), LogLevel.isGreaterThanOrEqualTo(options.logLevel, "Warn"))
})

/** JSON lines on standard error from a level on. */
export const logs = (level: SettingsShape["logLevel"]): Layer.Layer<never> =>
  Layer.mergeAll(Logger.layer([stderrLogger]), Layer.succeed(References.MinimumLogLevel, levels[level]))

/** Traces and metrics by OTLP when the standard variables name a collector. */
const exported = Layer.unwrap(Effect.gen(function*() {
  const names = ["", "_TRACES", "_METRICS"].map((signal) => `OTEL_EXPORTER_OTLP${signal}_ENDPOINT`)
  const set = names.filter((name) => (process.env[name] ?? "") !== "")
  const wrong = set.find((name) => !URL.canParse(process.env[name]!))
  if (wrong !== undefined) {
    return yield* new ConfigInvalid({
      message: `${wrong} is not a URL`,
      hint: `Write it as ${wrong}=http://collector.example.com:4318`
    })
  }
  return set.length > 0 ? (yield* Effect.promise(() => import("./Telemetry.ts"))).layer : Layer.empty
}))

/** Logs, traces and metrics as the settings say, and one line per setting that has no effect. */
export const layer: Layer.Layer<never, ConfigInvalid, Settings> = Layer.unwrap(Effect.gen(function*() {
  const { logLevel, notices } = yield* Settings
  const notice = Layer.effectDiscard(Effect.forEach(notices, (text) => Effect.logWarning(text), { discard: true }))
  return Layer.provideMerge(Layer.mergeAll(notice, exported, ProcessMetrics.layer), logs(logLevel))
}))
