/**
 * The HTTP listener as a scoped layer: `/mcp`, `/metrics`, `/healthz`, `/readyz`.
 *
 * Guarantees: every route but the two probes is behind the gate, unknown ones too, so that nothing tells a stranger
 * what exists; no body beyond {@link largestBody} is read; slow senders are cut. At the end of its scope it stops
 * accepting, asks running calls to end soon, waits for them for {@link stopWithin}, then closes what is left.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { ConfigInvalid, Conflict } from "../domain/Errors.ts"
import { hasScope, type Principal, whoOf } from "../domain/Principal.ts"
import { largestBody, readBody } from "./Body.ts"
import { makeDirectCall } from "./DirectCall.ts"
import { type Exchanges, makeExchanges, writeJson } from "./Exchange.ts"
import { type Decision, type GateOptions, makeGate, type Refusal } from "./Gate.ts"
import * as Metrics from "./Metrics.ts"
import { makeServerFactory } from "./Server.ts"
import { ToolRunner } from "./ToolRunner.ts"
import { listenUnix } from "./UnixListener.ts"

/** How long running calls may finish when the listener stops, in milliseconds. */
export const stopWithin = 8_000
/** Connections at one time; more are refused by the kernel's queue rather than by memory. */
const maxConnections = 2_048
/** Milliseconds for the headers, and for the whole request. */
const headersWithin = 10_000
const requestWithin = 30_000
/** Longer than the keep-alive of common proxies (60 s), so that they close first. */
const keepAlive = 65_000

/** How to listen. */
export interface HttpOptions {
  /** A TCP address, or the path of a unix socket (mode 0660). */
  readonly listen: { readonly host: string; readonly port: number } | { readonly path: string }
  readonly gate: GateOptions
  /** Milliseconds that a call may take (MCP_CALL_TIMEOUT). */
  readonly timeout: number
}

type Route = "mcp" | "metrics" | "healthz" | "readyz" | "unknown"

const routes: Readonly<Record<string, Route>> = {
  "/mcp": "mcp",
  "/mcp/": "mcp",
  "/metrics": "metrics",
  "/healthz": "healthz",
  "/readyz": "readyz"
}

const routeOf = (url: string): Route => {
  const query = url.indexOf("?")
  const path = query < 0 ? url : url.slice(0, query)
  return Object.hasOwn(routes, path) ? routes[path]! : "unknown"
}

/** JSON-RPC's form of an HTTP-level error, which MCP clients show; codes as the SDK uses them. */
const errorJson = (message: string, code = -32_000): string =>
  JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id: null })

const refusalTexts = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  429: "Too Many Requests",
  503: "Service Unavailable"
} as const

/** Milliseconds between two looks whether the callers of running requests may still be here. */
const lookEvery = 400

const allow = (response: ServerResponse, methods: string) => {
  response.setHeader("allow", methods)
  writeJson(response, 405, errorJson("Method not allowed."))
}

/** Answers without waiting for the rest of a body that nobody wants. */
const refuseBody = (response: ServerResponse, status: number, message: string, code?: number) => {
  response.setHeader("connection", "close")
  writeJson(response, status, errorJson(message, code))
}

const always = () => true

/** Ends an answer whose caller may not have it any more; its call is interrupted, as when the caller goes away. */
const cut = (response: ServerResponse) => {
  if (response.headersSent) response.destroy()
  else refuseBody(response, 401, refusalTexts[401])
}

const cors = (response: ServerResponse, origin: string) => {
  response.setHeader("access-control-allow-origin", origin)
  response.setHeader("vary", "Origin")
}

const preflight = (response: ServerResponse, origin: string) => {
  cors(response, origin)
  response.writeHead(204, {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers":
      "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, mcp-method, mcp-name, traceparent",
    "access-control-max-age": "600"
  }).end()
}

/** Says at most once in ten seconds per reason why the gate refuses: the operator's hint, not the caller's. */
const makeRefusalLog = () => {
  const last = new Map<Refusal, number>()
  return (reason: Refusal, peer: string | undefined): Effect.Effect<void> => {
    const now = performance.now()
    const counted = Metrics.countRefusal(reason)
    if (now - (last.get(reason) ?? -Infinity) < 10_000) return counted
    last.set(reason, now)
    return Effect.andThen(Effect.logWarning("request refused", { reason, peer: peer ?? "unix" }), counted)
  }
}

/** What a request handler needs. */
interface Parts {
  readonly decide: ReturnType<typeof makeGate>
  readonly exchanges: Exchanges
  readonly metrics: () => Promise<string>
  readonly ready: () => Promise<boolean>
  /** The answers under way, each with whether its caller may still be here. */
  readonly running: Map<ServerResponse, () => boolean>
  readonly refused: (reason: Refusal, peer: string | undefined) => void
}

const probe = async (parts: Parts, route: Route, request: IncomingMessage, response: ServerResponse) => {
  if (request.method !== "GET" && request.method !== "HEAD") return allow(response, "GET, HEAD")
  const good = route === "healthz" || await parts.ready()
  response.setHeader("cache-control", "no-store")
  writeJson(response, good ? 200 : 503, JSON.stringify({ status: good ? "ok" : "unavailable" }))
}

const mcp = async (parts: Parts, request: IncomingMessage, response: ServerResponse, principal: Principal) => {
  if (request.method !== "POST") return allow(response, "POST")
  if (request.headers["content-encoding"] !== undefined) {
    return refuseBody(response, 415, "Unsupported Media Type: Content-Encoding")
  }
  const text = await readBody(request)
  if (text === 413) return refuseBody(response, 413, `Payload Too Large: at most ${largestBody} bytes`)
  if (text === 400) return
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return refuseBody(response, 400, "Parse error: Invalid JSON", -32_700)
  }
  const trace = request.headers["traceparent"] as string | undefined
  await parts.exchanges.serve(body, request, response, { via: "mcp", who: whoOf(principal), principal, trace })
}

const guarded = async (parts: Parts, route: Route, request: IncomingMessage, response: ServerResponse) => {
  const { localAddress, remoteAddress } = request.socket
  const decision: Decision = parts.decide({
    rawHeaders: request.rawHeaders,
    method: request.method ?? "",
    peer: remoteAddress ?? null,
    local: localAddress ?? null
  })
  switch (decision._tag) {
    case "refused": {
      parts.refused(decision.reason, remoteAddress)
      if (decision.status === 401) {
        const error = decision.reason === "no_token" ? "" : ", error=\"invalid_token\""
        response.setHeader("www-authenticate", `Bearer realm="haproxy-mcp"${error}`)
      }
      if (decision.retryAfter !== undefined) response.setHeader("retry-after", decision.retryAfter)
      return refuseBody(response, decision.status, refusalTexts[decision.status])
    }
    case "preflight":
      return preflight(response, decision.origin)
    case "allowed": {
      if (decision.origin !== null) cors(response, decision.origin)
      parts.running.set(response, decision.grant.isGood)
      if (route === "mcp") return mcp(parts, request, response, decision.grant.principal)
      if (route === "unknown") return refuseBody(response, 404, "Not Found")
      const { domains } = decision.grant.principal
      // The numbers are of all domains.
      if (!hasScope(decision.grant.principal, "read") || domains !== null) return refuseBody(response, 403, "Forbidden")
      if (request.method !== "GET" && request.method !== "HEAD") return allow(response, "GET, HEAD")
      response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8")
      response.end(await parts.metrics())
    }
  }
}

const handle = async (parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const route = routeOf(request.url ?? "")
  return route === "healthz" || route === "readyz"
    ? probe(parts, route, request, response)
    : guarded(parts, route, request, response)
}

/** A port that another process has may be free again later, so that a restart helps: that is no wrong setting. */
const listenFailure = (host: string, port: number, code: string): ConfigInvalid | Conflict => {
  const message = `Cannot listen on ${host} port ${port} (${code})`
  return code === "EADDRINUSE"
    ? new Conflict({
      message,
      field: "MCP_PORT",
      hint: "Another process has that port: stop it, or name another port."
    })
    : new ConfigInvalid({
      message,
      field: code === "EACCES" ? "MCP_PORT" : "MCP_HOST",
      hint: "Use an address and port of this machine."
    })
}

const listenTcp = (server: Server, host: string, port: number): Effect.Effect<void, ConfigInvalid | Conflict> =>
  Effect.callback((resume) => {
    const failed = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(listenFailure(host, port, error.code ?? "unknown")))
    server.once("error", failed)
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", failed)
      resume(Effect.void)
    })
  })

/** Stops accepting, waits for running exchanges, then cuts the rest. */
const stop = Effect.fnUntraced(
  function*(server: Server, exchanges: Exchanges, running: ReadonlyMap<ServerResponse, unknown>) {
    const closed = Deferred.makeUnsafe<void>()
    server.close(() => Deferred.doneUnsafe(closed, Effect.void))
    for (const response of running.keys()) if (!response.headersSent) response.setHeader("connection", "close")
    server.closeIdleConnections()
    exchanges.closeSubscriptions()
    yield* Deferred.await(closed).pipe(Effect.timeoutOption(stopWithin))
    yield* Effect.promise(() => exchanges.close())
    server.closeAllConnections()
  }
)

/** The running listener. */
export class HttpListener extends Context.Service<HttpListener, {
  /** Where it listens: a port that was 0 is known here. Null host and port on a unix socket. */
  readonly address: { readonly host: string | null; readonly port: number | null; readonly path: string | null }
}>()("haproxy-mcp/mcp/HttpListener") {
  static readonly layer = (options: HttpOptions): Layer.Layer<HttpListener, ConfigInvalid | Conflict, ToolRunner> =>
    Layer.effect(HttpListener, listen(options))
}

const listen = Effect.fnUntraced(
  function*(
    options: HttpOptions
  ): Effect.fn.Return<HttpListener["Service"], ConfigInvalid | Conflict, ToolRunner | Scope.Scope> {
    const runner = yield* ToolRunner
    const context = yield* Effect.context<never>()
    const runPromise = Effect.runPromiseWith(context)
    const runFork = Effect.runForkWith(context)
    const refusalLog = makeRefusalLog()
    const exchanges = makeExchanges({
      makeServer: yield* makeServerFactory(options.timeout),
      directCall: yield* makeDirectCall(options.timeout),
      rules: runner.rules,
      watch: (uris, { principal }, told) => {
        const fiber = runFork(
          runner.watch(uris, principal, (changed) => Effect.promise(() => told(changed)), Effect.void)
        )
        return () => fiber.interruptUnsafe()
      },
      report: (error) => runFork(Effect.logDebug("mcp", { error: error.message }))
    })
    const ready = Effect.map(runner.notReady, (reason) => reason === null)
    const running = new Map<ServerResponse, () => boolean>()
    const parts: Parts = {
      running,
      decide: makeGate(options.gate),
      exchanges,
      metrics: () => runPromise(Effect.andThen(Effect.flatMap(ready, Metrics.showReady), PrometheusMetrics.format())),
      ready: () => runPromise(ready),
      refused: (reason, peer) => runFork(refusalLog(reason, peer))
    }
    yield* Metrics.watch(() => running.size, exchanges.streams)
    // Connections without a request yet: Node counts them as busy, so a stop would wait for them.
    const fresh = new Set<Socket>()
    let stopping = false
    const server = createServer({
      headersTimeout: headersWithin,
      requestTimeout: requestWithin,
      keepAliveTimeout: keepAlive,
      connectionsCheckingInterval: 2_000,
      maxHeaderSize: 16 * 1024,
      noDelay: true
    }, (request, response) => {
      running.set(response, always)
      fresh.delete(request.socket)
      response.once("close", () => {
        running.delete(response)
        // A kept connection whose last response began before the stop would be waited for in vain.
        if (stopping) setImmediate(() => server.closeIdleConnections())
      })
      if (stopping) response.setHeader("connection", "close")
      handle(parts, request, response).catch((defect: unknown) => {
        runFork(Effect.logError("defect in the HTTP listener", Cause.die(defect)))
        if (!response.headersSent) refuseBody(response, 500, "Internal error", -32_603)
        else response.destroy()
      })
    })
    server.maxConnections = maxConnections
    server.on("connection", (socket: Socket) => {
      fresh.add(socket)
      socket.once("close", () => fresh.delete(socket))
    })
    // A token that ended ends what it began: a long call, a stream. The next request would be refused by the gate.
    const watch = setInterval(() => {
      for (const [response, isGood] of running) if (!isGood()) cut(response)
    }, lookEvery)
    watch.unref()
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(watch)))
    const end = Effect.suspend(() => {
      stopping = true
      for (const socket of fresh) socket.destroy()
      return Effect.andThen(runner.stopping, stop(server, exchanges, running))
    })
    if ("path" in options.listen) {
      const { path } = options.listen
      yield* Effect.acquireRelease(listenUnix(server, path, 0o660), () => end)
      return HttpListener.of({ address: { host: null, port: null, path } })
    }
    const { host, port } = options.listen
    yield* Effect.acquireRelease(listenTcp(server, host, port), () => end)
    const address = server.address()
    const bound = typeof address === "object" && address !== null ? address.port : port
    return HttpListener.of({ address: { host, port: bound, path: null } })
  }
)
