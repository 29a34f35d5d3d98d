/** No server may point back at HAProxy: what the verbs refuse, and what they must not refuse, on real HAProxies. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import type { ControlError } from "../../src/domain/Errors.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { addServer, addServers } from "../../src/program/Servers.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Fault } from "../../src/testing.ts"
import { planeLayer, type PlaneOptions } from "../support/ControlPlane.ts"
import { makeFakeWorld } from "../support/FakeWorld.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { type RealHaproxy, realLines, startHaproxy } from "../support/RealHaproxy.ts"

const port = Effect.acquireRelease(Effect.promise(takePort), (taken) => Effect.sync(() => releasePort(taken)))

/** An address that no interface of a test machine has, said to be this host's. */
const local = "10.77.77.77"

const planeOver = ({ site }: RealHaproxy, options: Partial<PlaneOptions> = {}) =>
  Effect.map(
    Layer.build(planeLayer({
      database: join(site.dir, "haproxy_mcp.db"),
      runtimeSocket: site.runtimeSocket,
      domainsMap: site.domainsMap,
      wildcardsMap: site.wildcardsMap,
      pools: 8,
      slots: 3,
      localAddresses: [local],
      ...options
    })),
    (services) => <A, E>(program: Effect.Effect<A, E, ProgramServices>) => Effect.provideContext(program, services)
  )

describe.each(realLines)("servers that lead back to HAProxy $line", (binary) => {
  it.live("are refused where a frontend takes them, and only there", () =>
    Effect.gen(function*() {
      const [any, narrow, six, any6] = [yield* port, yield* port, yield* port, yield* port]
      const haproxy = yield* startHaproxy({
        binary,
        pools: 8,
        sections: [
          "frontend edge from base",
          `  bind 0.0.0.0:${any}`,
          `  bind 127.0.0.2:${narrow}`,
          `  bind [::1]:${six}`,
          `  bind [::]:${any6} v6only`,
          `  bind 127.0.0.2:${any6}`,
          ""
        ]
      })
      const run = yield* planeOver(haproxy)
      yield* run(addDomain({ domain: "a.com" }))
      const refused = (ip: string, http_port: number, frontend: string) =>
        Effect.gen(function*() {
          const shown = `${ip.includes(":") ? `[${ip}]` : ip}:${http_port}`
          const server = { ip, http_port }
          const calls: ReadonlyArray<readonly [Effect.Effect<unknown, ControlError, ProgramServices>, string]> = [
            [addDomain({ domain: "b.com", ...server }), "ip"],
            [addServer({ domain: "a.com", ...server }), "ip"],
            [addServers({ domain: "a.com", servers: [{ ip: "10.0.0.1" }, server] }), "servers[1].ip"]
          ]
          for (const [call, field] of calls) {
            const error = yield* Effect.flip(run(call))
            assert.deepInclude(error, { code: "INVALID_INPUT", field })
            assert.include(error.message, `"${shown}" is ${frontend}, so traffic`)
          }
        })
      const allowed = (ip: string, http_port: number) =>
        Effect.map(
          run(addDomain({ domain: `x${http_port}-${ip.replace(/\W+/g, "-")}x.com`, ip, http_port })),
          ({ changed }) => assert.isTrue(changed, `${ip} ${http_port}`)
        )

      yield* refused("127.0.0.1", haproxy.site.httpPort, "HAProxy's frontend web")
      yield* refused("127.0.0.1", haproxy.site.runtimePort, "HAProxy's Runtime API")
      yield* refused("127.0.0.1", any, "HAProxy's frontend edge")
      yield* refused("127.9.9.9", any, "HAProxy's frontend edge")
      yield* refused(local, any, "HAProxy's frontend edge")
      yield* refused("127.0.0.2", narrow, "HAProxy's frontend edge")
      yield* refused("::1", six, "HAProxy's frontend edge")
      yield* refused("::1", any6, "HAProxy's frontend edge")
      yield* allowed("127.0.0.1", narrow)
      yield* allowed("127.0.0.1", any6)
      yield* allowed("10.0.0.1", any)
      yield* allowed("::1", any)
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "are refused on loopback alone when HAProxy runs elsewhere, whatever it is bound to",
    () =>
      Effect.gen(function*() {
        const haproxy = yield* startHaproxy({ binary })
        const run = yield* planeOver(haproxy, { pools: 4, haproxyIsHere: false })
        const { httpPort: http_port } = haproxy.site
        const error = yield* Effect.flip(run(addDomain({ domain: "a.com", ip: "127.0.0.7", http_port })))
        assert.deepInclude(error, { code: "INVALID_INPUT", field: "ip" })
        const answer = yield* run(addDomain({ domain: "a.com", ip: local, http_port }))
        assert.isTrue(answer.changed)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("a HAProxy that does not say where it listens", () => {
  it.live("is worked with all the same, and asked once per comparison", () =>
    Effect.gen(function*() {
      const world = yield* makeFakeWorld()
      yield* world.fake.inject("show fd", Fault.refuse("Permission denied"))
      yield* world.startPlane
      assert.isTrue((yield* world.run(addDomain({ domain: "a.com", ip: "127.0.0.1" }))).changed)
      const asked = () => world.fake.commands.filter(({ text }) => text.startsWith("show fd")).length
      assert.strictEqual(asked(), 1)
      yield* world.consistent()
      assert.strictEqual(asked(), 2)
    }).pipe(Effect.scoped))
})
