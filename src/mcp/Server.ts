/**
 * The MCP server: one factory for every transport and for both eras of the protocol (`initialize` of 2024-11-05 to
 * 2025-11-25, and the per-request envelope of 2026-07-28).
 *
 * A server lives for one HTTP request or one stdio connection, so all that can be is made once: making one costs a
 * constructor and some handlers. Arguments pass through the SDK as they are and are decoded by the tool, so that
 * every refusal is the same `{error}`. A client that goes away interrupts the fiber that runs its call.
 */
import * as sdk from "@modelcontextprotocol/server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Cancelled } from "../domain/Errors.ts"
import type { Principal } from "../domain/Principal.ts"
import type { CallerShape } from "../program/Caller.ts"
import { version } from "../Version.ts"
import { entryOf, findTool, type Offer, offer } from "./Catalogue.ts"
import { complete } from "./Completing.ts"
import { Extension, type ExtensionTool } from "./Extension.ts"
import { instructions } from "./Instructions.ts"
import { getPrompt, listPrompts } from "./Prompts.ts"
import { newRequestId } from "./RequestId.ts"
import { asRequest } from "./RequestSpan.ts"
import { listResources, listTemplates, readResource } from "./Resources.ts"
import { failure, type ToolResult } from "./ToolResult.ts"
import { ToolRunner } from "./ToolRunner.ts"
import { Toolsets } from "./Toolsets.ts"
import { type Entitled, refusalOf, visible } from "./Visible.ts"

const identity: sdk.Implementation = {
  name: "haproxy-mcp",
  title: "HAProxy control plane",
  version
}

const options: sdk.ServerOptions = {
  capabilities: { tools: {}, resources: {}, prompts: {}, completions: {} },
  instructions,
  // What is listed changes only with the version and the caller's rights: a client may keep it for a while (2026-07-28),
  // nobody between may answer one caller with what another one got.
  cacheHints: {
    "tools/list": { ttlMs: 300_000, cacheScope: "private" },
    "resources/list": { ttlMs: 300_000, cacheScope: "private" },
    "resources/templates/list": { ttlMs: 300_000, cacheScope: "private" },
    "prompts/list": { ttlMs: 300_000, cacheScope: "private" },
    "server/discover": { ttlMs: 300_000, cacheScope: "public" }
  }
}

/** The result of a call that was interrupted. */
export const cancelled = failure(
  new Cancelled({ message: "The call was cancelled", hint: "Repeat it if you still need it." })
)

const toWire = (result: ToolResult): sdk.CallToolResult => ({
  content: [{ type: "text", text: result.text }],
  structuredContent: result.structuredContent as Record<string, unknown>,
  ...(result.isError ? { isError: true } : {})
})

const noSuchTool = (name: string, offered: Offer): sdk.ProtocolError => {
  const shown = name.replace(/[^\u0020-\u007e]/g, "?").slice(0, 80)
  return new sdk.ProtocolError(
    sdk.ProtocolErrorCode.InvalidParams,
    `There is no tool ${shown}. ${offered.instead(name)}`
  )
}

/** Who is calling on a transport. */
export interface Client {
  /** `mcp` or `stdio`. */
  readonly via: string
  /** A token's name and id, an address or a user: no secret. */
  readonly who: string
  /** What it may do. */
  readonly principal: Principal
  /** The request's header `traceparent`, unchecked. */
  readonly trace?: string | undefined
}

/** What decides of a tool that an embedding program added: without a scope of its own it is for `admin`. */
const entitled = ({ definition, scope }: ExtensionTool): Entitled => ({
  name: definition.name,
  scope: scope ?? "admin",
  reach: "everything",
  annotations: { readOnlyHint: definition.annotations?.readOnlyHint === true }
})

/** How a client may be told that resources changed. */
export interface Liveness {
  /** It may: the transport and the era have a way. Else nothing is announced. */
  readonly live: boolean
  /** `resources/subscribe` and `unsubscribe` of the older eras, on a connection that lasts. */
  readonly subscribe?: (uri: string) => Promise<void>
  readonly unsubscribe?: (uri: string) => void
}

/** Makes a server for one request or one connection. */
export interface ServerFactory {
  (client: Client, liveness?: Liveness): sdk.Server
  /** May a call of the tool report progress or take long? Then it is answered as a stream. */
  readonly streams: (tool: string) => boolean
}

/** The factory, with the services of the scope that it is made in. `timeout`: milliseconds that a call may take. */
export const makeServerFactory = Effect.fnUntraced(function*(timeout: number) {
  const runner = yield* ToolRunner
  const extension = yield* Extension
  const offered = offer(yield* Toolsets)
  const added = (extension.tools ?? []).filter(({ definition }) => findTool(definition.name) === undefined)
  const more = new Map(added.map((tool) => [tool.definition.name, tool]))
  const { rules } = runner
  const permitted = (tool: ExtensionTool, client: Client) => refusalOf(entitled(tool), client.principal, rules)
  const listedFor = (client: Client) => ({
    tools: [
      ...visible(client.principal, rules, offered.tools).map(entryOf),
      ...added.filter((tool) => permitted(tool, client) === null).map(({ definition }) => definition)
    ]
  } as unknown as sdk.ListToolsResult)
  const all: sdk.ServerOptions = {
    ...options,
    ...extension.options,
    capabilities: { ...options.capabilities, ...extension.options?.capabilities },
    cacheHints: { ...options.cacheHints, ...extension.options?.cacheHints }
  }
  const live: sdk.ServerOptions = {
    ...all,
    capabilities: { ...all.capabilities, resources: { subscribe: true, ...all.capabilities?.resources } }
  }
  const runPromiseExit = Effect.runPromiseExitWith(yield* Effect.context<never>())

  const progressOf = (context: sdk.ServerContext): CallerShape["progress"] => {
    const progressToken = context.mcpReq._meta?.progressToken
    if (progressToken === undefined) return () => Effect.void
    return (progress, total, message) =>
      Effect.ignore(
        Effect.tryPromise(() =>
          context.mcpReq.notify({
            method: "notifications/progress",
            params: { progressToken, progress, total, message }
          })
        )
      )
  }

  /** Runs a tool or a reading for a client. */
  const run = async (client: Client, name: string, args: unknown, context: sdk.ServerContext, method: string) => {
    const { principal, trace, via, who } = client
    const exit = await runPromiseExit(
      runner.call(name, args, {
        actor: { via, who, requestId: newRequestId() },
        principal,
        timeout,
        progress: progressOf(context)
      }).pipe(asRequest(name, via, trace, context.mcpReq._meta, method)),
      { signal: context.mcpReq.signal }
    )
    if (Exit.isSuccess(exit)) return exit.value
    if (Cause.hasInterruptsOnly(exit.cause)) return cancelled
    throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InternalError, "Internal error")
  }

  const call = async (client: Client, request: sdk.CallToolRequest, context: sdk.ServerContext) => {
    const { arguments: args, name } = request.params
    if (offered.find(name) === undefined) {
      const tool = more.get(name)
      if (tool === undefined) throw noSuchTool(name, offered)
      const refused = permitted(tool, client)
      if (refused !== null) return toWire(failure(refused))
      return tool.call(args ?? {}, context, client)
    }
    return toWire(await run(client, name, args, context, "tools/call"))
  }

  /** Resources, prompts and completions: they read by the client's own rights, as its calls would. */
  const registerReading = (server: sdk.Server, client: Client) => {
    const { principal } = client
    const reading = (context: sdk.ServerContext) => (name: string, args: Readonly<Record<string, unknown>>) =>
      run(client, name, args, context, context.mcpReq.method)
    server.setRequestHandler("resources/list", ({ params }) => listResources(principal, rules, params?.cursor))
    server.setRequestHandler(
      "resources/templates/list",
      ({ params }) => listTemplates(principal, rules, params?.cursor)
    )
    server.setRequestHandler("resources/read", ({ params }, context) => readResource(params.uri, reading(context)))
    server.setRequestHandler("prompts/list", ({ params }) => listPrompts(principal, rules, params?.cursor))
    server.setRequestHandler(
      "prompts/get",
      ({ params }, context) => getPrompt(params, principal, rules, reading(context))
    )
    server.setRequestHandler(
      "completion/complete",
      ({ params }, context) => complete(params, principal, rules, reading(context))
    )
  }

  const factory = (client: Client, liveness?: Liveness) => {
    const server = new sdk.Server(identity, liveness?.live === true ? live : all)
    server.setRequestHandler("tools/list", () => listedFor(client))
    server.setRequestHandler("tools/call", (request, context) => call(client, request, context))
    registerReading(server, client)
    const { subscribe, unsubscribe } = liveness ?? {}
    if (subscribe !== undefined) {
      server.setRequestHandler("resources/subscribe", async ({ params }) => {
        await subscribe(params.uri)
        return {}
      })
    }
    if (unsubscribe !== undefined) {
      server.setRequestHandler("resources/unsubscribe", ({ params }) => {
        unsubscribe(params.uri)
        return {}
      })
    }
    // After ours: an embedding program may have others in their place.
    extension.register?.(server)
    return server
  }
  const streams = (tool: string) => (offered.find(tool)?.long ?? more.get(tool)?.streams) === true
  return Object.assign(factory, { streams }) satisfies ServerFactory
})
