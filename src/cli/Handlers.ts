/** What the commands need of the program behind them; main.ts provides it. */
import type * as Effect from "effect/Effect"
import type { Sources } from "../Config.ts"
import type { Report } from "../doctor/Finding.ts"
import type { ToolRunner } from "../mcp/ToolRunner.ts"
import type { HealthAnswer } from "../program/HealthShapes.ts"

export interface Handlers<R> {
  readonly serve: (sources: Sources) => Effect.Effect<void, unknown, R>
  readonly stdio: (sources: Sources) => Effect.Effect<void, unknown, R>
  /** How things are while nobody serves, and why nobody seems to. */
  readonly peek: (sources: Sources, why: string) => Effect.Effect<HealthAnswer, unknown, R>
  /** What is wrong and how to mend it. */
  readonly doctor: (sources: Sources) => Effect.Effect<Report, unknown, R>
  /** Runs `work` on a control plane of this process, without a transport, for as long as it takes (see Verb.ts). */
  readonly alone: <A, E>(
    sources: Sources,
    work: Effect.Effect<A, E, ToolRunner>
  ) => Effect.Effect<A, unknown, R>
}
