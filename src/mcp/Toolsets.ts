/**
 * Which groups of tools this process offers (`MCP_TOOLSETS`). `default` is always there.
 *
 * A reference, not a service: every transport and `callTool` read the same one, so what is listed and what is called
 * cannot differ; a program that says nothing offers the default set.
 */
import * as Context from "effect/Context"
import type { Toolset } from "../domain/Toolset.ts"

export const Toolsets = Context.Reference<ReadonlySet<Toolset>>("haproxy-mcp/mcp/Toolsets", {
  defaultValue: () => new Set<Toolset>(["default"])
})
