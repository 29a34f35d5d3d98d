/** A listener of ours on a free port with any tools behind it, and the official clients, all behind one shape. */
import { Client as Client2, StreamableHTTPClientTransport as Http2 } from "@modelcontextprotocol/client"
import { StdioClientTransport as Stdio2 } from "@modelcontextprotocol/client/stdio"
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js"
import { StdioClientTransport as Stdio1 } from "@modelcontextprotocol/sdk/client/stdio.js"
import { StreamableHTTPClientTransport as Http1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { type Grant, type Principal, withAllRights } from "../../src/domain/Principal.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import type { GateOptions } from "../../src/mcp/Gate.ts"
import { HttpListener, type HttpOptions } from "../../src/mcp/Http.ts"
import { watchHere } from "../../src/mcp/Subscriptions.ts"
import { success } from "../../src/mcp/ToolResult.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { unrestricted } from "../../src/mcp/Visible.ts"
import { formatLine } from "../../src/Observability.ts"
import { notReadyReason } from "../../src/program/Health.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { noTokens } from "../../src/program/TokenIndex.ts"
import type { World } from "../support/World.ts"

export const openGate: GateOptions = {
  open: "local",
  tokens: { find: () => "wrong", any: () => false },
  trustedCidrs: [],
  trustedProxies: [],
  allowedHosts: [],
  allowedOrigins: []
}

/** A token that stays good. */
export const grantOf = (principal: Principal): Grant => ({ principal, isGood: () => true })

export const token = "correct-horse-battery"
export const tokenGate: GateOptions = {
  ...openGate,
  open: "closed",
  tokens: { find: (given) => given === token ? grantOf(withAllRights("token", "token-1")) : "wrong", any: () => true }
}

/** The programs of a world. */
export const worldTools = (world: World): ToolRunner["Service"] => ({
  rules: unrestricted,
  tokens: noTokens,
  call: (name, args, caller) => world.run(callTool(name, args, caller)),
  admin: () => Effect.die("not asked for here"),
  watch: (...how) => world.run(watchHere(unrestricted)(...how)),
  notReady: world.run(notReadyReason),
  stopping: world.run(Effect.flatMap(PoolAllocator, (allocator) => allocator.stopping))
})

/** Tools that answer what a function says, where a test is about the transport and not about programs. */
export const toolsOf = (
  call: (
    name: string,
    args: Record<string, unknown>,
    caller: Parameters<ToolRunner["Service"]["call"]>[2]
  ) => Effect.Effect<Record<string, unknown>>
): ToolRunner["Service"] => ({
  rules: unrestricted,
  tokens: noTokens,
  call: (name, args, caller) => Effect.map(call(name, (args ?? {}) as Record<string, unknown>, caller), success),
  admin: () => Effect.die("not asked for here"),
  watch: () => Effect.never,
  notReady: Effect.succeed(null),
  stopping: Effect.void
})

/** What was logged, as JSON lines are. */
export interface LogLines {
  readonly lines: Array<Record<string, unknown>>
  readonly layer: Layer.Layer<never>
}

export const captureLogs = (): LogLines => {
  const lines: Array<Record<string, unknown>> = []
  return {
    lines,
    layer: Logger.layer([Logger.map(formatLine, (line) => {
      lines.push(JSON.parse(line) as Record<string, unknown>)
    })])
  }
}

export interface Listening {
  readonly url: string
  readonly port: number
  readonly logs: LogLines["lines"]
  /** Stops the listener in order. */
  readonly stop: Effect.Effect<void>
}

/** Starts a listener in the scope of the test. */
export const startHttp = Effect.fnUntraced(function*(
  tools: ToolRunner["Service"],
  options: Partial<HttpOptions> = {}
) {
  const logs = captureLogs()
  const scope = yield* Scope.fork(yield* Effect.scope)
  const layer = HttpListener.layer({
    listen: { host: "127.0.0.1", port: 0 },
    gate: openGate,
    timeout: 10_000,
    ...options
  }).pipe(Layer.provide(Layer.succeed(ToolRunner, tools)), Layer.provide(logs.layer))
  const { address } = Context.get(yield* Layer.buildWithScope(layer, scope), HttpListener)
  const listening: Listening = {
    url: `http://127.0.0.1:${address.port}/mcp`,
    port: address.port ?? 0,
    logs: logs.lines,
    stop: Scope.close(scope, Exit.void)
  }
  return listening
})

export interface CallAnswer {
  readonly structuredContent?: unknown
  readonly isError?: boolean | undefined
  readonly content: unknown
}

export interface Progress {
  readonly progress: number
  readonly total?: number | undefined
  readonly message?: string | undefined
}

/** What of both official clients is the same: resources, prompts and completions. */
export type Reader = Pick<
  Client2,
  "listResources" | "listResourceTemplates" | "readResource" | "listPrompts" | "getPrompt" | "complete"
>

/** An official client, whichever. */
export interface AnyClient {
  readonly reader: Reader
  readonly version: string | undefined
  readonly instructions: string | undefined
  readonly listTools: () => Promise<ReadonlyArray<Record<string, unknown> & { readonly name: string }>>
  readonly call: (
    name: string,
    args: Record<string, unknown>,
    options?: { readonly signal?: AbortSignal; readonly onprogress?: (progress: Progress) => void }
  ) => Promise<CallAnswer>
  readonly close: () => Promise<void>
}

/** How to reach a server. */
export type Target =
  | { readonly url: string; readonly headers?: Record<string, string> }
  | { readonly command: string; readonly args: Array<string>; readonly env: Record<string, string> }

const info = { name: "test", version: "1.0.0" }

const client1 = async (target: Target): Promise<AnyClient> => {
  const client = new Client1(info)
  await client.connect(
    "url" in target
      ? new Http1(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
      : new Stdio1({ ...target, stderr: "ignore" })
  )
  return {
    reader: client as unknown as Reader,
    version: undefined,
    instructions: client.getInstructions(),
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args, options) =>
      await client.callTool({ name, arguments: args }, undefined, options) as CallAnswer,
    close: () => client.close()
  }
}

const client2 = (mode: "legacy" | { readonly pin: string }) => async (target: Target): Promise<AnyClient> => {
  const client = new Client2(info, { versionNegotiation: { mode } })
  await client.connect(
    "url" in target
      ? new Http2(new URL(target.url), { requestInit: { headers: target.headers ?? {} } })
      : new Stdio2({ ...target, stderr: "ignore" })
  )
  return {
    reader: client,
    version: client.getNegotiatedProtocolVersion(),
    instructions: client.getInstructions(),
    listTools: async () =>
      (await client.listTools()).tools as ReadonlyArray<Record<string, unknown> & { name: string }>,
    call: async (name, args, options) => await client.callTool({ name, arguments: args }, options) as CallAnswer,
    close: () => client.close()
  }
}

/** The official clients and eras of the protocol. */
export const clients: ReadonlyArray<readonly [name: string, connect: (target: Target) => Promise<AnyClient>]> = [
  ["the 1.x client", client1],
  ["the 2.x client, older era", client2("legacy")],
  ["the 2.x client, 2026-07-28", client2({ pin: "2026-07-28" })]
]

/** Connects a client for the rest of the scope. */
export const connected = (connect: (target: Target) => Promise<AnyClient>, target: Target) =>
  Effect.acquireRelease(Effect.promise(() => connect(target)), (client) => Effect.promise(() => client.close()))

export interface RawAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** One request by no client of MCP. */
export const raw = async (url: string, init: RequestInit = {}): Promise<RawAnswer> => {
  const response = await fetch(url, init)
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** A JSON-RPC message as the seed's users post it with curl. */
export const post = (url: string, message: unknown, headers: Record<string, string> = {}): Promise<RawAnswer> =>
  raw(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
    body: typeof message === "string" ? message : JSON.stringify(message)
  })

export const callMessage = (name: string, args: unknown, id: number | string = 1) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: args }
})

/** Waits for a condition, at most ten seconds. */
export const until = async (condition: () => boolean): Promise<void> => {
  const end = performance.now() + 10_000
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not become so")
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
