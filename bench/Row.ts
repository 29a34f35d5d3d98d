/** What a row of the benchmark is, and what it answers. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { HaproxyBinary } from "../scripts/haproxy.ts"
import type { Profiler } from "./Profile.ts"
import { type Durations, median, quantile, type Ratio } from "./Samples.ts"

/** What every row gets. */
export interface Bench {
  /** Fewer samples and sizes. */
  readonly quick: boolean
  readonly haproxy: HaproxyBinary
  /** Folder for everything that this run writes, on a real disk; removed at the end. */
  readonly folder: string
  /** Records where time goes, when the run is asked to. */
  readonly profiler: Profiler
  /** Says what is being done, on standard error. */
  readonly say: (text: string) => void
}

/** One thing that was measured. */
export interface Side {
  readonly what: string
  /** Its typical value: a median in milliseconds, or a rate per second. */
  readonly value: number
  /** Empty: a number of things. */
  readonly unit: "ms" | "/s" | "MB" | ""
  /** Milliseconds; only of durations. */
  readonly p99?: number
  readonly samples?: number
}

/** What a ratio should be. */
export type Target = { readonly atMost: number } | { readonly atLeast: number }

/** One line of the answer: a subject against what it is compared with. */
export interface Measurement {
  readonly name: string
  readonly subject: Side
  readonly against: Side
  readonly ratio: Ratio
  /** None: stated for information. */
  readonly target?: Target
  /** Parts and neighbours of the numbers above, in milliseconds unless the name says otherwise. */
  readonly details?: Readonly<Record<string, number>>
}

/** A row of the table in DESIGN's words; some give several measurements. */
export interface Row {
  readonly name: string
  readonly title: string
  readonly run: (bench: Bench) => Effect.Effect<ReadonlyArray<Measurement>, unknown, Scope.Scope>
}

/** A row that cannot be measured here, with the reason: not a failure. */
export class Skipped extends Error {}

/** A side made of durations. */
export const duration = (what: string, values: Durations): Side => ({
  what,
  value: median(values),
  unit: "ms",
  p99: quantile(values, 0.99),
  samples: values.length
})

/** A side that is a rate; `values` are those of the rounds. */
export const rate = (what: string, values: ReadonlyArray<number>): Side => ({ what, value: median(values), unit: "/s" })

/** Is the target met? Null: there is none. */
export const met = ({ ratio, target }: Measurement): boolean | null =>
  target === undefined ? null : "atMost" in target ? ratio.value <= target.atMost : ratio.value >= target.atLeast
