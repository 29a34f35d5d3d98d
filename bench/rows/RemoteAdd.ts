/**
 * The database's durable home is another host. `haproxy_add_domain` over MCP in strict mode (acknowledged means durable
 * there) against the same addition without a remote plus the least that makes the same bytes durable there by SFTP: over
 * loopback, and with 5 ms added to every round trip. And 64 clients against one, on the same two ways.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { bundle } from "../Bundle.ts"
import { rateOf, ratesInTurn } from "../Load.ts"
import { freshName, ownerOf } from "../Population.ts"
import { startRemote, type Way } from "../RemoteWorld.ts"
import { type Bench, duration, type Measurement, rate, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf, timed } from "../Samples.ts"
import { metricsOf, type Served, startServe } from "../Serve.ts"
import { makeWorld, startOrigin } from "../World.ts"

const domains = 1_000
const clients = 64
const added = 5

/** Milliseconds of each way after which no further round begins: on a busy machine a round takes a minute. */
const loadLimit = 90_000

const ways = { near: "loopback", far: `${added} ms added` } as const

/** A control plane in strict mode that comes this way. */
const serveRemote = Effect.fnUntraced(function*(bench: Bench, way: Way, originPort: number, name: string) {
  const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
  mkdirSync(join(world.haproxy.site.dir, "remote"))
  const program = yield* Effect.promise(() => bundle(bench))
  return { world, served: yield* startServe(bench, world, name, program, way.env(world)) }
})

/** Adds a domain and takes it back; answers the milliseconds of the first. */
const adder = async (served: Served) => {
  const connection = await served.connect()
  let sample = 0
  return {
    add: async () => {
      const domain = freshName()
      const took = await timed(() =>
        served.call(connection, "haproxy_add_domain", { domain, share_with: ownerOf(sample++) })
      )
      await served.call(connection, "haproxy_remove_domain", { domain })
      return took
    },
    close: () => connection.close()
  }
}

/** Uploads so far, and their bytes. */
const uploadsOf = async (served: Served) => {
  const metrics = await metricsOf(served)
  const sum = (name: string) =>
    metrics.split("\n").filter((line) => line.startsWith(name)).reduce(
      (all, line) => all + Number(line.split(" ").at(-1)),
      0
    )
  return { uploads: sum("haproxy_mcp_remote_uploads_total"), bytes: sum("haproxy_mcp_remote_upload_bytes_total") }
}

export const remoteAdd: Row = {
  name: "remote-add",
  title:
    "haproxy_add_domain in strict mode over SSH, at 1k domains, against the local addition + a raw durable publish",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("add with a remote: preparing")
    const originPort = yield* startOrigin(bench)
    const remote = yield* startRemote(bench, added)
    const local = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const program = yield* Effect.promise(() => bundle(bench))
    const alone = yield* startServe(bench, local, "remote-add-local", program)
    const measurements: Array<Measurement> = []
    for (const [key, text] of Object.entries(ways) as ReadonlyArray<[keyof typeof ways, string]>) {
      const { served, world } = yield* serveRemote(bench, remote[key], originPort, `remote-add-${key}`)
      measurements.push(
        yield* Effect.promise(async () => {
          bench.say(`add with a remote, ${text}: measuring`)
          const here = await adder(alone)
          const there = await adder(served)
          const floor = await remote[key].floor(world)
          // What one addition publishes.
          const before = await uploadsOf(served)
          for (let turn = 0; turn < 10; turn++) await there.add()
          const after = await uploadsOf(served)
          const size = Math.round((after.bytes - before.bytes) / Math.max(1, after.uploads - before.uploads))
          const bytes = Buffer.alloc(size, 7)
          const sides = { remote: there.add, local: here.add, publish: () => timed(() => floor.publish(bytes)) }
          await interleave({ rounds: 1, samples: bench.quick ? 10 : 60 }, sides)
          const rounds = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 10 : 40 }, sides)
          here.close()
          there.close()
          floor.close()
          const sums = rounds.map((round) => median(round.local) + median(round.publish))
          const measurement: Measurement = {
            name: text,
            subject: duration("strict add", pool(rounds, "remote")),
            against: { what: "local add + raw publish", value: median(sums), unit: "ms" },
            ratio: ratioOf(rounds.map((round, index) => median(round.remote) / sums[index]!)),
            target: { atMost: 2 },
            details: {
              "local add": median(pool(rounds, "local")),
              "raw publish": median(pool(rounds, "publish")),
              "bytes": size
            }
          }
          return measurement
        })
      )
    }
    return measurements
  })
}

export const remoteManyClients: Row = {
  name: "remote-many-clients",
  title: `${clients} clients that add in strict mode over SSH, at 1k domains, against one`,
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("many clients with a remote: preparing")
    const originPort = yield* startOrigin(bench)
    const remote = yield* startRemote(bench, added)
    const measurements: Array<Measurement> = []
    for (const [key, text] of Object.entries(ways) as ReadonlyArray<[keyof typeof ways, string]>) {
      const { served } = yield* serveRemote(bench, remote[key], originPort, `remote-many-${key}`)
      measurements.push(
        yield* Effect.promise(async () => {
          bench.say(`many clients with a remote, ${text}: measuring`)
          const connections = await Promise.all(Array.from({ length: clients }, served.connect))
          const load = (callers: number, calls: number) => async () => {
            const names = Array.from({ length: calls }, freshName)
            const result = await rateOf(
              callers,
              calls,
              (caller, index) =>
                served.call(connections[caller]!, "haproxy_add_domain", {
                  domain: names[index]!,
                  share_with: ownerOf(index)
                })
            )
            await rateOf(
              clients,
              calls,
              (caller, index) => served.call(connections[caller]!, "haproxy_remove_domain", { domain: names[index]! })
            )
            return result
          }
          const sides = {
            many: load(clients, bench.quick ? 320 : 960),
            one: load(1, bench.quick ? 20 : 40)
          }
          await ratesInTurn(1, sides)
          const rates = await ratesInTurn(bench.quick ? 3 : 7, sides, loadLimit)
          for (const connection of connections) connection.close()
          const measurement: Measurement = {
            name: text,
            subject: rate(`${clients} clients`, rates.many),
            against: rate("one client", rates.one),
            ratio: ratioOf(rates.many.map((many, round) => many / rates.one[round]!)),
            target: { atLeast: 10 }
          }
          return measurement
        })
      )
    }
    return measurements
  })
}
