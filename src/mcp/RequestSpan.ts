/**
 * A call as part of the trace that its client is in. Where it comes from stands in `_meta.traceparent` of the request
 * (MCP 2026-07-28, SEP-414; older revisions pass it on too), else in the HTTP header `traceparent` (W3C Trace Context).
 * What is none is ignored, as both ask for.
 *
 * With a collector the call becomes a span below the client's. Without one its log lines still carry the client's
 * `trace_id`, so that they are found from the trace of whoever called, and a `stdio` process hands it on to the process
 * that serves.
 */
import * as Effect from "effect/Effect"
import { ParentSpan } from "effect/Tracer"
import * as Tracing from "../Tracing.ts"

/**
 * Runs the call of a tool as the span of its request. `header`: the HTTP header, if any; `meta`: `_meta`, unchecked;
 * `method`: the request's, which for a resource or a prompt is another one.
 */
export const asRequest =
  (tool: string, via: string, header: string | undefined, meta?: unknown, method = "tools/call") =>
  <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => {
      const named = typeof meta === "object" && meta !== null
        ? (meta as { traceparent?: unknown }).traceparent
        : undefined
      const parent = Tracing.parse(named) ?? Tracing.parse(header)
      if (!Tracing.isTraced(fiber)) {
        return parent === undefined ? call : Effect.provideService(call, ParentSpan, parent)
      }
      return call.pipe(Tracing.span(`${method} ${tool}`, {
        kind: "server",
        parent,
        attributes: { "mcp.method.name": method, "gen_ai.tool.name": tool, "haproxy_mcp.via": via }
      }))
    })
