/**
 * Spans, where somebody collects them.
 *
 * Guarantees: without a tracer (Telemetry.ts installs it when a collector is named) a span is one look at the fiber,
 * not an object, a clock and a stack trace. With one, every span has its place in the tree of the request that it is
 * part of. Names are of this program, never of a caller; attributes are numbers, names of objects and of commands,
 * never arguments as a whole, payloads or headers.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** What a span may be told. */
export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface SpanOptions {
  readonly attributes?: Attributes
  /** Instead of the span that the fiber is in. */
  readonly parent?: Tracer.AnySpan | undefined
  readonly kind?: Tracer.SpanKind
  /** Other spans that it has to do with. */
  readonly links?: ReadonlyArray<Tracer.SpanLink>
}

/** Does anyone collect what this fiber does? */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean => fiber.cache.tracer !== undefined

/** Runs an effect as a span. */
export const span =
  (name: string, options: SpanOptions | (() => SpanOptions) = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) => isTraced(fiber) ? inside(self, name, options) : self)

const inside = <A, E, R>(
  self: Effect.Effect<A, E, R>,
  name: string,
  options: SpanOptions | (() => SpanOptions)
): Effect.Effect<A, E, R> => {
  const { parent, ...rest } = typeof options === "function" ? options() : options
  return Effect.useSpan(
    name,
    { ...rest, ...(parent === undefined ? {} : { parent }) },
    (one) => Effect.provideService(self, Tracer.ParentSpan, one)
  )
}

/** A function whose every call is a span: `Effect.fn` at no cost where nobody collects. */
export const fn = (name: string): Effect.fn.Untraced => {
  const asSpan = span(name)
  const make = (body: Function, ...pipeables: ReadonlyArray<Function>): Function =>
    (Effect.fnUntraced as Function)(body, ...pipeables, asSpan)
  return make as unknown as Effect.fn.Untraced
}

/** The span that the fiber is in, if anyone collects it: what work in another fiber takes as its parent. */
export const current: Effect.Effect<Tracer.AnySpan | undefined> = Effect.withFiber((fiber) =>
  Effect.succeed(isTraced(fiber) ? fiber.cache.span : undefined)
)

/** Tells the span that the fiber is in something more. */
export const annotate = (attributes: () => Attributes): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const span = fiber.cache.span
    if (isTraced(fiber) && span?._tag === "Span") {
      for (const [key, value] of Object.entries(attributes())) span.attribute(key, value)
    }
    return Effect.void
  })

/** `version-traceid-spanid-flags`; later versions may add more (W3C Trace Context, 3.2.4). */
const traceparentForm = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/

/** The span that a `traceparent` names; undefined for what is none. */
export const parse = (traceparent: unknown): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] = typeof traceparent === "string" ? traceparentForm.exec(traceparent) ?? [] : []
  return traceId === undefined || spanId === undefined || flags === undefined
    ? undefined
    : Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/** The `traceparent` of the span that the fiber is in, collected or not, for another process of ours. */
export const traceparent: Effect.Effect<string | undefined> = Effect.withFiber((fiber) => {
  const { span } = fiber.cache
  return Effect.succeed(
    span === undefined ? undefined : `00-${span.traceId}-${span.spanId}-${span.sampled ? "01" : "00"}`
  )
})

/** A span that callbacks begin and end. */
export interface Manual {
  /** Begins now. */
  readonly begin: () => void
  /** Ends now; does nothing when it has not begun. */
  readonly end: (exit: Exit.Exit<unknown, unknown>) => void
}

/** A span below the one that the fiber is in, for work that is done by callbacks; null when nobody collects it. */
export const manual = (fiber: Fiber.Fiber<unknown, unknown>, name: string): Manual | null => {
  const { span: parent, tracer } = fiber.cache
  if (tracer === undefined || parent === undefined) return null
  const clock = fiber.getRef(Clock.Clock)
  let span: Tracer.Span | undefined
  return {
    begin: () => {
      span = tracer.span({
        name,
        parent: Option.some(parent),
        annotations: Context.empty(),
        links: [],
        startTime: clock.currentTimeNanosUnsafe(),
        kind: "client",
        root: false,
        sampled: parent.sampled
      })
    },
    end: (exit) => span?.end(clock.currentTimeNanosUnsafe(), exit)
  }
}
