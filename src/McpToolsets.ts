/** The toolsets as the settings say: one layer below the tools and the transports, so that both have the same. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Settings } from "./Config.ts"
import type { Toolset } from "./domain/Toolset.ts"
import { Toolsets } from "./mcp/Toolsets.ts"

export const layer: Layer.Layer<never, never, Settings> = Layer.effect(
  Toolsets,
  Effect.map(Settings, ({ mcpToolsets }) => new Set<Toolset>(["default", ...mcpToolsets]))
)
