/** A whole control plane in this process, from its settings up to its tools, as `serve` builds it: without a transport. */
import { assert } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "../../src/Config.ts"
import { withAllRights } from "../../src/domain/Principal.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import * as Tools from "../../src/Tools.ts"
import { poll } from "./Poll.ts"
import type { Env } from "./Settings.ts"

export interface Launched {
  /** Calls a tool; answers `OK` or the code of the error, and the data. */
  readonly call: (
    tool: string,
    args: Readonly<Record<string, unknown>>,
    timeout?: number
  ) => Effect.Effect<{ readonly code: string; readonly data: Readonly<Record<string, unknown>> }>
  /** Why `/readyz` would answer 503; null when it would not. */
  readonly notReady: Effect.Effect<string | null>
  /** Waits until it would answer 200. */
  readonly ready: (note: string) => Effect.Effect<void>
}

/** Starts it in the scope. */
export const launch = Effect.fnUntraced(function*(env: Env) {
  const context = yield* Layer.build(
    Tools.layer({ claim: true }).pipe(Layer.provide(Settings.layer({ env })))
  )
  const runner = Context.get(context, ToolRunner)
  const launched: Launched = {
    call: (tool, args, timeout = 10_000) =>
      Effect.map(
        runner.call(tool, args, {
          actor: { via: "test", who: "test", requestId: "test" },
          principal: withAllRights("program", "test"),
          progress: () => Effect.void,
          timeout
        }),
        ({ code, structuredContent }) => ({ code, data: structuredContent })
      ),
    notReady: runner.notReady,
    ready: (note) =>
      Effect.promise(async () => {
        let reason: string | null = "not asked"
        await poll(note, async () => {
          reason = await Effect.runPromise(runner.notReady)
          return reason === null ? true : undefined
        }).catch((error: Error) => assert.fail(`${error.message}: ${reason}`))
      })
  }
  return launched
})
