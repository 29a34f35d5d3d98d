/**
 * Traces of a running control plane at a real collector: one request is one tree from the client's own span down to
 * the socket and the files; no secret is in it; and a collector that is down or silent is nobody's problem.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { spawn } from "node:child_process"
import { callMessage, clients, connected, post } from "../mcp/harness.ts"
import { type CollectedSpan, type Collector, startCollector } from "../support/Collector.ts"
import { scrapeOf } from "../support/Exposition.ts"
import { becomes, poll } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { program } from "../support/Program.ts"
import { startHaproxy } from "../support/RealHaproxy.ts"
import { type Env, settingsOf, startServer } from "../support/ServerProcess.ts"

const token = "a-token-that-no-span-may-hold"
const shape = { pools: 3, slots: 2 }
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736"
const clientSpan = "00f067aa0ba902b7"
const traceparent = `00-${traceId}-${clientSpan}-01`

const promise = <A>(make: () => Promise<A>) => Effect.promise(make)

const sendingTo = (url: string): Env => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: "50" })

const running = Effect.fnUntraced(function*(env: Env) {
  const haproxy = yield* startHaproxy(shape)
  const settings = settingsOf(haproxy.site, { ...shape, env: { MCP_TOKEN: token, ...env } })
  const server = yield* startServer({ token, env: settings })
  yield* promise(server.ready)
  const call = (name: string, args: object, headers: Record<string, string> = {}, meta?: object) => {
    const message = callMessage(name, args)
    return promise(() =>
      post(
        `${server.url}/mcp`,
        meta === undefined ? message : { ...message, params: { ...message.params, _meta: meta } },
        { authorization: `Bearer ${token}`, ...headers }
      )
    )
  }
  return { haproxy, server, call, env: settings }
})

/** The spans of a trace, once its request has ended. */
const traceOf = (collector: Collector, id: string) =>
  poll(`the trace ${id}`, () => {
    const spans = collector.spans().filter((span) => span.traceId === id)
    return spans.some((span) => span.name.startsWith("tools/call ")) ? spans : undefined
  })

/** A trace as lines, children below their parents in the order of their begin. */
const treeOf = (spans: ReadonlyArray<CollectedSpan>, root: string): ReadonlyArray<string> => {
  const below = (parent: string, depth: number): ReadonlyArray<string> =>
    spans.filter((span) => span.parentSpanId === parent)
      .sort((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)))
      .flatMap((span) => [`${"  ".repeat(depth)}${span.name}`, ...below(span.spanId, depth + 1)])
  return below(root, 0)
}

const inOrder = (lines: ReadonlyArray<string>, wanted: ReadonlyArray<string>) => {
  let from = 0
  for (const line of wanted) {
    const at = lines.indexOf(line, from)
    assert.isAtLeast(at, 0, `${line} is missing or out of place in\n${lines.join("\n")}`)
    from = at + 1
  }
}

describe("traces", () => {
  it.live(
    "show a write from the client's span to the socket and the files, and no secret",
    () =>
      Effect.gen(function*() {
        const collector = yield* startCollector()
        const { call, server } = yield* running(sendingTo(collector.url))
        yield* call("haproxy_add_domain", { domain: "a.example.com", ip: "10.0.0.1" }, { traceparent })
        const spans = yield* promise(() => traceOf(collector, traceId))
        const lines = treeOf(spans, clientSpan)
        assert.lengthOf(lines, spans.length, "every span hangs below the client's")
        inOrder(lines, [
          "tools/call haproxy_add_domain",
          "  tool haproxy_add_domain",
          "    addDomain",
          "      submit",
          "        Batch",
          "          Store.commit",
          "            COMMIT",
          "          RuntimeApi.exchange",
          "            Connection.run",
          "          MapFiles.apply"
        ])
        // The decision belongs to the job, whoever else is in the batch.
        assert.include(lines, "        decide")
        const named = (name: string) => spans.find((span) => span.name === name)!
        assert.deepInclude(named("tools/call haproxy_add_domain").attributes, {
          "gen_ai.tool.name": "haproxy_add_domain",
          "mcp.method.name": "tools/call"
        })
        assert.strictEqual(named("tool haproxy_add_domain").attributes["haproxy_mcp.code"], "OK")
        const commands = spans.map((span) => String(span.attributes["haproxy.command_names"] ?? "")).join(", ")
        assert.include(commands, "add map")
        assert.include(commands, "set server")
        assert.notInclude(commands, "10.0.0.1")

        // The log has the same ids.
        yield* promise(() => becomes("the line", () => server.logs().some((line) => line["trace_id"] === traceId)))
        const line = server.logs().find(({ msg }) => msg === "tool call")!
        assert.strictEqual(line["trace_id"], traceId)
        assert.strictEqual(line["request_id"], named("tool haproxy_add_domain").attributes["haproxy_mcp.request_id"])

        // The envelope says more than the header; a refusal is an answer that names its code.
        const other = "0af7651916cd43dd8448eb211c80319c"
        const meta = { traceparent: `00-${other}-b7ad6b7169203331-01` }
        yield* call("haproxy_add_domain", { domain: "no domain" }, { traceparent }, meta)
        const refused = yield* promise(() => traceOf(collector, other))
        const tool = refused.find((span) => span.name === "tool haproxy_add_domain")!
        assert.strictEqual(tool.attributes["error.type"], "INVALID_INPUT")

        // Without a client's trace, or with nonsense instead of it, a call begins its own; unsampled ones stay away.
        yield* call("haproxy_list_domains", {}, { traceparent: "00-nonsense" })
        const hidden = "11111111111111111111111111111111"
        yield* call("haproxy_list_domains", {}, { traceparent: `00-${hidden}-b7ad6b7169203331-00` })
        const own = yield* promise(() =>
          poll(
            "a trace of its own",
            () => collector.spans().find((span) => span.name === "tools/call haproxy_list_domains")
          )
        )
        assert.isTrue(own.parentSpanId === undefined || own.parentSpanId === "")
        const ended = yield* promise(server.stop)
        assert.deepInclude(ended, { code: 0 })
        assert.isFalse(collector.spans().some((span) => span.traceId === hidden))
        assert.isTrue(collector.bodies.some((body) => body.startsWith("/v1/metrics ")))
        assert.notInclude(collector.bodies.join("\n"), token)
        assert.notInclude(collector.bodies.join("\n"), "Bearer")
      }),
    60_000
  )

  it.live("follow _meta of MCP 2026-07-28, and tie the writes of one batch together", () =>
    Effect.gen(function*() {
      const collector = yield* startCollector()
      const { call, haproxy, server } = yield* running(sendingTo(collector.url))
      const [, newest] = clients.at(-1)!
      const client = yield* connected(newest, {
        url: `${server.url}/mcp`,
        headers: { authorization: `Bearer ${token}`, traceparent }
      })
      yield* promise(() => client.call("haproxy_add_domain", { domain: "shared.example.com" }))
      yield* promise(() => traceOf(collector, traceId))
      // The first is committed and waits for HAProxy, which does not answer; so the others wait together.
      const shows = (series: string) =>
        promise(async () => {
          const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })
          return scrapeOf(await answer.text()).value(series)
        })
      const reaches = Effect.fnUntraced(function*(series: string, value: number) {
        for (const end = performance.now() + 20_000; (yield* shows(series)) < value; yield* Effect.sleep(5)) {
          if (performance.now() > end) throw new Error(`${series} does not become ${value}`)
        }
      })
      const share = (domain: string, headers: Record<string, string> = {}) =>
        call("haproxy_add_domain", { domain, share_with: "shared.example.com" }, headers)
      const commits = "haproxy_mcp_store_commit_seconds_count"
      const before = yield* shows(commits)
      yield* haproxy.pause
      const first = yield* Effect.forkChild(share("b0.example.com"))
      yield* reaches(commits, before + 1)
      const ids = Array.from({ length: 8 }, (_, n) => `${n + 1}`.repeat(32))
      const others = yield* Effect.forkChild(Effect.forEach(
        ids,
        (id, n) => share(`c${n}.example.com`, { traceparent: `00-${id}-b7ad6b7169203331-01` }),
        { concurrency: "unbounded" }
      ))
      yield* reaches("haproxy_mcp_queue_length", ids.length)
      yield* haproxy.resume
      yield* Fiber.join(first)
      yield* Fiber.join(others)
      yield* promise(() => Promise.all(ids.map((id) => traceOf(collector, id))))
      const batch = yield* promise(() =>
        poll("a batch of many", () =>
          collector.spans().find((span) =>
            span.name === "Batch" && Number(span.attributes["haproxy_mcp.writes"]) === ids.length
          ))
      )
      const submits = collector.spans().filter((span) =>
        span.name === "submit"
      )
      assert.isTrue(submits.some((span) => span.spanId === batch.parentSpanId), "it hangs below its first")
      for (const link of batch.links) {
        const submit = submits.find((span) => span.spanId === link.spanId)
        assert.isDefined(submit, "every link leads to a write")
        assert.isTrue(submit!.links.some((back) => back.spanId === batch.spanId), "and back")
        assert.isTrue(
          collector.spans().some((span) => span.name === "decide" && span.parentSpanId === submit!.spanId),
          "with its own decision"
        )
      }
      assert.lengthOf(batch.links, ids.length - 1)
    }), 60_000)

  it.live("go through a stdio process to the process that serves", () =>
    Effect.gen(function*() {
      const collector = yield* startCollector()
      const { env, server } = yield* running(sendingTo(collector.url))
      const child = spawn(process.execPath, [program, "stdio"], {
        env: { ...process.env, ...env, OTEL_EXPORTER_OTLP_ENDPOINT: "" },
        stdio: ["pipe", "pipe", "ignore"]
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => child.kill("SIGKILL")))
      let output = ""
      child.stdout.on("data", (part: Buffer) => (output += part.toString("utf8")))
      const send = (message: object) => child.stdin.write(`${JSON.stringify(message)}\n`)
      const clientInfo = { name: "test", version: "1" }
      send({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo }
      })
      yield* promise(() => becomes("initialized", () => output.includes("serverInfo")))
      send({ jsonrpc: "2.0", method: "notifications/initialized" })
      const message = callMessage("haproxy_list_domains", {}, 2)
      send({ ...message, params: { ...message.params, _meta: { traceparent } } })
      const spans = yield* promise(() => traceOf(collector, traceId))
      inOrder(treeOf(spans, clientSpan), ["tools/call haproxy_list_domains", "  tool haproxy_list_domains"])
      yield* promise(() => becomes("the line", () => server.logs().some((line) => line["trace_id"] === traceId)))
      child.stdin.end()
    }), 60_000)

  it.live(
    "are not made when nobody collects them, and the log still names the client's trace",
    () =>
      Effect.gen(function*() {
        const { call, server } = yield* running({})
        yield* call("haproxy_list_domains", {}, { traceparent })
        yield* call("haproxy_list_domains", {})
        yield* promise(() =>
          becomes("two lines", () => server.logs().filter(({ msg }) => msg === "tool call").length === 2)
        )
        const [first, second] = server.logs().filter(({ msg }) => msg === "tool call")
        assert.strictEqual(first!["trace_id"], traceId)
        assert.isString(second!["request_id"])
        assert.notProperty(second, "trace_id")
      }),
    60_000
  )

  it.live(
    "cost a call nothing when the collector is silent or not there, and the process ends in time",
    () =>
      Effect.gen(function*() {
        const port = yield* promise(takePort)
        const nobody = `http://127.0.0.1:${port}`
        const silent = yield* startCollector("silent")
        for (const url of [nobody, silent.url]) {
          const { server } = yield* running(sendingTo(url))
          const client = server.client()
          const times: Array<number> = []
          for (let n = 0; n < 60; n++) {
            const { code, ms } = yield* promise(() =>
              client.call("haproxy_add_domain", {
                domain: `d${n}.example.com`,
                share_with: n === 0 ? undefined : "d0.example.com"
              })
            )
            assert.strictEqual(code, "OK")
            times.push(ms)
          }
          // Whoever waited for the collector would have waited seconds.
          assert.isBelow(Math.max(...times), 1_000)
          const began = performance.now()
          const { code } = yield* promise(server.stop)
          assert.strictEqual(code, 0)
          assert.isBelow(performance.now() - began, 8_000)
        }
        assert.isNotEmpty(silent.bodies)
        releasePort(port)
      }),
    90_000
  )
})
