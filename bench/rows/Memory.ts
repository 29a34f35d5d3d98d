/**
 * Memory at 100,000 domains: the control plane and HAProxy after both have loaded them, and after the control plane has
 * written for a while and rested. Resident set of the process (proc(5), VmRSS); the most it ever was is stated beside.
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { bundle } from "../Bundle.ts"
import { freshName, ownerOf } from "../Population.ts"
import { type Bench, type Measurement, type Row } from "../Row.ts"
import { ratioOf } from "../Samples.ts"
import { readingCall, startServe } from "../Serve.ts"
import { makeWorld, startOrigin } from "../World.ts"

/** Megabytes of DESIGN's table. */
const limits = { plane: 150, haproxy: 60 }

/** Longest rest, in milliseconds, until memory that is not needed has gone back to the system. */
const rest = 20_000

const field = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? NaN) /
  1024

export const memory: Row = {
  name: "memory",
  title: "Resident memory at 100k domains",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("memory: preparing")
    const originPort = yield* startOrigin(bench)
    const domains = bench.quick ? 10_000 : 100_000
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    // The bundle: taking the types out of the sources at start costs memory that no user's process has.
    const served = yield* startServe(bench, world, "memory", yield* Effect.promise(() => bundle(bench)))
    const worker = yield* world.haproxy.workerPid
    return yield* Effect.promise(async () => {
      const atStart = field(served.pid, "VmRSS")
      const client = await served.connect()
      const work = bench.quick ? 100 : 500
      for (let turn = 0; turn < work; turn++) {
        const domain = freshName()
        await served.call(client, "haproxy_add_domain", { domain, share_with: ownerOf(turn) })
        await served.call(client, readingCall.tool, readingCall.args)
        await served.call(client, "haproxy_remove_domain", { domain })
      }
      client.close()
      bench.say("memory: resting")
      for (const end = Date.now() + rest; Date.now() < end && field(served.pid, "VmRSS") > limits.plane;) {
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      const measure = (name: string, value: number, limit: number, details: Readonly<Record<string, number>>) => ({
        name: `${name}, ${domains / 1000}k domains`,
        subject: { what: "resident", value, unit: "MB" },
        against: { what: "limit", value: limit, unit: "MB" },
        ratio: ratioOf([value / limit]),
        target: { atMost: 1 },
        details
      } as const satisfies Measurement)
      return [
        measure("control plane", field(served.pid, "VmRSS"), limits.plane, {
          "MB when it was ready": atStart,
          "MB at most so far": field(served.pid, "VmHWM"),
          "writes since then": 2 * work
        }),
        measure("HAProxy's worker", field(worker, "VmRSS"), limits.haproxy, {
          "MB at most so far": field(worker, "VmHWM")
        })
      ]
    })
  })
}
