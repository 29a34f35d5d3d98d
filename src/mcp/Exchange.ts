/**
 * One HTTP exchange with the MCP SDK: a parsed POST body in, a response on the wire out.
 *
 * Guarantees: a client that goes away ends its exchange (the SDK aborts the call, the fiber is interrupted); an
 * answer is written once. Tools that report progress answer as a stream of events that begins at once, with a
 * comment every 15 s so that proxies keep it open; all else answers as one JSON document, in one write.
 *
 * Most requests take a short way (DirectCall.ts, SingleExchange.ts); streams, batches, notifications and refusals the
 * SDK's.
 */
import * as sdk from "@modelcontextprotocol/server"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { DirectCall } from "./DirectCall.ts"
import { makeListens, type StartWatch } from "./Listen.ts"
import type { Client, ServerFactory } from "./Server.ts"
import { plainEra, serveSingle } from "./SingleExchange.ts"
import type { RulesShape } from "./Visible.ts"

/** Comments on quiet streams, in milliseconds: below the idle timeouts of common proxies (30 to 60 s). */
const keepAliveMs = 15_000

/** Serves parsed POST bodies. */
export interface Exchanges {
  readonly serve: (body: unknown, request: IncomingMessage, response: ServerResponse, client: Client) => Promise<void>
  /** Answers that are streams of events and still open. */
  readonly streams: () => number
  /** Ends what never ends by itself. Running calls go on. */
  readonly closeSubscriptions: () => void
  /** Ends everything. */
  readonly close: () => Promise<void>
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const header = (request: IncomingMessage, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === "string" ? value : value?.join(", ")
}

/** Is a call among the messages whose tool answers as a stream? */
const streamsOf = (makeServer: ServerFactory, body: unknown): boolean => {
  const messages: ReadonlyArray<unknown> = Array.isArray(body) ? body : [body]
  return messages.some((message) => {
    if (!isRecord(message) || message["method"] !== "tools/call" || !isRecord(message["params"])) return false
    return makeServer.streams(String(message["params"]["name"]))
  })
}

/** What the SDK reads of a web Request when the body comes parsed: building a real one costs more than a call. */
const requestView = (request: IncomingMessage, signal: AbortSignal): Request => {
  const view = {
    method: "POST",
    url: `http://localhost${request.url ?? "/"}`,
    headers: { get: (name: string) => header(request, name.toLowerCase()) ?? null },
    signal,
    body: null,
    clone: () => view
  }
  return view as unknown as Request
}

/** Writes a JSON document in one go. */
export const writeJson = (response: ServerResponse, status: number, json: string): void => {
  if (response.headersSent || response.destroyed) return
  const length = Buffer.byteLength(json)
  // As many bytes as characters: all are ASCII, which is the same in Latin-1, and that is written as it lies in memory.
  response.writeHead(status, { "content-type": "application/json", "content-length": length })
    .end(json, length === json.length ? "latin1" : "utf8")
}

/** Copies a web response to the wire, and waits for a slow reader. `open` moves while it is a stream. */
const writeResponse = async (from: Response, to: ServerResponse, open: { streams: number }): Promise<void> => {
  const headers: Record<string, string> = {}
  from.headers.forEach((value, name) => {
    // The connection is ours to keep or close.
    if (name !== "connection") headers[name] = value
  })
  if (from.body === null || headers["content-type"]?.startsWith("application/json") === true) {
    const text = await from.text()
    if (!to.destroyed && !to.headersSent) {
      to.writeHead(from.status, { ...headers, "content-length": Buffer.byteLength(text) }).end(text)
    }
    return
  }
  to.writeHead(from.status, headers)
  to.flushHeaders()
  const reader = from.body.getReader()
  const cancel = () => void reader.cancel().catch(() => {})
  to.once("close", cancel)
  open.streams++
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done || to.destroyed) break
      if (!to.write(value)) {
        const { promise, resolve } = Promise.withResolvers<void>()
        to.once("drain", resolve)
        to.once("close", resolve)
        await promise
        to.off("drain", resolve)
        to.off("close", resolve)
      }
    }
  } finally {
    open.streams--
    to.off("close", cancel)
    if (!to.destroyed) to.end()
  }
}

/** What exchanges are made of. */
export interface ExchangeOptions {
  readonly makeServer: ServerFactory
  readonly directCall: DirectCall
  /** What the operator leaves to MCP clients. */
  readonly rules: RulesShape
  readonly watch: StartWatch
  /** Hears of faults that no client is told of. */
  readonly report: (error: Error) => void
}

/** Makes the exchanges of a server. */
export const makeExchanges = ({ directCall, makeServer, report, rules, watch }: ExchangeOptions): Exchanges => {
  const clients = new WeakMap<object, Client>()
  // Nobody's request, were there one, may do nothing.
  const nobody: Client = {
    via: "mcp",
    who: "unknown",
    principal: { kind: "open", id: null, name: "unknown", scopes: [], domains: null }
  }
  const factory: sdk.McpServerFactory = ({ authInfo, era }) =>
    // Without sessions there is nobody to notify in the older eras, so nothing is said of it there.
    makeServer((authInfo === undefined ? undefined : clients.get(authInfo)) ?? nobody, { live: era === "modern" })
  const base = { legacy: "stateless", keepAliveMs, maxSubscriptions: 0, onerror: report } as const
  const whole = sdk.createMcpHandler(factory, { ...base, responseMode: "auto" })
  const streamed = sdk.createMcpHandler(factory, { ...base, responseMode: "sse" })

  const listens = makeListens({ makeServer, report, rules, watch })
  const open = { streams: 0 }

  return {
    serve: async (body, request, response, client) => {
      const streaming = streamsOf(makeServer, body)
      const era = streaming ? null : plainEra(request, body)
      if (era === "older") {
        const json = directCall(body as sdk.JSONRPCRequest, response, client)
        if (json !== null) return writeJson(response, 200, await json)
      }
      if (era !== null) {
        const json = await serveSingle(makeServer, era, body as sdk.JSONRPCRequest, response, client)
        if (json === null) return
        if (json !== "refused") return writeJson(response, 200, json)
      }
      const controller = new AbortController()
      response.once("close", () => controller.abort())
      const view = requestView(request, controller.signal)
      if (isRecord(body) && body["method"] === "subscriptions/listen") {
        const answer = await listens.serve(body, view, response, client)
        if (answer === null) return
        if (!(answer instanceof Response)) return writeJson(response, 200, JSON.stringify(answer))
        return writeResponse(answer, response, open)
      }
      // The handler hands this object through to the factory untouched; it carries no token.
      const authInfo: sdk.AuthInfo = { token: "", clientId: client.who, scopes: [] }
      clients.set(authInfo, client)
      const handler = streaming ? streamed : whole
      await writeResponse(
        await handler.fetch(view, { authInfo, parsedBody: body }),
        response,
        open
      )
    },
    streams: () => open.streams + listens.open(),
    closeSubscriptions: listens.close,
    close: async () => {
      await Promise.all([whole.close(), streamed.close()])
    }
  }
}
