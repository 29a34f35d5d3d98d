/**
 * One more host at 10,000: `haproxy_add_domain` over MCP against a peer that does the same its own way, from the
 * request to the first routed answer. Ours is durable and read back by then; theirs need not be.
 */
import * as Effect from "effect/Effect"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { FetchFailure } from "../../scripts/debian/FetchFailure.ts"
import { caddy } from "../peers/Caddy.ts"
import { nginx } from "../peers/Nginx.ts"
import { type Peer, untilRouted } from "../peers/Peer.ts"
import { freshName, nameOf, ownerOf } from "../Population.ts"
import { RawHttp } from "../RawHttp.ts"
import { type Bench, duration, type Measurement, type Row, Skipped } from "../Row.ts"
import { median, ratioOf } from "../Samples.ts"
import { addRouted, startServe } from "../Serve.ts"
import { makeWorld, startOrigin } from "../World.ts"

const domains = 10_000

const fetched = async (peer: Peer) => {
  try {
    return await ensureProgram(peer.program)
  } catch (cause) {
    if (cause instanceof FetchFailure) throw new Skipped(`${peer.program} cannot be had: ${cause.message}`)
    throw cause
  }
}

const against = (peer: Peer): Row => ({
  name: `against-${peer.program}`,
  title:
    `haproxy_add_domain over MCP to the first routed answer, at 10k domains, against ${peer.program} (${peer.how})`,
  run: Effect.fnUntraced(function*(bench: Bench) {
    bench.say(`against ${peer.program}: preparing`)
    const { path } = yield* Effect.promise(() => fetched(peer))
    const originPort = yield* startOrigin(bench)
    const hosts = Array.from({ length: domains }, (_, index) => nameOf(index))
    const other = yield* peer.start(bench, { program: path, hosts, originPort })
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const served = yield* startServe(bench, world, `against-${peer.program}`)
    return yield* Effect.promise(async () => {
      bench.say(`against ${peer.program}: measuring`)
      const connection = await served.connect()
      const web = await RawHttp.connect(world.haproxy.site.httpPort)
      let sample = 0
      const ours = async () => {
        const args = { domain: freshName(), share_with: ownerOf(sample++) }
        const { routed } = await addRouted(served, connection, web, args)
        return routed
      }
      const theirs = async () => {
        const host = freshName()
        const began = performance.now()
        await other.add(host)
        await untilRouted(other.httpPort, host)
        return performance.now() - began
      }
      for (let warm = 0; warm < 20; warm++) await ours()
      await theirs()
      const rounds: Array<{ readonly ours: ReadonlyArray<number>; readonly theirs: number }> = []
      for (let round = 0; round < (bench.quick ? 3 : 9); round++) {
        const taken: Array<number> = []
        for (let turn = 0; turn < 10; turn++) taken.push(await ours())
        rounds.push({ ours: taken, theirs: await theirs() })
      }
      connection.close()
      web.close()
      const measurement: Measurement = {
        name: "10k domains",
        subject: duration("MCP add, routed", rounds.flatMap((round) => round.ours)),
        against: duration(peer.program, rounds.map((round) => round.theirs)),
        ratio: ratioOf(rounds.map((round) => round.theirs / median(round.ours))),
        target: { atLeast: 50 }
      }
      return [measurement]
    })
  })
})

export const againstCaddy = against(caddy)
export const againstNginx = against(nginx)
