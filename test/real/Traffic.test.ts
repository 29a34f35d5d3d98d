/**
 * Nobody else notices: while other domains come, go and change their servers, a domain under continuous load loses no
 * request and no connection, and HAProxy is neither reloaded nor restarted.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { agreement } from "../support/Agreement.ts"
import { startOrigin } from "../support/Origin.ts"
import { becomes } from "../support/Poll.ts"
import { ask, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { type ServerProcess, settingsOf, startServer } from "../support/ServerProcess.ts"
import { openWebSocket, startVisitors } from "../support/Visitors.ts"

const shape = { pools: 20, slots: 4 }
const changes = 300
const webSockets = 20
/** Changes from so many sides at once. */
const writers = 4

/** Makes changes of domains of its own, each of which must succeed and change something; answers how many. */
const change = async (server: ServerProcess, writer: number, count: number): Promise<number> => {
  const client = server.client()
  let made = 0
  const good = async (tool: string, args: Readonly<Record<string, unknown>>) => {
    const data = await client.good(tool, args)
    assert.strictEqual(data["changed"], true, `${tool} ${JSON.stringify(args)}`)
    made++
  }
  for (let round = 0; made < count; round++) {
    // Two pools at once, so that pools are used again by others while their servers change.
    const domain = `other-${writer}.com`
    const second = `app${round}.other-${writer}.org`
    await good("haproxy_add_domain", { domain, ip: "10.0.0.1", http_port: 8000 + round })
    await good("haproxy_add_domain", { domain: second, ip: "10.0.0.2" })
    await good("haproxy_add_domain", { domain: `share.${domain}`, share_with: second })
    const servers = [{ ip: "10.0.0.3" }, { ip: "2001:db8::3", http_port: 81 }]
    await good("haproxy_add_servers", { domain, servers })
    await good("haproxy_set_server_weight", { domain, slot: 2, weight: 7 })
    await good("haproxy_set_server_state", { domain, slot: 3, state: "drain" })
    await good("haproxy_set_domain_state", { domain, state: "maint" })
    await good("haproxy_remove_server", { domain, slot: 1 })
    await good("haproxy_remove_domain", { domain: second })
    await good("haproxy_remove_domain", { domain: `share.${domain}` })
    await good("haproxy_remove_domain", { domain })
  }
  return made
}

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live(
    "300 changes of other domains: no failed request, all WebSockets alive, no reload",
    () =>
      Effect.gen(function*() {
        const haproxy = yield* startHaproxy({ binary, ...shape })
        const { site } = haproxy
        const one = yield* startOrigin("one")
        const two = yield* startOrigin("two")
        const server = yield* startServer({ env: settingsOf(site, shape) })
        yield* Effect.promise(async () => {
          await server.ready()
          const client = server.client()
          await client.good("haproxy_add_domain", { domain: "steady.com", ip: "127.0.0.1", http_port: one.port })
          await client.good("haproxy_add_server", {
            domain: "steady.com",
            slot: 0,
            ip: "127.0.0.1",
            http_port: two.port
          })
          await client.good("haproxy_add_domain", { domain: "live.steady.net", ip: "127.0.0.1", http_port: two.port })
        })
        const worker = yield* haproxy.workerPid
        const port = site.httpPort
        const bodies = ["one", "two"]
        // A wildcard's look-up passes through both maps.
        const kept = startVisitors({ port, host: "any.steady.com", bodies, visitors: 6, keepAlive: true })
        const fresh = startVisitors({ port, host: "steady.com", bodies, visitors: 2, keepAlive: false })
        const sockets = yield* Effect.acquireRelease(
          Effect.promise(() =>
            Promise.all(Array.from({ length: webSockets }, () => openWebSocket(port, "live.steady.net")))
          ),
          (opened) => Effect.sync(() => opened.forEach((socket) => socket.close()))
        )
        const before = kept.tally().requests
        const made = yield* Effect.promise(async () => {
          const counts = await Promise.all(
            Array.from({ length: writers }, (_, writer) => change(server, writer, Math.ceil(changes / writers)))
          )
          return counts.reduce((sum, count) => sum + count, 0)
        })
        const [steady, other] = yield* Effect.promise(() => Promise.all([kept.stop(), fresh.stop()]))
        assert.deepStrictEqual([...steady.failures, ...other.failures], [])
        assert.isAtLeast(made, changes)
        assert.isAbove(steady.requests - before, 100)
        assert.isAbove(other.requests, 50)
        assert.strictEqual(steady.connections, 6, "a kept connection was cut")
        assert.isAbove(one.requests(), 0)
        assert.isAbove(two.requests(), 0)

        // Alive means that words still go round, not that nobody has noticed yet.
        assert.deepStrictEqual(
          sockets.map((socket) => socket.trouble()),
          Array.from({ length: webSockets }, () => null)
        )
        const said = sockets.map((socket) => socket.echoed())
        yield* Effect.promise(() =>
          becomes("every WebSocket answers", () => sockets.every((socket, index) => socket.echoed() > said[index]!))
        )

        assert.strictEqual(yield* haproxy.workerPid, worker)
        // management.txt, "show proc": <PID> <type> <reloads> <uptime> <version>
        const processes = yield* Effect.promise(() => ask(site.masterSocket, "show proc"))
        assert.match(processes, new RegExp(`^${worker} +worker +0 `, "m"))

        const { code } = yield* Effect.promise(() => server.stop())
        assert.strictEqual(code, 0)
        const dump = yield* agreement(site, shape)
        assert.strictEqual(dump.split("\n").filter((line) => line.startsWith("server ")).length, 3)
        console.log(
          `traffic: HAProxy ${binary.version}: ${made} changes, ${
            steady.requests + other.requests
          } requests, 0 failed, ${said.reduce((sum, count) => sum + count, 0)} words over ${webSockets} WebSockets`
        )
      }).pipe(Effect.scoped),
    120_000
  )
})
