/**
 * Traces and metrics by OTLP over HTTP, configured by the standard OTEL_* variables (endpoint, headers, service
 * name, resource attributes, sampling of signals). Loaded only when one of them names a collector. A collector that
 * is down costs nothing but its own data: exports are batched, and the process never waits for them but at its end.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Layer from "effect/Layer"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { version } from "./Version.ts"

const resource = { serviceName: process.env["OTEL_SERVICE_NAME"] ?? "haproxy-mcp", serviceVersion: version }

/** The OpenTelemetry specification's default, which Effect leaves at "none". */
const exporters = ConfigProvider.layerAdd(
  ConfigProvider.fromEnvRecord({ OTEL_TRACES_EXPORTER: "otlp", OTEL_METRICS_EXPORTER: "otlp" })
)

/** Exports until its scope closes; then what is left is sent within the exporter's own time limit. */
export const layer: Layer.Layer<never> = Layer.mergeAll(
  OtlpTracer.layerFromConfig({ resource }),
  OtlpMetrics.layerFromConfig({ resource })
).pipe(Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer, exporters]))
