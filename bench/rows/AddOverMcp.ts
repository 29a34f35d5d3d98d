/**
 * `haproxy_add_domain` over MCP, from the request to the first routed answer, against what it is made of: the same
 * addition in process, and one MCP call that only reads. The three are sampled in turn, the control planes side by
 * side on equal databases.
 */
import * as Effect from "effect/Effect"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { startPlane } from "../Plane.ts"
import { freshName, ownerOf } from "../Population.ts"
import { RawHttp } from "../RawHttp.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { interleave, median, pool, ratioOf, timed } from "../Samples.ts"
import { addRouted, readingCall, startServe } from "../Serve.ts"
import { makeWorld, startOrigin } from "../World.ts"

const domains = 10_000

export const addOverMcp: Row = {
  name: "add-over-mcp",
  title: "haproxy_add_domain over MCP to the first routed answer, at 10k domains, against its parts",
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say("add over MCP: preparing")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const served = yield* startServe(bench, world, "add-over-mcp")
    const twin = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const plane = yield* startPlane(twin.haproxy.site, twin.database, true)
    return yield* Effect.promise(async () => {
      bench.say("add over MCP: measuring")
      const connection = await served.connect()
      const web = await RawHttp.connect(world.haproxy.site.httpPort)
      let sample = 0
      const routed: Array<number> = []
      const sides = {
        overMcp: async () => {
          const domain = freshName()
          const times = await addRouted(served, connection, web, { domain, share_with: ownerOf(sample++) })
          routed.push(times.routed - times.added)
          await served.call(connection, "haproxy_remove_domain", { domain })
          return times.routed
        },
        inProcess: async () => {
          const domain = freshName()
          const took = await timed(() => plane.run(addDomain({ domain, share_with: ownerOf(sample++) })))
          await plane.run(removeDomain({ domain }))
          return took
        },
        read: () => timed(() => served.call(connection, readingCall.tool, readingCall.args))
      }
      await interleave({ rounds: 1, samples: bench.quick ? 20 : 60 }, sides)
      const rounds = await interleave({ rounds: bench.quick ? 3 : 7, samples: bench.quick ? 20 : 60 }, sides)
      await served.record(async () => {
        for (let turn = 0; turn < 400; turn++) await sides.overMcp()
      })
      connection.close()
      web.close()
      const sums = rounds.map((round) => median(round.inProcess) + median(round.read))
      const measurement: Measurement = {
        name: "share, 10k domains",
        subject: duration("MCP add, routed", pool(rounds, "overMcp")),
        against: { what: "in process + reading call", value: median(sums), unit: "ms" },
        ratio: ratioOf(rounds.map((round, index) => median(round.overMcp) / sums[index]!)),
        target: { atMost: 1.3 },
        details: {
          "in process": median(pool(rounds, "inProcess")),
          "reading call": median(pool(rounds, "read")),
          "the routed request alone": median(routed)
        }
      }
      return [measurement]
    })
  })
}
