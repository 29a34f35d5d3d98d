/**
 * The shortest way of all, for the one request that nearly every caller sends: a plain `tools/call` of the older
 * eras over HTTP that exists, is answered by one JSON document and asks for nothing else.
 *
 * The envelope has been checked by the SDK (SingleExchange.ts, `plainEra`); what is left for the protocol to do here
 * is to wrap the result, which took the SDK a server, a transport and 60 µs of CPU, a tenth of a reading call. All
 * other requests are its own: an unknown tool, other parameters than the two, arguments that are no object.
 */
import type { JSONRPCRequest } from "@modelcontextprotocol/server"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ServerResponse } from "node:http"
import { type Offer, offer } from "./Catalogue.ts"
import { newRequestId } from "./RequestId.ts"
import { asRequest } from "./RequestSpan.ts"
import { cancelled, type Client } from "./Server.ts"
import type { ToolResult } from "./ToolResult.ts"
import { ToolRunner } from "./ToolRunner.ts"
import { Toolsets } from "./Toolsets.ts"

/** The JSON of the answer, or null when the request is not for this way. A client that goes away ends its call. */
export type DirectCall = (request: JSONRPCRequest, response: ServerResponse, client: Client) => Promise<string> | null

/** JSON-RPC's "internal error" (jsonrpc.org/specification, 5.1). */
const internalError = -32_603

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A progress token is a text or a whole number (MCP 2025-11-25, RequestMeta); a single document reports nothing. */
const isPlainMeta = (meta: unknown): boolean => {
  if (meta === undefined) return true
  const token = isRecord(meta) ? meta["progressToken"] : null
  return token === undefined || typeof token === "string" || Number.isSafeInteger(token)
}

/** The tool of a plain call and its arguments; null for all else. */
const plainCall = (
  { method, params }: JSONRPCRequest,
  offered: Offer
): { readonly name: string; readonly args: unknown } | null => {
  if (method !== "tools/call" || params === undefined) return null
  const { _meta, arguments: args, name, ...others } = params
  return typeof name === "string" && offered.find(name) !== undefined && (args === undefined || isRecord(args))
      && isPlainMeta(_meta) && Object.keys(others).length === 0
    ? { name, args }
    : null
}

/** A result on the wire (MCP 2025-11-25, CallToolResult). Its text is the JSON of its structured content already. */
const resultJson = (id: JSONRPCRequest["id"], { isError, text }: ToolResult): string =>
  `{"result":{"content":[{"type":"text","text":${JSON.stringify(text)}}],"structuredContent":${text}${
    isError ? ",\"isError\":true" : ""
  }},"jsonrpc":"2.0","id":${JSON.stringify(id)}}`

const failureJson = (id: JSONRPCRequest["id"]): string =>
  JSON.stringify({ jsonrpc: "2.0", id, error: { code: internalError, message: "Internal error" } })

/** Direct calls of the tools that run here. `timeout`: milliseconds that a call may take. */
export const makeDirectCall = Effect.fnUntraced(function*(timeout: number) {
  const runner = yield* ToolRunner
  const offered = offer(yield* Toolsets)
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const directCall: DirectCall = (request, response, client) => {
    const call = plainCall(request, offered)
    if (call === null) return null
    const { promise, resolve } = Promise.withResolvers<string>()
    const { principal, trace, via, who } = client
    const running = runner.call(call.name, call.args, {
      actor: { via, who, requestId: newRequestId() },
      principal,
      timeout,
      progress: () => Effect.void
    })
    const fiber = runFork(running.pipe(asRequest(call.name, via, trace, request.params?.["_meta"])))
    const gone = () => fiber.interruptUnsafe()
    response.once("close", gone)
    fiber.addObserver((exit) => {
      response.off("close", gone)
      if (Exit.isSuccess(exit)) resolve(resultJson(request.id, exit.value))
      else resolve(Cause.hasInterruptsOnly(exit.cause) ? resultJson(request.id, cancelled) : failureJson(request.id))
    })
    return promise
  }
  return directCall
})
