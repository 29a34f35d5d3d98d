/**
 * 1,000 changes while a site is under load: nobody else notices. Four clients change domains of their own over MCP
 * (pools taken and freed, servers set, drained and removed); meanwhile visitors of another site keep sending requests
 * on kept and on fresh connections, and 50 WebSockets keep talking.
 */
import * as Effect from "effect/Effect"
import { startOrigin as startEcho } from "../../test/support/Origin.ts"
import { openWebSocket, startVisitors } from "../../test/support/Visitors.ts"
import { ownerOf } from "../Population.ts"
import type { RawHttp } from "../RawHttp.ts"
import { type Bench, type Measurement, type Row } from "../Row.ts"
import { ratioOf } from "../Samples.ts"
import { type Served, startServe } from "../Serve.ts"
import { makeWorld, startOrigin } from "../World.ts"

const domains = 10_000
const writers = 4
const webSockets = 50
const host = "steady.example.com"

/** Changes of one client, each of which must succeed; answers how many. */
const change = async (served: Served, client: RawHttp, writer: number, count: number): Promise<number> => {
  let made = 0
  const good = async (tool: string, args: object) => {
    await served.call(client, `haproxy_${tool}`, args)
    made++
  }
  for (let round = 0; made < count; round++) {
    const domain = `app${round}.other-${writer}.org`
    const share = `share.${domain}`
    await good("add_domain", { domain, ip: "10.0.0.1", http_port: 8000 + round })
    await good("add_domain", { domain: share, share_with: domain })
    await good("add_domain", { domain: `more.${domain}`, share_with: ownerOf(round) })
    await good("add_server", { domain, slot: 0, ip: "10.0.0.2" })
    await good("set_server_weight", { domain, slot: 2, weight: 7 })
    await good("set_server_state", { domain, slot: 2, state: "drain" })
    await good("remove_server", { domain, slot: 1 })
    await good("remove_domain", { domain: share })
    await good("remove_domain", { domain: `more.${domain}` })
    await good("remove_domain", { domain })
  }
  return made
}

export const underLoad: Row = {
  name: "under-load",
  title: "1,000 changes at 10k domains, beside a site under load",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const changes = bench.quick ? 200 : 1_000
    bench.say("changes under load: preparing")
    const echo = yield* startEcho("steady")
    const originPort = yield* startOrigin(bench)
    const world = yield* makeWorld(bench, { domains, originPort, poolsFile: true })
    const served = yield* startServe(bench, world, "under-load")
    return yield* Effect.promise(async () => {
      const clients = await Promise.all(Array.from({ length: writers }, () => served.connect()))
      await served.call(clients[0]!, "haproxy_add_domain", { domain: host, ip: "127.0.0.1", http_port: echo.port })
      const port = world.haproxy.site.httpPort
      const visit = { port, host, bodies: ["steady"] }
      const kept = startVisitors({ ...visit, visitors: 12, keepAlive: true })
      const fresh = startVisitors({ ...visit, visitors: 4, keepAlive: false })
      const sockets = await Promise.all(Array.from({ length: webSockets }, () => openWebSocket(port, host)))
      bench.say("changes under load: measuring")
      const began = performance.now()
      const counts = await Promise.all(
        clients.map((client, writer) => change(served, client, writer, Math.ceil(changes / writers)))
      )
      const seconds = (performance.now() - began) / 1000
      const tallies = await Promise.all([kept.stop(), fresh.stop()])
      const said = sockets.map((socket) => socket.echoed())
      // Alive means that words still go round.
      for (const end = Date.now() + 5_000; Date.now() < end;) {
        if (sockets.every((socket, index) => socket.trouble() !== null || socket.echoed() > said[index]!)) break
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const alive = sockets.filter((socket, index) =>
        socket.trouble() === null && socket.echoed() > said[index]!
      ).length
      for (const socket of sockets) socket.close()
      for (const client of clients) client.close()
      const made = counts.reduce((sum, count) => sum + count, 0)
      const requests = tallies.reduce((sum, tally) => sum + tally.requests, 0)
      const failures = tallies.flatMap((tally) => tally.failures)
      if (failures.length > 0) bench.say(`failed: ${failures.slice(0, 5).join("; ")}`)
      // A kept connection that was cut and made anew is a failure, too, although no request was lost.
      const cut = tallies[0]!.connections - 12
      const measurements: ReadonlyArray<Measurement> = [
        {
          name: `failed requests beside ${made} changes`,
          subject: { what: "failed or cut", value: failures.length + cut, unit: "" },
          against: { what: "requests", value: requests, unit: "" },
          ratio: ratioOf([(failures.length + cut) / requests]),
          target: { atMost: 0 },
          details: { "changes per second": made / seconds, "requests per second": requests / seconds }
        },
        {
          name: "WebSockets alive at the end",
          subject: { what: "alive", value: alive, unit: "" },
          against: { what: "opened", value: webSockets, unit: "" },
          ratio: ratioOf([alive / webSockets]),
          target: { atLeast: 1 },
          details: { "words that went round": said.reduce((sum, count) => sum + count, 0) }
        }
      ]
      return measurements
    })
  })
}
