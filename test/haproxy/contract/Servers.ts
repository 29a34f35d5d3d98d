/** Servers and statistics: what is set is what is read back, in the next exchange. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Backends from "../../../src/haproxy/BackendCommands.ts"
import * as Info from "../../../src/haproxy/InfoCommands.ts"
import * as Listeners from "../../../src/haproxy/ListenerCommands.ts"
import type { RuntimeApi } from "../../../src/haproxy/RuntimeApi.ts"
import * as Servers from "../../../src/haproxy/ServerCommands.ts"
import * as Stats from "../../../src/haproxy/StatCommands.ts"
import { accepted, refusedText, run, until, withApi } from "./Harness.ts"
import type { MakeTarget } from "./Target.ts"

const slot = (api: RuntimeApi["Service"], pool: number, number: number) =>
  Effect.map(
    run(api, Servers.showState(`pool_${pool}`)),
    (rows) => rows.find((row) => row.server === `pool_${pool}_${number}`)!
  )

export const serverContract = (make: MakeTarget): void => {
  describe("servers", () => {
    it.live("begin as placeholders in maintenance", () =>
      Effect.gen(function*() {
        const target = yield* make({ pools: 3, slots: 2 })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const rows = yield* run(api, Servers.showState())
            assert.deepStrictEqual(
              rows.filter((row) => row.backend.startsWith("pool_")).map((row) => row.server),
              ["pool_1_1", "pool_1_2", "pool_2_1", "pool_2_2", "pool_3_1", "pool_3_2"]
            )
            assert.deepStrictEqual(rows.find((row) => row.server === "pool_2_1"), {
              backend: "pool_2",
              server: "pool_2_1",
              ip: "192.0.2.1",
              port: 1,
              state: "maint",
              op: 0,
              userWeight: 1,
              initialWeight: 1,
              adminState: 5
            })
          }))
      }))

    it.live("take address, weight and state, and keep the bit of their configuration", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.tcp, (api) =>
          Effect.gen(function*() {
            const verdicts = yield* api.exchange([
              Servers.setAddress("pool_2", "pool_2_1", "127.0.0.9", 8080),
              Servers.setWeight("pool_2", "pool_2_1", 256),
              Servers.setState("pool_2", "pool_2_1", "ready")
            ])
            for (const verdict of verdicts) accepted(verdict)
            const ready: Partial<Servers.ServerStateRow> = {
              ip: "127.0.0.9",
              port: 8080,
              state: "ready",
              userWeight: 256,
              adminState: 4,
              op: 2
            }
            yield* until("the address", Effect.map(slot(api, 2, 1), (row) => row.ip === ready.ip))
            assert.deepInclude(yield* slot(api, 2, 1), ready)

            yield* run(api, Servers.setState("pool_2", "pool_2_1", "drain"))
            assert.deepInclude(yield* slot(api, 2, 1), { ...ready, state: "drain", adminState: 12 })
            yield* run(api, Servers.setState("pool_2", "pool_2_1", "maint"))
            assert.deepInclude(yield* slot(api, 2, 1), { state: "maint", adminState: 5, op: 0 })
            yield* run(api, Servers.setState("pool_2", "pool_2_1", "ready"))
            assert.deepInclude(yield* slot(api, 2, 1), ready)

            yield* run(api, Servers.setWeight("pool_2", "pool_2_1", 0))
            yield* run(api, Servers.setAddress("pool_2", "pool_2_1", "2001:db8::5", 443))
            yield* until("the address", Effect.map(slot(api, 2, 1), (row) => row.ip === "2001:db8::5"))
            assert.deepInclude(yield* slot(api, 2, 1), { port: 443, userWeight: 0, initialWeight: 1, state: "ready" })
            // The same again changes nothing and is a success.
            yield* run(api, Servers.setAddress("pool_2", "pool_2_1", "2001:db8::5", 443))
            // The neighbour is as it was.
            assert.deepInclude(yield* slot(api, 2, 2), { ip: "192.0.2.1", port: 1, state: "maint" })
          }))
      }))

    it.live("refuse with HAProxy's own words", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const [address, server, backend, weight, list] = yield* api.exchange([
              Servers.setAddress("pool_1", "pool_1_1", "fe80", 1),
              Servers.setState("pool_1", "pool_1_99", "ready"),
              Servers.setWeight("pool_99", "pool_99_1", 1),
              Servers.setWeight("pool_1", "pool_1_1", 257),
              Servers.showState("pool_99")
            ])
            assert.match(refusedText(address), /^Invalid addr 'fe80'/)
            assert.match(refusedText(server), /^No such server/)
            assert.match(refusedText(backend), /^No such backend/)
            assert.match(refusedText(weight), /between 0 and 256/)
            assert.match(refusedText(list), /^Can't find backend/)
            assert.deepInclude(yield* slot(api, 1, 1), { ip: "192.0.2.1", userWeight: 1, state: "maint" })
          }))
      }))
  })

  describe("statistics", () => {
    it.live("come as typed rows, by proxy and kind", () =>
      Effect.gen(function*() {
        const target = yield* make({ pools: 2, slots: 2 })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            yield* run(api, Servers.setState("pool_1", "pool_1_2", "ready"))
            const pool = yield* run(api, Stats.show({ proxy: "pool_1" }))
            assert.deepStrictEqual(pool.map((row) => [row.kind, row.server, row.status]), [
              ["server", "pool_1_1", "MAINT"],
              ["server", "pool_1_2", "no check"],
              ["backend", "BACKEND", "UP"]
            ])
            assert.deepInclude(pool[0], {
              proxy: "pool_1",
              checkStatus: "",
              address: "192.0.2.1:1",
              mode: "http",
              currentSessions: 0,
              weight: 1,
              sessionLimit: null
            })
            const backends = yield* run(api, Stats.show({ kinds: ["backend"] }))
            assert.deepStrictEqual(
              backends.filter((row) => row.proxy.startsWith("pool_")).map((row) => row.status),
              ["UP", "DOWN"]
            )
            const sides = yield* run(api, Stats.show({ kinds: ["frontend", "server"] }))
            assert.deepStrictEqual([...new Set(sides.map((row) => row.kind))].sort(), ["frontend", "server"])
            assert.strictEqual(sides.find((row) => row.kind === "frontend")?.status, "OPEN")
            const [unknown] = yield* api.exchange([Stats.show({ proxy: "pool_99" })])
            assert.match(refusedText(unknown), /^No such proxy/)
          }))
      }))

    it.live("have every number that is read of them", () =>
      Effect.gen(function*() {
        const target = yield* make({ pools: 3, slots: 2 })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const kept = yield* run(api, Stats.show({ kinds: ["backend"], keep: (proxy) => proxy === "pool_2" }))
            assert.deepStrictEqual(kept.map(({ proxy }) => proxy), ["pool_2"])
            const [backend] = kept
            assert.deepInclude(backend, { currentQueue: 0, maxQueue: 0, activeServers: 0, backupServers: 0 })
            for (const [field, value] of Object.entries(backend!)) {
              if (typeof value === "number") assert.isTrue(Number.isInteger(value), field)
            }
            // By its number it is the same one.
            const again = yield* run(api, Stats.show({ proxy: String(backend!.id), kinds: ["backend", "server"] }))
            assert.deepStrictEqual(again.map(({ server }) => server), ["pool_2_1", "pool_2_2", "BACKEND"])
            const empty = ["checkCode", "checkDuration", "requestRate", "sessionLimit"]
            assert.deepStrictEqual(
              Object.entries(again[0]!).flatMap(([field, value]) => empty.includes(field) ? [value] : []),
              [null, null, null, null]
            )
            const fronts = yield* run(api, Stats.show({ kinds: ["frontend"] }))
            assert.isAbove(fronts.length, 0)
            for (const front of fronts) {
              assert.deepInclude(front, { mode: "http", deniedConnections: 0, deniedSessions: 0, connectionRate: 0 })
              assert.isNumber(front.requestRate)
              assert.isNumber(front.sessionLimit)
            }
          }))
      }))

    it.live("stand beside the names of all backends and sockets, and the process's own numbers", () =>
      Effect.gen(function*() {
        const target = yield* make({ pools: 3, slots: 2 })
        yield* withApi(target.transports.unix, (api) =>
          Effect.gen(function*() {
            const names = yield* run(api, Backends.show)
            assert.deepStrictEqual(names.filter((name) => name.startsWith("pool_")), ["pool_1", "pool_2", "pool_3"])
            const sockets = yield* run(api, Listeners.showAll)
            assert.includeMembers(
              sockets.filter(({ frontend }) => frontend === "GLOBAL").map(({ family }) => family),
              ["unix", "ipv4"]
            )
            const frontends = new Set(sockets.map(({ frontend }) => frontend))
            const fronts = yield* run(api, Stats.show({ kinds: ["frontend"] }))
            for (const { proxy } of fronts) assert.isTrue(frontends.has(proxy), proxy)
            const info = yield* run(api, Info.show)
            for (const [field, value] of Object.entries(info)) {
              if (typeof value === "number") assert.isTrue(Number.isInteger(value), field)
            }
            assert.isAbove(info.maxConnections, 0)
            assert.isAbove(info.poolAllocated, 0)
          }))
      }))
  })
}
