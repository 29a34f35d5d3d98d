/** Who runs the tools: this process (the programs) or the `serve` process behind its admin socket (RemoteTools.ts). */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { Settings } from "../Config.ts"
import { ConfigInvalid } from "../domain/Errors.ts"
import type { CallerShape } from "../program/Caller.ts"
import { notReadyReason } from "../program/Health.ts"
import { PoolAllocator } from "../program/PoolAllocator.ts"
import type { ProgramServices } from "../program/Services.ts"
import type { TokenLookup } from "../program/TokenIndex.ts"
import { Tokens } from "../program/Tokens.ts"
import { callTool } from "./CallTool.ts"
import { type Watch, watchHere } from "./Subscriptions.ts"
import type { ToolResult } from "./ToolResult.ts"
import { leavesNothing, Rules, rulesOf, type RulesShape } from "./Visible.ts"

/** The operator's rules: those of the settings, where there are settings. */
export const rulesHere = Effect.gen(function*() {
  const settings = yield* Effect.serviceOption(Settings)
  const rules = Option.isSome(settings) ? rulesOf(settings.value) : yield* Rules
  if (rules instanceof ConfigInvalid) return yield* rules
  if (leavesNothing(rules)) yield* Effect.logWarning("MCP clients can call no tool: the settings leave none")
  return rules
})

export class ToolRunner extends Context.Service<ToolRunner, {
  /** Calls a tool. Never fails: every end is a result or an interruption. */
  readonly call: (name: string, args: unknown, caller: Omit<CallerShape, "tool">) => Effect.Effect<ToolResult>
  /** The same for a verb of the admin socket (AdminCatalogue.ts). */
  readonly admin: (verb: string, args: unknown, caller: Omit<CallerShape, "tool">) => Effect.Effect<ToolResult>
  /** Tells when resources change, as far as the caller may read them. */
  readonly watch: Watch
  /** What the operator leaves to MCP clients: what they may list is computed from it. Calls are held to it here. */
  readonly rules: RulesShape
  /** The bearer tokens of the database, for the gate. */
  readonly tokens: TokenLookup
  /** Null when writes would be taken now, else why not, in one sentence. */
  readonly notReady: Effect.Effect<string | null>
  /** Tells those who run the tools that this process is going away: calls shall end soon, and are still answered. */
  readonly stopping: Effect.Effect<void>
}>()("haproxy-mcp/mcp/ToolRunner") {
  /** Runs the programs here. */
  static readonly local: Layer.Layer<ToolRunner, ConfigInvalid, ProgramServices> = Layer.effect(
    ToolRunner,
    Effect.gen(function*() {
      const rules = yield* rulesHere
      const services = Context.add(yield* Effect.context<ProgramServices>(), Rules, rules)
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
        rules,
        tokens: Context.get(services, Tokens).lookup,
        call: (name, args, caller) => Effect.updateContext(callTool(name, args, caller), withServices),
        // Loaded when it is first asked for: a server's start does without it.
        admin: (verb, args, caller) =>
          Effect.flatMap(
            Effect.promise(() => import("./AdminCatalogue.ts")),
            ({ adminCatalogue }) => Effect.provideContext(callTool(verb, args, caller, adminCatalogue), services)
          ),
        watch: (...how) => Effect.provideContext(watchHere(rules)(...how), services),
        notReady: Effect.provideContext(notReadyReason, services),
        stopping: Effect.provideContext(Effect.flatMap(PoolAllocator, (allocator) => allocator.stopping), services)
      })
    })
  )
}
