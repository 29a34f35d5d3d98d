/** Who runs the tools: this process (the programs) or the `serve` process behind its admin socket (RemoteTools.ts). */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CallerShape } from "../program/Caller.ts"
import { notReadyReason } from "../program/Health.ts"
import { PoolAllocator } from "../program/PoolAllocator.ts"
import type { ProgramServices } from "../program/Services.ts"
import { callTool } from "./CallTool.ts"
import type { ToolResult } from "./ToolResult.ts"

export class ToolRunner extends Context.Service<ToolRunner, {
  /** Calls a tool. Never fails: every end is a result or an interruption. */
  readonly call: (name: string, args: unknown, caller: Omit<CallerShape, "tool">) => Effect.Effect<ToolResult>
  /** The same for a verb of the admin socket (AdminCatalogue.ts). */
  readonly admin: (verb: string, args: unknown, caller: Omit<CallerShape, "tool">) => Effect.Effect<ToolResult>
  /** Null when writes would be taken now, else why not, in one sentence. */
  readonly notReady: Effect.Effect<string | null>
  /** Tells those who run the tools that this process is going away: calls shall end soon, and are still answered. */
  readonly stopping: Effect.Effect<void>
}>()("haproxy-mcp/mcp/ToolRunner") {
  /** Runs the programs here. */
  static readonly local: Layer.Layer<ToolRunner, never, ProgramServices> = Layer.effect(
    ToolRunner,
    Effect.gen(function*() {
      const services = yield* Effect.context<ProgramServices>()
      let outer = Context.empty()
      let inner = services
      // A transport calls with one and the same context, and merging two copies both, every time.
      const withServices = (context: Context.Context<never>): Context.Context<ProgramServices> => {
        if (context !== outer) {
          outer = context
          inner = Context.merge(context, services)
        }
        return inner
      }
      return ToolRunner.of({
        call: (name, args, caller) => Effect.updateContext(callTool(name, args, caller), withServices),
        // Loaded when it is first asked for: a server's start does without it.
        admin: (verb, args, caller) =>
          Effect.flatMap(
            Effect.promise(() => import("./AdminCatalogue.ts")),
            ({ adminCatalogue }) => Effect.provideContext(callTool(verb, args, caller, adminCatalogue), services)
          ),
        notReady: Effect.provideContext(notReadyReason, services),
        stopping: Effect.provideContext(Effect.flatMap(PoolAllocator, (allocator) => allocator.stopping), services)
      })
    })
  )
}
