/** A reading MCP call against a `node:http` server that answers the same bytes; one client, and 64 at once. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { startChild, untilReady } from "../Children.ts"
import { rateOf, ratesInTurn, withProcessorTime } from "../Load.ts"
import { RawHttp } from "../RawHttp.ts"
import { type Bench, duration, rate, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf, timed } from "../Samples.ts"
import { callRequest, readingCall, startServe } from "../Serve.ts"
import { makeWorld, ownPort, startOrigin } from "../World.ts"

const clients = 64
const echoProgram = fileURLToPath(new URL("../children/Echo.ts", import.meta.url))

/** A server that answers `body` to everything. */
const startEcho = Effect.fnUntraced(function*(bench: Bench, body: string) {
  const port = yield* ownPort
  const file = join(bench.folder, "echo.json")
  writeFileSync(file, body, "latin1")
  const child = yield* startChild(process.execPath, [echoProgram, String(port), file], {
    logFile: join(bench.folder, "echo.log")
  })
  yield* Effect.promise(() =>
    untilReady("the echo server", child, async () => {
      const connection = await RawHttp.connect(port)
      connection.close()
      return true
    })
  )
  return { port, pid: child.pid }
})

export const readOverMcp: Row = {
  name: "read-over-mcp",
  title: "A reading MCP call (a page of ten domains of 10k) against a node:http echo of the same bytes",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("read over MCP: preparing")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains: 10_000, originPort, poolsFile: true })
    const served = yield* startServe(bench, world, "read-over-mcp")
    const connection = yield* Effect.promise(served.connect)
    const body = yield* Effect.promise(() => served.call(connection, readingCall.tool, readingCall.args))
    const echoServer = yield* startEcho(bench, body)
    const request = (port: number) => callRequest(port, readingCall.tool, readingCall.args)
    return yield* Effect.promise(async () => {
      bench.say("read over MCP: measuring")
      const connections = async (port: number) =>
        Promise.all(Array.from({ length: clients }, () => RawHttp.connect(port)))
      const [mcp, echo] = [await connections(served.port), await connections(echoServer.port)]
      const send = (port: number, all: ReadonlyArray<RawHttp>) => {
        const text = request(port)
        return async (caller: number) => {
          const answer = await all[caller]!.send(text)
          if (answer.body.length !== body.length) throw new Error(`not the same answer: ${answer.body.slice(0, 200)}`)
        }
      }
      const sendMcp = send(served.port, mcp)
      const sendEcho = send(echoServer.port, echo)
      const sides = { mcp: () => timed(() => sendMcp(0)), echo: () => timed(() => sendEcho(0)) }
      const calls = bench.quick ? 800 : 6_000
      const many = {
        mcp: withProcessorTime(served.pid, calls, () => rateOf(clients, calls, sendMcp)),
        echo: withProcessorTime(echoServer.pid, calls, () => rateOf(clients, calls, sendEcho))
      }
      const loads = { mcp: many.mcp.run, echo: many.echo.run }
      await ratesInTurn(2, loads)
      many.mcp.costs.length = many.echo.costs.length = 0
      const one = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 100 : 600 }, sides)
      const all = await ratesInTurn(bench.quick ? 3 : 7, loads)
      const costs = { mcp: median(many.mcp.costs), echo: median(many.echo.costs) }
      await served.record(() => rateOf(clients, 4 * calls, sendMcp))
      for (const each of [...mcp, ...echo, connection]) each.close()
      return [{
        name: "one client",
        subject: duration("MCP call", pool(one, "mcp")),
        against: duration("echo", pool(one, "echo")),
        ratio: ratioOf(one.map((round) => median(round.mcp) / median(round.echo))),
        target: { atMost: 3 },
        details: { "bytes of the answer": body.length }
      }, {
        name: `${clients} clients`,
        subject: rate("MCP calls", all.mcp),
        against: rate("echo", all.echo),
        ratio: ratioOf(all.mcp.map((each, round) => all.echo[round]! / each)),
        target: { atMost: 3 },
        details: { "processor ms per MCP call": costs.mcp, "per echo": costs.echo }
      }]
    })
  })
}
