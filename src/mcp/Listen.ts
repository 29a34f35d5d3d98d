/**
 * `subscriptions/listen` of MCP 2026-07-28 over HTTP: a stream of events that says which of some resources changed.
 *
 * The SDK speaks the protocol (the acknowledgement first, what is honoured, ids, the last word); here is what it leaves to
 * us. Guarantees: a caller hears of nothing that it may not read, and the acknowledgement names what it will hear of; there
 * are at most {@link mostStreams} streams, {@link mostOfOne} of one caller, each of {@link mostWatched} resources; a reader
 * that is slow is told later and not more, one that takes nothing for {@link patience} is cut; a stream ends with its
 * connection, with its token (Http.ts), and with the listener, which says so.
 */
import * as sdk from "@modelcontextprotocol/server"
import type { ServerResponse } from "node:http"
import type { Client, ServerFactory } from "./Server.ts"
import { askedOf, watchable, withUris } from "./Subscriptions.ts"
import type { RulesShape } from "./Visible.ts"

/** Streams at one time, of all callers and of one. */
export const mostStreams = 64
export const mostOfOne = 16
/** Comments on quiet streams, in milliseconds: below the idle timeouts of common proxies (30 to 60 s). */
const keepAliveMs = 15_000
/** How long a reader may take nothing, in milliseconds. */
const patience = 60_000

/** JSON-RPC's "internal error": what the SDK says, too, when there are too many subscriptions. */
const limitReached = -32_603

/** What begins to watch; answers how to stop. */
export type StartWatch = (
  uris: ReadonlyArray<string>,
  client: Client,
  told: (uris: ReadonlyArray<string>) => Promise<void>
) => () => void

export interface ListenOptions {
  readonly makeServer: ServerFactory
  readonly rules: RulesShape
  readonly watch: StartWatch
  readonly report: (error: Error) => void
}

/** Resolves when the response takes more, or has ended; ends one that takes nothing for so many milliseconds. */
export const drained = (
  to: Pick<ServerResponse, "once" | "off" | "destroy">,
  within: number = patience
): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const slow = setTimeout(() => to.destroy(), within)
  const done = () => {
    clearTimeout(slow)
    to.off("drain", done)
    to.off("close", done)
    resolve()
  }
  to.once("drain", done)
  to.once("close", done)
  return promise
}

/** One stream: its events go to the response as fast as that takes them. */
class Stream {
  /** Events that the SDK has and the response has not. */
  private waiting = 0
  private emptied: (() => void) | null = null
  readonly bus = new sdk.InMemoryServerEventBus()

  /** Publishes, and resolves once all of it is in the response's hands. */
  readonly told = (uris: ReadonlyArray<string>): Promise<void> => {
    if (this.bus.listenerCount === 0) return Promise.resolve()
    this.waiting += uris.length
    const { promise, resolve } = Promise.withResolvers<void>()
    this.emptied = resolve
    for (const uri of uris) this.bus.publish({ kind: "resource_updated", uri })
    return promise
  }

  /** Copies events until there are no more, or nobody reads. */
  async copy(from: ReadableStream<Uint8Array>, to: ServerResponse): Promise<void> {
    const reader = from.getReader()
    const cancel = () => void reader.cancel().catch(() => {})
    to.once("close", cancel)
    const beat = setInterval(() => {
      if (!to.writableNeedDrain) to.write(": keepalive\n\n")
    }, keepAliveMs)
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done || to.destroyed) break
        if (!to.write(value)) await drained(to)
        // The first event is the acknowledgement, which nobody waits for.
        if (this.waiting > 0 && --this.waiting === 0) this.emptied?.()
      }
    } finally {
      clearInterval(beat)
      to.off("close", cancel)
      this.emptied?.()
      if (!to.destroyed) to.end()
    }
  }
}

/** Serves `subscriptions/listen`. */
export interface Listens {
  /** What is still to be answered; null: the stream was it, and has ended. */
  readonly serve: (
    body: Record<string, unknown>,
    view: Request,
    response: ServerResponse,
    client: Client
  ) => Promise<sdk.JSONRPCMessage | Response | null>
  /** Streams that are open. */
  readonly open: () => number
  /** Ends all of them, with a last word to each. */
  readonly close: () => void
}

export const makeListens = ({ makeServer, report, rules, watch }: ListenOptions): Listens => {
  const handlers = new Map<sdk.McpHttpHandler, string>()
  const openOf = (who: string) => [...handlers.values()].filter((one) => one === who).length
  return {
    serve: async (body, view, response, client) => {
      if (handlers.size >= mostStreams || openOf(client.who) >= mostOfOne) {
        const id = body["id"] as sdk.RequestId
        return { jsonrpc: "2.0", id, error: { code: limitReached, message: "Subscription limit reached" } }
      }
      const uris = watchable(askedOf(body), client.principal, rules)
      const stream = new Stream()
      const handler = sdk.createMcpHandler(({ era }) => makeServer(client, { live: era === "modern" }), {
        legacy: "stateless",
        bus: stream.bus,
        keepAliveMs: 0,
        maxSubscriptions: 1,
        onerror: report
      })
      handlers.set(handler, client.who)
      // Before the acknowledgement: nothing is missed after it.
      const stop = uris.length === 0 ? () => {} : watch(uris, client, stream.told)
      response.once("close", stop)
      try {
        const answer = await handler.fetch(view, { parsedBody: withUris(body, uris) })
        if (answer.body === null || answer.headers.get("content-type") !== "text/event-stream") return answer
        response.writeHead(answer.status, {
          "content-type": "text/event-stream",
          "cache-control": "no-cache, no-transform",
          "x-accel-buffering": "no"
        })
        response.flushHeaders()
        await stream.copy(answer.body, response)
        return null
      } finally {
        stop()
        response.off("close", stop)
        handlers.delete(handler)
      }
    },
    open: () => handlers.size,
    close: () => {
      for (const handler of handlers.keys()) void handler.close()
    }
  }
}
