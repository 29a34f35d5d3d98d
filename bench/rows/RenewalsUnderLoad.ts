/**
 * 100 renewals beside sites under load: nobody notices. Four certificates are renewed over and over through MCP, by an
 * ACME program that issues at once; meanwhile visitors of just these names keep making handshakes (each checks the
 * certificate), others keep sending requests on kept TLS connections, and 20 WebSockets over TLS keep talking.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { startOrigin as startEcho } from "../../test/support/Origin.ts"
import { startHaproxy } from "../../test/support/RealHaproxy.ts"
import { placeAcme } from "../../test/support/StandInAcme.ts"
import { openWebSocket, startVisitors } from "../../test/support/Visitors.ts"
import { authority } from "../CertificateWorld.ts"
import { handshakes } from "../Handshake.ts"
import { limits } from "../Population.ts"
import { type Bench, duration, type Measurement, type Row } from "../Row.ts"
import { ratioOf } from "../Samples.ts"
import { startServe } from "../Serve.ts"

const hosts = ["one", "two", "three", "four"].map((name) => `${name}.example.org`)
const webSocketsEach = 5
const keptEach = 2
const freshEach = 1

export const renewalsUnderLoad: Row = {
  name: "certificates-under-load",
  title: "100 renewals beside TLS sites under load",
  run: Effect.fnUntraced(function*(bench: Bench) {
    const renewals = bench.quick ? 20 : 100
    bench.say("renewals under load: preparing")
    const echo = yield* startEcho("steady")
    const haproxy = yield* startHaproxy({ binary: bench.haproxy, ...limits, tls: true, poolsFile: true })
    const { site } = haproxy
    const folder = join(bench.folder, "renewals")
    mkdirSync(folder, { recursive: true })
    const acme = placeAcme(folder)
    acme.signBy(authority)
    const world = { haproxy, database: join(site.dir, "haproxy_mcp.db") }
    const served = yield* startServe(bench, world, "certificates-under-load", undefined, {
      HAPROXY_CERT_DIR: site.certDir,
      ...acme.env
    })
    return yield* Effect.promise(async () => {
      const client = await served.connect()
      for (const domain of hosts) {
        await served.call(client, "haproxy_add_domain", { domain, ip: "127.0.0.1", http_port: echo.port })
        await served.call(client, "haproxy_issue_cert", { domain, wildcard: false })
      }
      const handshake = handshakes(authority.root)
      const shown = () => Promise.all(hosts.map((host) => handshake(site.httpsPort, host)))
      const before = await shown()
      const visit = { port: site.httpsPort, bodies: ["steady"], trust: authority.root }
      const kept = hosts.map((host) => startVisitors({ ...visit, host, visitors: keptEach, keepAlive: true }))
      const fresh = hosts.map((host) => startVisitors({ ...visit, host, visitors: freshEach, keepAlive: false }))
      const sockets = await Promise.all(
        hosts.flatMap((host) =>
          Array.from({ length: webSocketsEach }, () => openWebSocket(site.httpsPort, host, authority.root))
        )
      )
      bench.say("renewals under load: measuring")
      const began = performance.now()
      const times: Array<number> = []
      for (let turn = 0; turn < renewals; turn++) {
        const from = performance.now()
        await served.call(client, "haproxy_renew_cert", { domain: hosts[turn % hosts.length], force: true })
        times.push(performance.now() - from)
      }
      const seconds = (performance.now() - began) / 1000
      const after = await shown()
      if (after.some((sha1, index) => sha1 === before[index])) throw new Error("a certificate was not replaced")
      const keptTallies = await Promise.all(kept.map((one) => one.stop()))
      const freshTallies = await Promise.all(fresh.map((one) => one.stop()))
      const said = sockets.map((socket) => socket.echoed())
      // Alive means that words still go round.
      const isAlive = (index: number) => sockets[index]!.trouble() === null && sockets[index]!.echoed() > said[index]!
      for (const end = Date.now() + 5_000; Date.now() < end && !sockets.every((_, index) => isAlive(index));) {
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      const alive = sockets.filter((_, index) => isAlive(index)).length
      for (const socket of sockets) socket.close()
      client.close()
      const failures = [...keptTallies, ...freshTallies].flatMap((tally) => tally.failures)
      if (failures.length > 0) bench.say(`failed: ${failures.slice(0, 5).join("; ")}`)
      const sum = (tallies: typeof keptTallies, of: "requests" | "connections") =>
        tallies.reduce((total, tally) => total + tally[of], 0)
      // A kept connection that was cut and made anew is a failure, too, although no request was lost.
      const cut = sum(keptTallies, "connections") - keptEach * hosts.length
      const tried = sum(freshTallies, "connections")
      const count = (what: string, value: number) => ({ what, value, unit: "" } as const)
      const measurements: ReadonlyArray<Measurement> = [
        {
          name: `failed handshakes and requests beside ${renewals} renewals`,
          subject: count("failed", failures.length),
          against: count("handshakes", tried),
          ratio: ratioOf([failures.length / tried]),
          target: { atMost: 0 },
          details: {
            "handshakes per second": tried / seconds,
            "requests on kept connections": sum(keptTallies, "requests"),
            "renewals per second": renewals / seconds,
            "ms of a renewal, p50": duration("", times).value
          }
        },
        {
          name: "kept TLS connections that were cut",
          subject: count("cut", cut),
          against: count("kept", keptEach * hosts.length),
          ratio: ratioOf([cut / (keptEach * hosts.length)]),
          target: { atMost: 0 }
        },
        {
          name: "WebSockets over TLS alive at the end",
          subject: count("alive", alive),
          against: count("opened", sockets.length),
          ratio: ratioOf([alive / sockets.length]),
          target: { atLeast: 1 },
          details: { "words that went round": said.reduce((total, words) => total + words, 0) }
        }
      ]
      return measurements
    })
  })
}
