/**
 * The socket of a running `serve` for the other processes of its user: the CLI and further `stdio` servers. It has
 * mode 0600, so the file's owner (and root) may call every tool; there is no other authentication and none is
 * needed. HTTP on the unix socket, one request per call:
 *
 * - `POST /call/<tool>` with `{args, actor: {via, who, requestId}, principal?, timeout}` answers lines of JSON: any number of
 *   `{progress: {done, total, message}}`, then one `{result: {structuredContent, isError}}`;
 * - `POST /admin/<verb>` is the same for what only the command line may ask (AdminCatalogue.ts), with larger bodies;
 *   on both, the header `traceparent` says which trace a call is part of;
 * - `POST /watch` with `{uris, principal}` answers lines `{uris}` for as long as the caller reads: the first is empty and says
 *   that it watches now, each later one names resources that changed (Subscriptions.ts);
 * - `GET /status` answers {@link Status}.
 *
 * A caller that goes away interrupts its call. A stale file of a dead process is replaced, a live one never.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { ConfigInvalid, Conflict } from "../domain/Errors.ts"
import { scopes, withAllRights } from "../domain/Principal.ts"
import { version } from "../Version.ts"
import { largestBody, readBody } from "./Body.ts"
import { asRequest } from "./RequestSpan.ts"
import { ToolRunner } from "./ToolRunner.ts"
import { listenUnix } from "./UnixListener.ts"

/** What `GET /status` answers. */
export const Status = Schema.Struct({
  name: Schema.Literal("haproxy-mcp"),
  version: Schema.String,
  pid: Schema.Int,
  /** ISO 8601. */
  started_at: Schema.String,
  /** Null when writes would be taken now, else why not. */
  not_ready: Schema.NullOr(Schema.String),
  /** What MCP clients are left: further `stdio` processes list by it. */
  rules: Schema.optionalKey(Schema.Struct({
    readOnly: Schema.Boolean,
    allow: Schema.Array(Schema.Array(Schema.String)),
    deny: Schema.Array(Schema.String)
  }))
})
/** See {@link Status}. */
export type Status = typeof Status.Type

/** Rights of a caller (domain/Principal.ts). */
const Rights = Schema.Struct({
  kind: Schema.Literals(["token", "open", "process", "owner", "program"]),
  id: Schema.NullOr(Schema.String),
  name: Schema.String,
  scopes: Schema.Array(Schema.Literals(scopes)),
  domains: Schema.NullOr(Schema.Array(Schema.String))
})

/** What a call sends. */
export const CallRequest = Schema.Struct({
  args: Schema.Unknown,
  actor: Schema.Struct({ via: Schema.String, who: Schema.String, requestId: Schema.String }),
  /** Rights of an MCP client of that process; without it the caller is the command line, which has all. */
  principal: Schema.optionalKey(Rights),
  /** Milliseconds. */
  timeout: Schema.Finite
})

/** What a line of an answer holds. */
export const CallLine = Schema.Union([
  Schema.Struct({
    progress: Schema.Struct({ done: Schema.Finite, total: Schema.Finite, message: Schema.String })
  }),
  Schema.Struct({
    result: Schema.Struct({
      structuredContent: Schema.Record(Schema.String, Schema.Unknown),
      isError: Schema.Boolean
    })
  })
])

/** What somebody who watches sends, and a line of the answer. */
const WatchRequest = Schema.Struct({ uris: Schema.Array(Schema.String), principal: Rights })
export const WatchLine = Schema.Struct({ uris: Schema.Array(Schema.String) })

/** The largest body of a verb in bytes: an import of 200,000 rows has some 40 MB. */
const largestImport = 128 * 1024 * 1024

const decodeCall = Schema.decodeUnknownResult(CallRequest)
const decodeWatch = Schema.decodeUnknownResult(WatchRequest)

const answerJson = (response: ServerResponse, status: number, value: unknown) => {
  const json = JSON.stringify(value)
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(json) }).end(
    json
  )
}

const parse = <A>(
  text: string,
  decode: (value: unknown) => Result.Result<A, unknown>
): Result.Result<A, unknown> => {
  try {
    return decode(JSON.parse(text))
  } catch (error) {
    return Result.fail(error)
  }
}

/** Listens for as long as its scope lives. */
export const layer = (path: string): Layer.Layer<never, ConfigInvalid | Conflict, ToolRunner> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const runner = yield* ToolRunner
    const context = yield* Effect.context<never>()
    const runFork = Effect.runForkWith(context)
    const runPromise = Effect.runPromiseWith(context)
    const startedAt = new Date().toISOString()

    const call = async (
      run: ToolRunner["Service"]["call"],
      tool: string,
      request: IncomingMessage,
      response: ServerResponse,
      largest = largestBody
    ) => {
      const text = await readBody(request, largest)
      const decoded = typeof text === "string" ? parse(text, decodeCall) : Result.fail(text)
      if (Result.isFailure(decoded)) return answerJson(response, 400, { error: "not a call" })
      const { actor, args, principal, timeout } = decoded.success
      const line = (value: typeof CallLine.Type) => {
        if (!response.headersSent) response.writeHead(200, { "content-type": "application/x-ndjson" })
        response.write(`${JSON.stringify(value)}\n`)
      }
      const fiber = runFork(
        run(tool, args, {
          actor,
          // Whoever can open the socket could claim anything: this is no more than what each process keeps itself to.
          principal: principal ?? withAllRights(actor.via === "cli" ? "owner" : "process", actor.who),
          timeout,
          progress: (done, total, message) => Effect.sync(() => line({ progress: { done, total, message } }))
        }).pipe(asRequest(tool, actor.via, request.headers["traceparent"] as string | undefined))
      )
      response.once("close", () => fiber.interruptUnsafe())
      fiber.addObserver((exit) => {
        if (exit._tag === "Success") {
          const { isError, structuredContent } = exit.value
          line({ result: { structuredContent, isError } })
          response.end()
        } else response.destroy()
      })
    }

    const watch = async (request: IncomingMessage, response: ServerResponse) => {
      const text = await readBody(request)
      const decoded = typeof text === "string" ? parse(text, decodeWatch) : Result.fail(text)
      if (Result.isFailure(decoded)) return answerJson(response, 400, { error: "nothing to watch" })
      const { principal, uris } = decoded.success
      response.writeHead(200, { "content-type": "application/x-ndjson" })
      // The next notice waits until this one is taken: for a slow reader nothing piles up.
      const line = (changed: ReadonlyArray<string>) =>
        Effect.callback<void>((resume) => {
          if (response.write(`${JSON.stringify({ uris: changed })}\n`)) return resume(Effect.void)
          response.once("drain", () => resume(Effect.void))
        })
      const fiber = runFork(runner.watch(uris, principal, line, line([])))
      response.once("close", () => fiber.interruptUnsafe())
    }

    const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      const url = request.url ?? ""
      if (request.method === "GET" && url === "/status") {
        const status: Status = {
          name: "haproxy-mcp",
          version,
          pid: process.pid,
          started_at: startedAt,
          not_ready: await runPromise(runner.notReady),
          rules: runner.rules
        }
        return answerJson(response, 200, status)
      }
      if (request.method === "POST" && url === "/watch") return watch(request, response)
      const [, kind, name] = /^\/(call|admin)\/([a-z_]{1,64})$/.exec(url) ?? []
      if (request.method === "POST" && name !== undefined) {
        return kind === "call"
          ? call(runner.call, name, request, response)
          : call(runner.admin, name, request, response, largestImport)
      }
      answerJson(response, 404, { error: "not found" })
    }

    const server = createServer((request, response) => {
      handle(request, response).catch((defect: unknown) => {
        runFork(Effect.logError("defect in the admin socket", Cause.die(defect)))
        response.destroy()
      })
    })
    yield* Effect.acquireRelease(
      listenUnix(server, path, 0o600),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
  }))
