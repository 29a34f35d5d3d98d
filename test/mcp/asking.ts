/** Questions of JSON-RPC by no client of MCP: over HTTP and over streams, in both eras of the protocol. */
import * as Effect from "effect/Effect"
import { PassThrough } from "node:stream"
import type { Scope } from "../../src/domain/Principal.ts"
import * as Stdio from "../../src/mcp/Stdio.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { post } from "./harness.ts"

export interface Answer {
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
  readonly result?: {
    readonly tools?: ReadonlyArray<{ readonly name: string }>
    readonly structuredContent?: { readonly summary?: string; readonly error?: { code: string; message: string } }
    readonly resources?: ReadonlyArray<{ readonly uri: string }>
    readonly resourceTemplates?: ReadonlyArray<{ readonly uriTemplate: string }>
    readonly contents?: ReadonlyArray<{ readonly uri: string; readonly mimeType: string; readonly text: string }>
    readonly prompts?: ReadonlyArray<{ readonly name: string }>
    readonly messages?: ReadonlyArray<{ readonly role: string; readonly content: { readonly text: string } }>
    readonly completion?: {
      readonly values: ReadonlyArray<string>
      readonly total?: number
      readonly hasMore?: boolean
    }
    readonly capabilities?: Record<string, Record<string, unknown>>
  }
}

/** Asks one JSON-RPC question. */
export type Ask = (method: string, params: Record<string, unknown>) => Promise<Answer>

export const newest = "2026-07-28"
export const envelope = {
  "io.modelcontextprotocol/protocolVersion": newest,
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
  "io.modelcontextprotocol/clientCapabilities": {}
}

/** The data of the first event, or the document. */
const parse = (text: string): Answer =>
  JSON.parse(text.startsWith("{") ? text : /^data: (\{.*)$/m.exec(text)?.[1] ?? `{"nothing": ${JSON.stringify(text)}}`)

export const overHttp = (url: string, token: string, era: "older" | "newer"): Ask => async (method, params) => {
  const [meta, headers] = era === "older" ? [{}, { "mcp-protocol-version": "2025-11-25" }] : [
    { _meta: envelope },
    {
      "mcp-protocol-version": newest,
      "mcp-method": method,
      ...(typeof (params["name"] ?? params["uri"]) === "string" ? { "mcp-name": params["name"] ?? params["uri"] } : {})
    }
  ]
  const message = { jsonrpc: "2.0", id: 1, method, params: { ...params, ...meta } }
  const { text } = await post(url, message, { authorization: `Bearer ${token}`, ...headers } as Record<string, string>)
  return parse(text)
}

/** A client on streams; answers by their ids. */
export const overStdio = Effect.fnUntraced(function*(
  runner: ToolRunner["Service"],
  rights: ReadonlyArray<Scope>,
  era: "older" | "newer",
  /** Hears the addresses of resources that changed, and `acknowledged` for a subscription. */
  heard: (what: string) => void = () => {}
) {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const waiting = new Map<number, (answer: Answer) => void>()
  let rest = ""
  output.setEncoding("utf8").on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n")
    rest = lines.pop()!
    for (const line of lines) {
      const answer = JSON.parse(line) as Answer & {
        readonly id: number
        readonly method?: string
        readonly params?: { readonly uri?: string }
      }
      if (answer.method === "notifications/subscriptions/acknowledged") heard("acknowledged")
      if (answer.method === "notifications/resources/updated") heard(String(answer.params?.uri))
      waiting.get(answer.id)?.(answer)
    }
  })
  yield* Effect.forkScoped(
    Stdio.serve(10_000, rights, { input, output }).pipe(Effect.provideService(ToolRunner, runner))
  )
  yield* Effect.addFinalizer(() => Effect.sync(() => input.end()))
  let id = 0
  const ask: Ask = (method, params) => {
    const { promise, resolve } = Promise.withResolvers<Answer>()
    waiting.set(++id, resolve)
    const message = { jsonrpc: "2.0", id, method, params: era === "older" ? params : { ...params, _meta: envelope } }
    input.write(`${JSON.stringify(message)}\n`)
    return promise
  }
  if (era === "older") {
    yield* Effect.promise(() =>
      ask("initialize", {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "test", version: "1" }
      })
    )
    input.write("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n")
  }
  return ask
})
