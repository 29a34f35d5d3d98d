/**
 * Traces and metrics by OTLP over HTTP, configured by the standard OTEL_* variables (endpoint, headers, service
 * name, resource attributes, sampling of signals). Loaded only when one of them names a collector.
 *
 * Guarantees: calls never wait for a collector. Exports go in batches; one that is answered within {@link patience} is
 * the rule, at most {@link mostUnderWay} are under way, and after one that failed nothing is kept or sent for a minute,
 * so that a collector that is down or slow costs its own data and neither time nor memory. The end of the process
 * waits for what is left, {@link lastWait} for each signal. What leaves is scrubbed as log lines are.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import { OtlpSerialization } from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { safeJson } from "./Scrub.ts"
import { version } from "./Version.ts"

/** Milliseconds that a collector has for an answer: the specification's default of OTEL_EXPORTER_OTLP_TIMEOUT. */
const patience = 10_000
/** Requests to collectors at one time. */
const mostUnderWay = 4
/** Milliseconds that the end of the process waits for each signal, unless OTEL_EXPORTER_OTLP_TIMEOUT says another. */
const lastWait = 2_000

const resource = { serviceName: process.env["OTEL_SERVICE_NAME"] ?? "haproxy-mcp", serviceVersion: version }

/** The OpenTelemetry specification's default of the exporters, which Effect leaves at "none", and our times. */
const defaults = ConfigProvider.layerAdd(
  ConfigProvider.fromEnvRecord({
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_METRICS_EXPORTER: "otlp",
    OTEL_BSP_EXPORT_TIMEOUT: String(lastWait),
    OTEL_METRIC_EXPORT_TIMEOUT: String(lastWait)
  })
)

/** A collector that keeps us waiting. Effect's exporter repeats what failed on the way, but not a defect. */
const tooSlow = Effect.die(new Error("the collector is too slow"))

/** See the module's head: without it, slow exports pile up as fast as spans are made. */
const bounded = (client: HttpClient.HttpClient): HttpClient.HttpClient => {
  let underWay = 0
  return HttpClient.transformResponse(client, (exchange) =>
    Effect.suspend(() => {
      if (underWay >= mostUnderWay) return tooSlow
      underWay++
      return exchange.pipe(
        // The answer counts only when it has been read: the exporter reads it again, from memory.
        Effect.tap((response) => response.arrayBuffer),
        Effect.timeoutOrElse({ duration: patience, orElse: () => tooSlow }),
        Effect.ensuring(Effect.sync(() => underWay--))
      )
    }))
}

const client = Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, bounded)).pipe(
  Layer.provide(FetchHttpClient.layer)
)

const asJson = (text: string): HttpBody.HttpBody => HttpBody.text(text, "application/json")

/** OTLP/JSON writes numbers that JSON has not as texts. */
const finite = (_key: string, value: unknown) =>
  typeof value === "number" && !Number.isFinite(value) ? String(value) : value

const serialization = Layer.succeed(OtlpSerialization, {
  traces: (data) => asJson(safeJson(data, true)),
  metrics: (data) => asJson(JSON.stringify(data, finite)),
  logs: (data) => asJson(safeJson(data))
})

/** Exports until its scope closes; then what is left is sent. */
export const layer: Layer.Layer<never> = Layer.mergeAll(
  OtlpTracer.layerFromConfig({ resource }),
  OtlpMetrics.layerFromConfig({ resource })
).pipe(Layer.provide([serialization, client, defaults]))
