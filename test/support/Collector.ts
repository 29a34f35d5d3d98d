/** A collector of OTLP over HTTP in JSON: keeps the spans that it is sent, or is as bad as a test wants it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

/** A span as it came (opentelemetry.proto.trace.v1.Span), with its attributes as an object. */
export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty or missing at the root. */
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
}

export interface Collector {
  readonly url: string
  /** All spans so far, in the order of their end. */
  readonly spans: () => ReadonlyArray<CollectedSpan>
  /** All bodies so far, as they came, after their path. */
  readonly bodies: ReadonlyArray<string>
}

interface Body {
  readonly resourceSpans?: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<
        Omit<CollectedSpan, "attributes"> & {
          readonly attributes: ReadonlyArray<
            { readonly key: string; readonly value: Readonly<Record<string, unknown>> }
          >
        }
      >
    }>
  }>
}

const spansOf = (text: string): ReadonlyArray<CollectedSpan> =>
  ((JSON.parse(text) as Body).resourceSpans ?? []).flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ spans }) =>
    spans.map((span) => ({
      ...span,
      attributes: Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
    }))
  )

/** `silent`: takes everything and never answers. */
export const startCollector = (mode: "good" | "silent" = "good"): Effect.Effect<Collector, never, Scope.Scope> =>
  Effect.gen(function*() {
    const bodies: Array<string> = []
    const spans: Array<CollectedSpan> = []
    const server = yield* Effect.acquireRelease(
      Effect.promise(async () => {
        const created = createServer((request, response) => {
          let text = ""
          request.setEncoding("utf8")
          request.on("data", (part: string) => {
            text += part
          })
          request.on("end", () => {
            bodies.push(`${request.url} ${text}`)
            if (request.url === "/v1/traces") spans.push(...spansOf(text))
            if (mode === "good") response.end("{}")
          })
        })
        await new Promise<void>((resolve) => created.listen(0, "127.0.0.1", resolve))
        return created
      }),
      (created) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            created.close(() => resolve())
            created.closeAllConnections()
          })
        )
    )
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans: () => spans, bodies }
  })
