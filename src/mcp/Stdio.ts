/**
 * MCP over standard input and output, for one client.
 *
 * Guarantees: nothing but protocol goes to standard output (what a library prints with `console.log` goes to
 * standard error); it ends when the client closes the input, after the requests that came have been answered or
 * {@link finishWithin} has passed, and when its fiber is interrupted (a signal), which cancels what runs.
 */
import type {
  JSONRPCMessage,
  JSONRPCRequest,
  MessageExtraInfo,
  RequestId,
  Server,
  Transport,
  TransportSendOptions
} from "@modelcontextprotocol/server"
import { serveStdio, StdioServerTransport } from "@modelcontextprotocol/server/stdio"
import * as Effect from "effect/Effect"
import { userInfo } from "node:os"
import { PassThrough, type Readable, type Writable } from "node:stream"
import { setImmediate as nextTurn } from "node:timers/promises"
import type { Scope } from "../domain/Principal.ts"
import { type Client, makeServerFactory } from "./Server.ts"
import { ConnectionWatches, mostListens } from "./StdioWatches.ts"
import { ToolRunner } from "./ToolRunner.ts"

/** How long requests may still be worked on after the end of the input, in milliseconds. */
export const finishWithin = 8_000

/** What a process has; a test has its own. */
export interface StdioStreams {
  readonly input: Readable
  readonly output: Writable
}

/** Redirects the console to standard error, for as long as the scope lives. */
const quietConsole = Effect.acquireRelease(
  Effect.sync(() => {
    const { debug, info, log } = console
    const toError = (...values: ReadonlyArray<unknown>) => console.error(...values)
    Object.assign(console, { debug: toError, info: toError, log: toError })
    return { debug, info, log }
  }),
  (before) => Effect.sync(() => Object.assign(console, before))
)

const userName = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`
  }
}

/** Has an answer that comes when all is over: it is not waited for. */
const listenOf = (message: JSONRPCMessage): JSONRPCRequest | null =>
  "method" in message && "id" in message && message.method === "subscriptions/listen" ? message : null

/** The SDK's transport, with a list of what has been asked and not answered. */
class CountingTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: <T extends JSONRPCMessage>(message: T, extra?: MessageExtraInfo) => void
  private readonly inner: StdioServerTransport
  private readonly watches: ConnectionWatches
  private readonly open = new Set<RequestId>()
  private whenNone: (() => void) | null = null

  constructor(inner: StdioServerTransport, watches: ConnectionWatches) {
    this.inner = inner
    this.watches = watches
    inner.onclose = () => this.onclose?.()
    inner.onerror = (error) => this.onerror?.(error)
    inner.onmessage = (message) => {
      const listen = listenOf(message)
      if (listen !== null) {
        void watches.listen(listen).then((allowed) => allowed === null || this.onmessage?.(allowed))
        return
      }
      if ("method" in message && "id" in message) this.open.add(message.id)
      if ("method" in message && message.method === "notifications/cancelled") {
        const id = message.params?.["requestId"] as RequestId | undefined
        this.settle(id)
        if (id !== undefined) watches.drop(id)
      }
      this.onmessage?.(message)
    }
  }

  start(): Promise<void> {
    return this.inner.start()
  }

  async send(message: JSONRPCMessage, _options?: TransportSendOptions): Promise<void> {
    await this.inner.send(message)
    if ("method" in message) return
    this.settle(message.id)
    if ("error" in message && message.id !== undefined) this.watches.drop(message.id)
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  /** Resolves once everything has been answered, or after `within` milliseconds. */
  idle(within: number): Promise<void> {
    if (this.open.size === 0) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.whenNone = resolve
    const timer = setTimeout(resolve, within)
    return promise.finally(() => clearTimeout(timer))
  }

  private settle(id: RequestId | undefined): void {
    if (id !== undefined) this.open.delete(id)
    if (this.open.size === 0) this.whenNone?.()
  }
}

/**
 * Serves until the input ends. `timeout`: milliseconds that a call may take. The client is whoever started this process:
 * it has the rights of its user, cut to `scopes`.
 */
export const serve = Effect.fnUntraced(function*(
  timeout: number,
  scopes: ReadonlyArray<Scope>,
  streams: StdioStreams = { input: process.stdin, output: process.stdout }
): Effect.fn.Return<void, never, ToolRunner> {
  const makeServer = yield* makeServerFactory(timeout)
  const runner = yield* ToolRunner
  const who = userName()
  const client: Client = {
    via: "stdio",
    who,
    principal: { kind: "process", id: null, name: who, scopes, domains: null }
  }
  const runFork = Effect.runForkWith(yield* Effect.context<never>())

  yield* Effect.scoped(Effect.andThen(
    quietConsole,
    Effect.callback<void>((resume) => {
      // The SDK drops what runs at the end of its input, so it learns of the end when all has been answered.
      const held = new PassThrough()
      // The SDK makes one for a look (server/discover), and perhaps another one for what comes after it.
      let server: Server | null = null
      const watches = new ConnectionWatches({
        caller: client.principal,
        rules: runner.rules,
        watch: (uri, told, begun) => {
          const run = runner.watch([uri], client.principal, () => Effect.promise(told), Effect.sync(begun))
          const fiber = runFork(run)
          return () => fiber.interruptUnsafe()
        },
        notify: async (uri) => server?.sendResourceUpdated({ uri }).catch(() => {})
      })
      const transport = new CountingTransport(new StdioServerTransport(held, streams.output), watches)
      const handle = serveStdio(() => server = makeServer(client, watches.liveness), {
        transport,
        maxSubscriptions: mostListens,
        onerror: (error) => runFork(Effect.logDebug("stdio", { error: error.message }))
      })
      const ended = async () => {
        while (held.readableLength > 0) await nextTurn()
        await transport.idle(finishWithin)
        watches.stop()
        await handle.close()
        resume(Effect.void)
      }
      const gone = () => {
        watches.stop()
        resume(Effect.promise(() => handle.close()))
      }
      streams.input.pipe(held, { end: false })
      streams.input.once("end", () => void ended())
      streams.input.once("error", gone)
      streams.output.once("error", gone)
      return Effect.promise(async () => {
        streams.input.unpipe(held)
        watches.stop()
        await handle.close()
      })
    })
  ))
  // An open standard input would keep the process alive.
  streams.input.destroy()
})
