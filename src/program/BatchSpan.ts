/**
 * A batch in the traces of those whose writes it makes. A write that is alone in its batch, the usual case, has the
 * batch below its own span, so that one trace tells everything. Of writes that share one, the first has the batch; the
 * others have their own decision, and their span and the batch's name each other by links.
 */
import * as Effect from "effect/Effect"
import type { AnySpan } from "effect/Tracer"
import * as Tracing from "../Tracing.ts"
import type { Job } from "./Deciding.ts"

const linkBack = (others: ReadonlyArray<AnySpan>) =>
  Effect.map(Tracing.current, (batch) => {
    if (batch === undefined) return
    for (const span of others) if (span._tag === "Span") span.addLinks([{ span: batch, attributes: {} }])
  })

/** Runs the batch of these jobs as a span. */
export const asBatch = (jobs: ReadonlyArray<Job>) => <A, E, R>(batch: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    if (!Tracing.isTraced(fiber)) return batch
    const [first, ...others] = jobs.flatMap(({ span }) => span === undefined ? [] : [span])
    return Effect.andThen(linkBack(others), batch).pipe(Tracing.span("Batch", {
      parent: first,
      links: others.map((span) => ({ span, attributes: {} })),
      attributes: { "haproxy_mcp.writes": jobs.length }
    }))
  })
