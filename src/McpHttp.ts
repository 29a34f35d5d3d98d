/**
 * MCP over HTTP as the settings say: the tokens, the bind policy, the gate, the listener. Refuses to start where the
 * settings would let strangers in. Logs one line with the address once it listens.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "./Config.ts"
import { defaultTokenFile } from "./config/Table.ts"
import { ConfigInvalid, type Conflict } from "./domain/Errors.ts"
import { makeTokens } from "./mcp/Auth.ts"
import { bindPolicy } from "./mcp/BindPolicy.ts"
import { HttpListener } from "./mcp/Http.ts"
import { ToolRunner } from "./mcp/ToolRunner.ts"

const orFail = <A>(value: A | ConfigInvalid): Effect.Effect<A, ConfigInvalid> =>
  value instanceof ConfigInvalid ? Effect.fail(value) : Effect.succeed(value)

const announce = Layer.effectDiscard(Effect.gen(function*() {
  const { address } = yield* HttpListener
  yield* Effect.logInfo("listening for MCP", {
    ...(address.path === null ? { host: address.host, port: address.port } : { socket: address.path }),
    ready_ms: Math.round(performance.now())
  })
}))

export const layer: Layer.Layer<never, ConfigInvalid | Conflict, Settings | ToolRunner> = Layer.unwrap(
  Effect.gen(function*() {
    const settings = yield* Settings
    const { tokens: stored } = yield* ToolRunner
    const tokens = yield* orFail(makeTokens({
      stored,
      token: settings.mcpToken,
      file: settings.mcpTokenFile ?? defaultTokenFile,
      fileOptional: settings.mcpTokenFile === null
    }))
    const bind = yield* orFail(bindPolicy({
      host: settings.mcpHost,
      socket: settings.mcpSocket,
      auth: settings.mcpAuth ? "on" : "off",
      hasToken: tokens.any() === true,
      trustedCidrs: settings.mcpTrustedCidrs
    }))
    if (bind.warning !== null) yield* Effect.logWarning(bind.warning)
    return Layer.provide(
      announce,
      HttpListener.layer({
        listen: settings.mcpSocket === null
          ? { host: bind.host, port: settings.mcpPort }
          : { path: settings.mcpSocket },
        gate: {
          open: bind.open,
          tokens,
          trustedCidrs: settings.mcpTrustedCidrs,
          trustedProxies: settings.mcpTrustedProxies,
          allowedHosts: settings.mcpAllowedHosts,
          allowedOrigins: settings.mcpAllowedOrigins
        },
        timeout: settings.mcpCallTimeout
      })
    )
  })
)
