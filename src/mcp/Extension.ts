/**
 * What another program adds to the MCP server when it embeds it: tools, prompts and resources of its own, beside ours
 * and behind the same gate, over HTTP and over stdio.
 *
 * Guarantees: our tools stay as they are; a tool of the same name is never reached. A handler that is set for resources,
 * prompts or completions takes the place of ours. What it does not do: an extension's
 * tools get no deadline, no metrics and no `{error}` from us, and cannot be called through the admin socket.
 * `haproxy-mcp` itself has no extension, and no setting gives it one: it comes only as a layer, from code.
 */
import type * as sdk from "@modelcontextprotocol/server"
import * as Context from "effect/Context"
import type { Scope } from "../domain/Principal.ts"
import type { Client } from "./Server.ts"

/** A tool of an extension, as MCP defines it and as a promise. A promise that fails answers JSON-RPC's error. */
export interface ExtensionTool {
  /** Name, description, schemas and annotations, as `tools/list` answers them. */
  readonly definition: sdk.Tool
  /** The right that a caller needs; default `admin`. Callers that are limited to some domains never get it. */
  readonly scope?: Scope
  /** Its answer is a stream of events that begins at once: without it, notifications of a call go nowhere. */
  readonly streams?: boolean
  /** Arguments come as they were sent: nothing has been checked against the schema. */
  readonly call: (
    args: Record<string, unknown>,
    context: sdk.ServerContext,
    client: Client
  ) => sdk.CallToolResult | sdk.InputRequiredResult | Promise<sdk.CallToolResult | sdk.InputRequiredResult>
}

/** See the module's head. */
export interface ExtensionShape {
  /** Listed after ours. */
  readonly tools?: ReadonlyArray<ExtensionTool>
  /** Options of the SDK's server beside ours, such as the capabilities `prompts` and `resources`. */
  readonly options?: Pick<sdk.ServerOptions, "capabilities" | "cacheHints" | "requestState">
  /** Sets further handlers on every server, of which each lives for one request or one connection. */
  readonly register?: (server: sdk.Server) => void
}

/** See the module's head. Nothing unless a layer gives one. */
export const Extension: Context.Reference<ExtensionShape> = Context.Reference("haproxy-mcp/mcp/Extension", {
  defaultValue: (): ExtensionShape => ({})
})
