/**
 * The listener on the wire: every route behind the gate, bodies, streams, cancellation, many clients, an orderly
 * stop. The tools behind it answer what the test needs; programs are tested elsewhere.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { statSync } from "node:fs"
import { request as httpRequest } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { NotFound } from "../../src/domain/Errors.ts"
import { failure, success } from "../../src/mcp/ToolResult.ts"
import { unrestricted } from "../../src/mcp/Visible.ts"
import { noTokens } from "../../src/program/TokenIndex.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import {
  callMessage,
  clients,
  connected,
  openGate,
  post,
  type Progress,
  raw,
  type RawAnswer,
  startHttp,
  token,
  tokenGate,
  toolsOf,
  until
} from "./harness.ts"

const promise = <A>(make: () => Promise<A>) => Effect.promise(make)
const echo = toolsOf((name, args) => Effect.succeed({ summary: `${name} ${String(args["domain"])}` }))
const authorization = { authorization: `Bearer ${token}` }
const read = callMessage("haproxy_list_servers", { domain: "a.example" })

/** A request in bytes of our own, for what `fetch` would not send. Answers all that came back. */
const bytes = (port: number, text: string): Promise<string> => {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const socket = connect(port, "127.0.0.1", () => socket.write(text))
  let answer = ""
  socket.setEncoding("utf8")
  socket.on("data", (chunk: string) => (answer += chunk))
  socket.once("close", () => resolve(answer))
  socket.once("error", reject)
  socket.setTimeout(15_000, () => socket.destroy(new Error(`no end: ${answer}`)))
  return promise
}

const status = (answer: string) => answer.slice(9, 12)

/** What a client sees when its call was answered. */
const summaryOf = (answer: RawAnswer): string =>
  (JSON.parse(answer.text) as { result: { structuredContent: { summary: string } } }).result.structuredContent.summary

describe("the gate on the wire", () => {
  it.live("stands in front of every route, unknown ones too, but the probes", () =>
    Effect.gen(function*() {
      // How many wrong tokens there may be is Throttle.test.ts's: here each comes an hour after the one before.
      let now = 0
      const { port } = yield* startHttp(echo, { gate: { ...tokenGate, now: () => (now += 3_600_000) } })
      const base = `http://127.0.0.1:${port}`
      const paths = [
        "/mcp",
        "/mcp/",
        "/metrics",
        "/",
        "/sse",
        "/messages",
        "/mcp/sse",
        "/admin",
        "/healthz/",
        "/readyz/x",
        "/HEALTHZ",
        "/%6dcp",
        "/healthz%2f..%2fmcp",
        "//mcp"
      ]
      for (const path of paths) {
        for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
          const without = yield* promise(() => raw(`${base}${path}?token=${token}&access_token=${token}`, { method }))
          assert.strictEqual(without.status, 401, `${method} ${path}`)
          assert.match(without.headers.get("www-authenticate") ?? "", /^Bearer /)
          assert.notInclude(without.text, "token")
          const wrong = yield* promise(() => raw(`${base}${path}`, { method, headers: { authorization: "Bearer no" } }))
          assert.strictEqual(wrong.status, 401, `${method} ${path}`)
        }
      }
      for (const path of ["/healthz", "/readyz", "/healthz?x=1"]) {
        const probe = yield* promise(() => raw(`${base}${path}`, { headers: { host: "10.1.2.3:8000" } }))
        assert.strictEqual(probe.status, 200)
        assert.strictEqual(probe.text, "{\"status\":\"ok\"}")
        assert.strictEqual((yield* promise(() => raw(`${base}${path}`, { method: "POST" }))).status, 405)
      }
    }).pipe(Effect.scoped))

  it.live("lets a token in, to exactly the routes there are", () =>
    Effect.gen(function*() {
      const { port, url } = yield* startHttp(echo, { gate: tokenGate })
      assert.strictEqual(
        summaryOf(yield* promise(() => post(url, read, authorization))),
        "haproxy_list_servers a.example"
      )
      assert.strictEqual(
        summaryOf(yield* promise(() => post(`${url}/`, read, authorization))),
        "haproxy_list_servers a.example"
      )
      for (const method of ["GET", "DELETE", "PUT"]) {
        const answer = yield* promise(() =>
          raw(url, { method, headers: { ...authorization, accept: "text/event-stream" } })
        )
        assert.strictEqual(answer.status, 405)
        assert.strictEqual(answer.headers.get("allow"), "POST")
      }
      const metrics = yield* promise(() => raw(`http://127.0.0.1:${port}/metrics`, { headers: authorization }))
      assert.strictEqual(metrics.status, 200)
      assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0.0.4/)
      assert.match(metrics.text, /^# TYPE haproxy_mcp_/m)
      for (const path of ["/", "/sse", "/messages", "/mcp/x"]) {
        assert.strictEqual(
          (yield* promise(() => post(`http://127.0.0.1:${port}${path}`, read, authorization))).status,
          404
        )
      }
    }).pipe(Effect.scoped))

  it.live("refuses rebound names, foreign pages and headers that come twice", () =>
    Effect.gen(function*() {
      const { logs, port } = yield* startHttp(echo)
      const body = JSON.stringify(read)
      const ask = (headers: string, target = "/mcp") =>
        promise(() =>
          bytes(
            port,
            `POST ${target} HTTP/1.1\r\n${headers}content-type: application/json\r\n`
              + `accept: application/json, text/event-stream\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`
          )
        )
      assert.strictEqual(status(yield* ask("Host: localhost\r\n")), "200")
      assert.strictEqual(status(yield* ask(`Host: 127.0.0.1:${port}\r\n`)), "200")
      assert.strictEqual(status(yield* ask("Host: rebound.example\r\n")), "403")
      assert.strictEqual(status(yield* ask("Host: localhost\r\nOrigin: http://localhost:3000\r\n")), "403")
      assert.strictEqual(status(yield* ask("Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\n")), "401")
      assert.strictEqual(status(yield* ask("Host: localhost\r\nHost: rebound.example\r\n")), "400")
      assert.strictEqual(
        status(yield* ask("Host: localhost\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n")),
        "400"
      )
      // A target in absolute form names a host, too; nothing is served there.
      assert.strictEqual(status(yield* ask("Host: localhost\r\n", "http://rebound.example/mcp")), "404")
      yield* promise(() => until(() => logs.some((line) => line["reason"] === "host")))
      assert.isTrue(logs.every((line) => !JSON.stringify(line).includes("rebound.example")))
    }).pipe(Effect.scoped))

  it.live("answers the browsers of listed origins", () =>
    Effect.gen(function*() {
      const origin = "https://console.example.com"
      const { url } = yield* startHttp(echo, { gate: { ...tokenGate, allowedOrigins: [origin] } })
      const asked = yield* promise(() =>
        raw(url, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } })
      )
      assert.strictEqual(asked.status, 204)
      assert.strictEqual(asked.headers.get("access-control-allow-origin"), origin)
      const called = yield* promise(() => post(url, read, { ...authorization, origin }))
      assert.strictEqual(called.status, 200)
      assert.strictEqual(called.headers.get("access-control-allow-origin"), origin)
      assert.strictEqual((yield* promise(() => post(url, read, { origin }))).status, 401)
      assert.strictEqual(
        (yield* promise(() => post(url, read, { ...authorization, origin: "https://evil.example" }))).status,
        403
      )
    }).pipe(Effect.scoped))
})

describe("bodies", () => {
  it.live("that are no call are refused, each in its way, and harm nobody", () =>
    Effect.gen(function*() {
      const { port, url } = yield* startHttp(echo)
      const rows: ReadonlyArray<
        readonly [name: string, body: string, headers: Record<string, string>, expect: number]
      > = [
        ["no JSON", "{", {}, 400],
        ["nothing", "", {}, 400],
        ["a number", "5", {}, 400],
        ["another version of JSON-RPC", "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"ping\"}", {}, 400],
        ["another type", JSON.stringify(read), { "content-type": "text/plain" }, 415],
        ["compressed", JSON.stringify(read), { "content-encoding": "gzip" }, 415],
        ["only one type accepted", JSON.stringify(read), { accept: "application/json" }, 406],
        ["an unknown revision", JSON.stringify(read), { "mcp-protocol-version": "1999-01-01" }, 400],
        ["too large", `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"${"y".repeat(1_100_000)}"}}`, {}, 413],
        ["too deep", `${"[".repeat(100_000)}${"]".repeat(100_000)}`, {}, 400],
        ["a batch of nothing", "[]", {}, 400],
        ["a huge batch", JSON.stringify(Array.from({ length: 101 }, () => read)), {}, 400]
      ]
      for (const [name, body, headers, expect] of rows) {
        const answer = yield* promise(() => post(url, body, headers))
        assert.strictEqual(answer.status, expect, `${name}: ${answer.text.slice(0, 300)}`)
        assert.notInclude(answer.text, ".ts")
      }
      // Chunks of no declared length.
      const chunk = "x".repeat(65_536)
      const endless = yield* promise(() =>
        bytes(
          port,
          `POST /mcp HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${
            `10000\r\n${chunk}\r\n`.repeat(17)
          }`
        )
      )
      assert.strictEqual(status(endless), "413")
      const deepArguments =
        `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"haproxy_health","arguments":${
          "{\"a\":".repeat(5000)
        }1${"}".repeat(5000)}}}`
      assert.oneOf((yield* promise(() => post(url, deepArguments))).status, [200, 400])
      assert.strictEqual((yield* promise(() => post(url, read))).status, 200)
    }).pipe(Effect.scoped))

  it.live("with protocol errors answer JSON-RPC errors", () =>
    Effect.gen(function*() {
      const { url } = yield* startHttp(echo)
      const code = (message: unknown) =>
        Effect.map(
          promise(() => post(url, message)),
          (answer) => (JSON.parse(answer.text) as { error?: { code: number } }).error?.code
        )
      assert.strictEqual(yield* code({ jsonrpc: "2.0", id: 1, method: "no/such" }), -32601)
      assert.strictEqual(yield* code(callMessage("haproxy_no_such_tool", {})), -32602)
      assert.strictEqual(yield* code({ jsonrpc: "2.0", id: 1, method: "tools/call", params: {} }), -32602)
      assert.strictEqual(yield* code(callMessage("constructor", {})), -32602)
      assert.strictEqual(yield* code({ jsonrpc: "2.0", id: 1, method: "logging/setLevel" }), -32601)
    }).pipe(Effect.scoped))

  it.live("of the newer era answer the same on the short way as on the SDK's, and wrong headers are refused", () =>
    Effect.gen(function*() {
      const { url } = yield* startHttp(echo)
      const name = "haproxy_list_servers"
      const meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {}
      }
      const message = { ...read, params: { ...read.params, _meta: meta } }
      const right = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": name }
      const ask = (headers: Record<string, string>, body: unknown = message) => promise(() => post(url, body, headers))
      const short = yield* ask(right)
      assert.strictEqual(short.status, 200)
      assert.match(short.text, /"resultType":"complete"/)
      // A name in base64 is right, but not plainly so.
      const long = yield* ask({ ...right, "mcp-name": `=?base64?${Buffer.from(name).toString("base64")}?=` })
      assert.deepStrictEqual(JSON.parse(long.text), JSON.parse(short.text))
      assert.strictEqual(long.headers.get("content-type"), short.headers.get("content-type"))

      const { "mcp-method": _method, ...noMethod } = right
      const { "mcp-name": _name, ...noName } = right
      const { "mcp-protocol-version": _version, ...noVersion } = right
      const rows: ReadonlyArray<readonly [name: string, headers: Record<string, string>, body?: unknown]> = [
        ["another method", { ...right, "mcp-method": "tools/list" }],
        ["another name", { ...right, "mcp-name": "haproxy_health" }],
        ["no method", noMethod],
        ["no name", noName],
        ["no version", noVersion],
        ["an older version", { ...right, "mcp-protocol-version": "2025-06-18" }],
        ["no envelope", right, read],
        ["an unknown revision", { ...right, "mcp-protocol-version": "2027-01-01" }],
        ["half an envelope", right, {
          ...read,
          params: { ...read.params, _meta: { ...meta, "io.modelcontextprotocol/clientCapabilities": 5 } }
        }]
      ]
      for (const [row, headers, body] of rows) {
        const answer = yield* ask(headers, body)
        assert.strictEqual(answer.status, 400, `${row}: ${answer.text}`)
        assert.property(JSON.parse(answer.text), "error")
      }
      const unknown = yield* ask({ ...right, "mcp-name": "haproxy_nothing" }, {
        ...message,
        params: { ...message.params, name: "haproxy_nothing" }
      })
      assert.deepInclude((JSON.parse(unknown.text) as { error: object }).error, { code: -32602 })
    }).pipe(Effect.scoped))

  it.live("of the older eras answer the same directly as through the SDK, results and refusals", () =>
    Effect.gen(function*() {
      const odd = success({ summary: "\"quoted\" \\ ünï 🌍 </script>", domains: [], next_cursor: null })
      const refused = failure(new NotFound({ message: "no", hint: "look", validValues: ["a.example"] }))
      const dead = Effect.die(new Error("hunter2"))
      const { url } = yield* startHttp({
        ...echo,
        call: (name) =>
          name === "haproxy_list_domains"
            ? Effect.succeed(odd)
            : name === "haproxy_remove_domain"
            ? Effect.succeed(refused)
            : name === "haproxy_list_servers"
            ? dead
            : Effect.interrupt
      })
      const results = ["haproxy_list_domains", "haproxy_remove_domain", "haproxy_list_servers", "haproxy_add_domain"]
      const requests = [
        ...results.map((name) => callMessage(name, { domain: "a.example" })),
        callMessage("haproxy_list_domains", {}, "a \"text\" as id"),
        { jsonrpc: "2.0", id: 0, method: "tools/call", params: { name: "haproxy_list_domains" } },
        ...["t", 5, 1.5, {}, null].map((progressToken) => ({
          ...read,
          params: { name: "haproxy_list_domains", arguments: {}, _meta: { progressToken } }
        })),
        callMessage("haproxy_list_domains", null),
        callMessage("haproxy_list_domains", []),
        callMessage("haproxy_nothing", {})
      ]
      for (const request of requests) {
        const direct = yield* promise(() => post(url, request))
        // The SDK passes over a parameter that it does not know; the direct way leaves such a request to it.
        const through = yield* promise(() => post(url, { ...request, params: { ...request.params, unknown: 1 } }))
        const what = JSON.stringify(request)
        assert.strictEqual(direct.status, through.status, what)
        assert.deepStrictEqual(JSON.parse(direct.text), JSON.parse(through.text), what)
        assert.strictEqual(direct.headers.get("content-type"), through.headers.get("content-type"), what)
        assert.notInclude(direct.text, "hunter2")
      }
    }).pipe(Effect.scoped))

  it.live("may be batches of the older era", () =>
    Effect.gen(function*() {
      const { url } = yield* startHttp(echo)
      const batch = [
        callMessage("haproxy_list_servers", { domain: "one" }, 1),
        callMessage("haproxy_list_servers", { domain: "two" }, "b")
      ]
      const answer = yield* promise(() => post(url, batch))
      assert.strictEqual(answer.status, 200)
      assert.include(answer.text, "haproxy_list_servers one")
      assert.include(answer.text, "haproxy_list_servers two")
    }).pipe(Effect.scoped))
})

describe("calls", () => {
  it.live("of tools that take long answer as a stream, with progress for those who asked", () =>
    Effect.gen(function*() {
      const tools = toolsOf((_name, _args, caller) =>
        Effect.as(
          Effect.forEach([1, 2, 3], (step) => caller.progress(step, 3, `step ${step}`), { discard: true }),
          { summary: "done" }
        )
      )
      const { url } = yield* startHttp(tools)
      for (const [name, connect] of clients) {
        const client = yield* connected(connect, { url })
        const seen: Array<Progress> = []
        const answer = yield* promise(() =>
          client.call("haproxy_wait_drain", { domain: "a.example" }, { onprogress: (progress) => seen.push(progress) })
        )
        assert.deepStrictEqual(answer.structuredContent, { summary: "done" }, name)
        assert.deepStrictEqual(seen.map(({ message, progress, total }) => [progress, total, message]), [
          [1, 3, "step 1"],
          [2, 3, "step 2"],
          [3, 3, "step 3"]
        ], name)
      }
      const unasked = yield* promise(() => post(url, callMessage("haproxy_wait_drain", { domain: "a.example" })))
      assert.match(unasked.headers.get("content-type") ?? "", /^text\/event-stream/)
      assert.notInclude(unasked.text, "notifications/progress")
    }).pipe(Effect.scoped))

  it.live("of a stream begin with a byte at once", () =>
    Effect.gen(function*() {
      const go = Deferred.makeUnsafe<void>()
      const { port } = yield* startHttp(toolsOf(() => Effect.as(Deferred.await(go), { summary: "done" })))
      const body = JSON.stringify(callMessage("haproxy_operation", { operation_id: "op_1", wait: 45 }))
      const headers = yield* promise(() =>
        new Promise<number>((resolve, reject) => {
          const request = httpRequest({
            port,
            path: "/mcp",
            method: "POST",
            headers: { "content-type": "application/json", accept: "application/json, text/event-stream" }
          }, (response) => {
            resolve(response.statusCode ?? 0)
            response.resume()
          })
          request.once("error", reject)
          request.end(body)
        })
      )
      assert.strictEqual(headers, 200)
      Deferred.doneUnsafe(go, Effect.void)
    }).pipe(Effect.scoped))

  it.live("are interrupted when their client goes away", () =>
    Effect.gen(function*() {
      for (const tool of ["haproxy_list_domains", "haproxy_wait_drain"]) {
        for (const [name, connect] of clients) {
          let began = 0
          let interrupted = 0
          const tools = toolsOf(() =>
            Effect.suspend(() => {
              began++
              return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
            })
          )
          const { url } = yield* startHttp(tools)
          const client = yield* connected(connect, { url })
          const controller = new AbortController()
          const called = client.call(tool, { domain: "a.example" }, { signal: controller.signal }).then(
            () => "answered",
            () => "failed"
          )
          yield* promise(() => until(() => began === 1))
          controller.abort()
          assert.strictEqual(yield* promise(() => called), "failed")
          // A client of the older era may only drop its answer; closing it cuts its connection.
          yield* promise(() => client.close())
          if (name !== "the 1.x client" && name !== "the 2.x client, older era") {
            yield* promise(() => until(() => interrupted === 1))
          }
          // A destroyed socket always ends the call.
          const body = JSON.stringify(callMessage(tool, { domain: "a.example" }))
          const before = interrupted
          const socket = connect2(url)
          socket.write(
            `POST /mcp HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`
          )
          yield* promise(() => until(() => began === 2))
          socket.destroy()
          yield* promise(() => until(() => interrupted > before))
        }
      }
    }).pipe(Effect.scoped), 60_000)

  it.live("know who calls, by a name that is no secret", () =>
    Effect.gen(function*() {
      const actors: Array<{ readonly via: string; readonly who: string; readonly requestId: string }> = []
      const tools = toolsOf((_name, _args, { actor }) =>
        Effect.as(Effect.sync(() => void actors.push(actor)), { summary: "noted" })
      )
      const { url } = yield* startHttp(tools, { gate: tokenGate })
      for (const [, connect] of clients) {
        const client = yield* connected(connect, { url, headers: authorization })
        for (const tool of ["haproxy_list_domains", "haproxy_wait_drain"]) {
          yield* promise(() => client.call(tool, { domain: "a.example" }))
        }
      }
      yield* promise(() => post(url, [read, read], authorization))
      assert.strictEqual(actors.length, 8)
      for (const actor of actors) assert.deepInclude(actor, { via: "mcp", who: "token-1" })
      assert.strictEqual(new Set(actors.map((actor) => actor.requestId)).size, 8)
      assert.notInclude(JSON.stringify(actors), token)
    }).pipe(Effect.scoped))

  it.live("of 64 clients never cross", () =>
    Effect.gen(function*() {
      // Answers come in another order than calls: each takes some turns of the event loop of its own.
      const tools = toolsOf((name, args) => {
        const marker = String(args["domain"])
        const turns = marker.charCodeAt(marker.length - 1) % 7
        return Effect.as(Effect.repeat(Effect.yieldNow, { times: turns * 3 }), { summary: `${name} ${marker}` })
      })
      const { url } = yield* startHttp(tools)
      const all = yield* Effect.forEach(
        Array.from({ length: 64 }, (_, index) => index),
        (index) => connected(clients[index % clients.length]![1], { url }),
        { concurrency: 16 }
      )
      const crossed = yield* promise(() =>
        Promise.all(all.map(async (client, index) => {
          let wrong = 0
          for (let round = 0; round < 12; round++) {
            const tool = round % 4 === 3 ? "haproxy_wait_drain" : "haproxy_list_servers"
            // All clients use the same request ids.
            const marker = `client-${index}-round-${round}`
            const answer = await client.call(tool, { domain: marker })
            if ((answer.structuredContent as { summary: string }).summary !== `${tool} ${marker}`) wrong++
          }
          return wrong
        }))
      )
      assert.deepStrictEqual(crossed, Array.from({ length: 64 }, () => 0))
    }).pipe(Effect.scoped), 60_000)

  it.live("that hit a defect below them answer no text of it", () =>
    Effect.gen(function*() {
      const { url } = yield* startHttp({
        rules: unrestricted,
        tokens: noTokens,
        call: () => Effect.die(new Error("hunter2")),
        admin: () => Effect.die("not asked for here"),
        watch: () => Effect.never,
        notReady: Effect.die("hunter2"),
        stopping: Effect.void
      })
      const answer = yield* promise(() => post(url, read))
      assert.notInclude(answer.text, "hunter2")
      const ready = yield* promise(() => raw(url.replace("/mcp", "/readyz")))
      assert.strictEqual(ready.status, 500)
      assert.notInclude(ready.text, "hunter2")
    }).pipe(Effect.scoped))
})

describe("the listener", () => {
  it.live("says whether it is ready, without saying why not", () =>
    Effect.gen(function*() {
      const { port } = yield* startHttp({ ...echo, notReady: Effect.succeed("HAProxy is down at 10.0.0.1") })
      const ready = yield* promise(() => raw(`http://127.0.0.1:${port}/readyz`))
      assert.strictEqual(ready.status, 503)
      assert.strictEqual(ready.text, "{\"status\":\"unavailable\"}")
      assert.strictEqual((yield* promise(() => raw(`http://127.0.0.1:${port}/healthz`))).status, 200)
    }).pipe(Effect.scoped))

  it.live("stops in order: nothing new, what runs is answered, subscriptions end", () =>
    Effect.gen(function*() {
      const go = Deferred.makeUnsafe<void>()
      let began = 0
      const tools = toolsOf(() =>
        Effect.suspend(() => {
          began++
          return Effect.as(Deferred.await(go), { summary: "finished" })
        })
      )
      const { port, stop, url } = yield* startHttp(tools)
      const running = post(url, read)
      const streaming = post(url, callMessage("haproxy_wait_drain", { domain: "a.example" }))
      const idle = connect2(url)
      let idleClosed = false
      idle.once("close", () => (idleClosed = true))
      idle.on("error", () => {})
      yield* promise(() => until(() => began === 2))
      const stopping = yield* Effect.forkChild(stop)
      yield* promise(() => until(() => idleClosed))
      const refused = yield* promise(() =>
        raw(`http://127.0.0.1:${port}/healthz`).then(() => "answered", () => "refused")
      )
      assert.strictEqual(refused, "refused")
      Deferred.doneUnsafe(go, Effect.void)
      assert.strictEqual(summaryOf(yield* promise(() => running)), "finished")
      assert.include((yield* promise(() => streaming)).text, "finished")
      yield* Fiber.join(stopping)
    }).pipe(Effect.scoped), 30_000)

  it.live("cuts those who send their headers slowly", () =>
    Effect.gen(function*() {
      const { port } = yield* startHttp(echo)
      // 10 s for the headers, looked at every 2 s.
      assert.strictEqual(
        status(yield* promise(() => bytes(port, "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-"))),
        "408"
      )
    }).pipe(Effect.scoped), 30_000)

  it.live("refuses a port that is taken, and says so", () =>
    Effect.gen(function*() {
      const { port } = yield* startHttp(echo)
      const error = yield* Effect.flip(startHttp(echo, { listen: { host: "127.0.0.1", port } }))
      // No wrong setting: it may be free after a while, so a restart helps.
      assert.deepInclude(error, { code: "CONFLICT", field: "MCP_PORT" })
      assert.match(error.message, /EADDRINUSE/)
    }).pipe(Effect.scoped))

  it.live("works on a unix socket, which others may not open", () =>
    Effect.gen(function*() {
      const path = join(yield* temporaryFolder("http"), "mcp.sock")
      yield* startHttp(echo, { listen: { path } })
      assert.strictEqual(statSync(path).mode & 0o777, 0o660)
      const answer = yield* promise(() => overSocket(path, "/mcp", JSON.stringify(read)))
      assert.include(answer, "haproxy_list_servers a.example")
      assert.strictEqual(openGate.open, "local")
    }).pipe(Effect.scoped))
})

const connect2 = (url: string) => connect(Number(new URL(url).port), "127.0.0.1")

const overSocket = (socketPath: string, path: string, body: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({
      socketPath,
      path,
      method: "POST",
      headers: { host: "localhost", "content-type": "application/json", accept: "application/json, text/event-stream" }
    }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.once("end", () => resolve(text))
    })
    request.once("error", reject)
    request.end(body)
  })
