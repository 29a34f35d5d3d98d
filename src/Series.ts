/**
 * What all series of `/metrics` have in common: they exist before anything has happened, so that an alert sees the
 * first event, and they cost a look into a map when they move. Each folder names its own in its `Metrics.ts`.
 *
 * Names follow Prometheus: `haproxy_mcp_<what>_<unit>`, seconds and bytes, counters end in `_total`. Labels come from
 * closed sets only, never from callers.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

/** Buckets for work that takes a millisecond when all is well and is ended by a deadline when not; seconds. */
export const seconds: ReadonlyArray<number> = [
  0.0005,
  0.001,
  0.002,
  0.005,
  0.01,
  0.02,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10
]

/** A counter that only grows. */
export const counter = (
  name: string,
  description: string,
  attributes: Readonly<Record<string, string>> = {}
): Metric.Counter<number> => Metric.counter(name, { description, attributes, incremental: true })

/** One counter for each value of a label. */
export const countersBy = <const K extends string>(
  name: string,
  description: string,
  label: string,
  values: ReadonlyArray<K>
): ReadonlyMap<K, Metric.Counter<number>> =>
  new Map(values.map((value) => [value, counter(name, description, { [label]: value })]))

/** Times in seconds. */
export const timer = (
  name: string,
  description: string,
  attributes: Readonly<Record<string, string>> = {},
  boundaries: ReadonlyArray<number> = seconds
): Metric.Histogram<number> => Metric.histogram(name, { description, attributes, boundaries })

/** Makes series show their 0. */
export const exist = (series: Iterable<Metric.Metric<never, unknown>>): Effect.Effect<void> =>
  Effect.map(Effect.context<never>(), (context) => {
    for (const one of series) one.valueUnsafe(context)
  })

/** Shows a value that lives elsewhere, read when somebody asks, for as long as the scope lives. */
export const watched = (
  name: string,
  description: string,
  read: () => number,
  attributes: Readonly<Record<string, string>> = {}
): Effect.Effect<void, never, Scope.Scope> =>
  shown(Metric.gauge(name, { description, attributes }), () => ({ value: read() }))

/** The same for a number that only grows. */
export const watchedCounter = (
  name: string,
  description: string,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  shown(counter(name, description), () => ({ count: read(), incremental: true }))

const shown = <I, S>(series: Metric.Metric<I, S>, get: () => S): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(
    Effect.map(
      Effect.context<never>(),
      (context) => Metric.registerUnsafe(series, context, { get, update: () => {}, modify: () => {} })
    ),
    (registration) => Effect.sync(() => registration.remove())
  ))
