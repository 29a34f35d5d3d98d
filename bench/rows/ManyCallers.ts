/**
 * Many callers at once: in process against one caller alone, on a disk with 3 ms per fsync and on the disk as it is;
 * and over MCP against reading calls.
 */
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Rates, Task } from "../children/ManyCallers.ts"
import { rateOf, ratesInTurn, withProcessorTime } from "../Load.ts"
import { freshName, ownerOf } from "../Population.ts"
import type { RawHttp } from "../RawHttp.ts"
import { type Bench, type Measurement, rate, type Row } from "../Row.ts"
import { median, ratioOf } from "../Samples.ts"
import { readingCall, startServe } from "../Serve.ts"
import { slowDisk, slowFsync } from "../SlowDisk.ts"
import { makeWorld, startOrigin } from "../World.ts"

const callers = 64
const domains = 10_000
const child = fileURLToPath(new URL("../children/ManyCallers.ts", import.meta.url))
const childLimit = 120_000

/** Runs the child to its end; closing its input ends it early, also when it runs under strace. */
const runChild = (prefix: ReadonlyArray<string>, task: Task): Promise<Rates> => {
  const [program, ...args] = [...prefix, process.execPath, child, JSON.stringify(task)]
  const running = spawn(program!, args, { stdio: ["pipe", "pipe", "inherit"] })
  const timer = setTimeout(() => running.stdin.end(), childLimit)
  let text = ""
  running.stdout.setEncoding("utf8").on("data", (part: string) => text += part)
  const { promise, reject, resolve } = Promise.withResolvers<Rates>()
  running.once("error", reject)
  running.once("close", (code) => {
    clearTimeout(timer)
    if (code === 0) resolve(JSON.parse(text) as Rates)
    else reject(new Error(`the child ended with ${code}`))
  })
  return promise
}

const measurementOf = (name: string, rates: Rates, target: boolean): Measurement => ({
  name,
  subject: rate(`${callers} callers`, rates.many),
  against: rate("one caller", rates.one),
  ratio: ratioOf(rates.many.map((many, round) => many / rates.one[round]!)),
  ...(target ? { target: { atLeast: 10 } } : {}),
  details: { "fsync": rates.fsync }
})

export const manyCallers: Row = {
  name: "many-callers",
  title: `${callers} callers add at once, in process at 10k domains, against one caller`,
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("many callers: preparing")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const task: Task = {
      site: world.haproxy.site,
      database: world.database,
      callers,
      rounds: bench.quick ? 3 : 7,
      single: bench.quick ? 30 : 100,
      many: bench.quick ? 640 : 1_920,
      profile: false
    }
    return yield* Effect.promise(async () => {
      const slow = await slowDisk(bench.folder)
      bench.say("many callers: measuring")
      const native = await runChild([], { ...task, profile: bench.profiler.on })
      return [
        measurementOf(`${slowFsync} ms per fsync`, await runChild(slow, task), true),
        measurementOf("the disk as it is", native, false)
      ]
    })
  })
}

export const manyCallersOverMcp: Row = {
  name: "many-callers-over-mcp",
  title: `${callers} clients add at once over MCP, at 10k domains, against as many that read`,
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("many callers over MCP: preparing")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const served = yield* startServe(bench, world, "many-callers-over-mcp")
    return yield* Effect.promise(async () => {
      bench.say("many callers over MCP: measuring")
      const connections: ReadonlyArray<RawHttp> = await Promise.all(Array.from({ length: callers }, served.connect))
      const calls = bench.quick ? 500 : 4_000
      let names: ReadonlyArray<string> = []
      const add = withProcessorTime(served.pid, calls, () => {
        names = Array.from({ length: calls }, freshName)
        return rateOf(callers, calls, (caller, index) =>
          served.call(connections[caller]!, "haproxy_add_domain", {
            domain: names[index]!,
            share_with: ownerOf(index)
          }))
      })
      const read = withProcessorTime(
        served.pid,
        calls,
        () => rateOf(callers, calls, (caller) => served.call(connections[caller]!, readingCall.tool, readingCall.args))
      )
      const sides = {
        add: async () => {
          const rate = await add.run()
          await rateOf(
            callers,
            calls,
            (caller, index) => served.call(connections[caller]!, "haproxy_remove_domain", { domain: names[index]! })
          )
          return rate
        },
        read: read.run
      }
      await ratesInTurn(2, sides)
      add.costs.length = read.costs.length = 0
      const rates = await ratesInTurn(bench.quick ? 3 : 7, sides)
      const costs = { add: median(add.costs), read: median(read.costs) }
      await served.record(sides.add)
      for (const connection of connections) connection.close()
      const measurement: Measurement = {
        name: `${callers} clients`,
        subject: rate("adds", rates.add),
        against: rate("reading calls", rates.read),
        ratio: ratioOf(rates.add.map((add, round) => add / rates.read[round]!)),
        target: { atLeast: 0.6 },
        details: { "processor ms per add": costs.add, "per reading call": costs.read }
      }
      return [measurement]
    })
  })
}
