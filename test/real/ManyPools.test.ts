/**
 * The monitoring tools beside 10,000 pools: no answer is too long for a model, requests flow on while HAProxy tells,
 * writes get their turn, and many who ask at once cost little more than one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withAllRights } from "../../src/domain/Principal.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import { importDomains } from "../../src/program/Import.ts"
import { within } from "../support/ControlPlane.ts"
import { type LatencyTally, startLatency } from "../support/Latency.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { makeWorld } from "../support/World.ts"

const pools = 10_000

/** 8,000 tokens of JSON, at three and a half characters each. */
const mostCharacters = 28_000

/** Milliseconds that no request may take beside a tool; on a busy machine of two cores most of it is waiting for one. */
const worstRequest = 1_500

type Item = Record<string, unknown>

describe("with 10,000 pools", () => {
  it.live("the monitoring tools stay short and let requests and writes through", () =>
    quiet(Effect.gen(function*() {
      const latency = yield* startLatency
      const world = yield* makeWorld({ pools, slots: 3, reconcileEvery: 3_600_000 })
      const call = (name: string, args: Item) =>
        world.run(
          callTool(name, args, {
            actor: { via: "test", who: "tester", requestId: "req-1" },
            timeout: 30_000,
            principal: withAllRights("program", "test"),
            progress: () => Effect.void
          })
        )
      const good = (name: string, args: Item) =>
        Effect.map(call(name, args), (result) => {
          assert.isFalse(result.isError, `${name}: ${result.text.slice(0, 300)}`)
          assert.isBelow(Buffer.byteLength(result.text), mostCharacters, name)
          return result.structuredContent as Item
        })
      const domain = (n: number) => `customer-${n}.a-rather-long-name-of-a-platform.example`
      const add = (from: number, to: number) =>
        world.run(
          within(60_000)(importDomains({
            rows: Array.from({ length: to - from }, (_, n) => [
              n + 1,
              { domain: domain(from + n), servers: [{ ip: "127.0.0.1", port: latency.originPort }] }
            ])
          }))
        )
      yield* add(0, 20)
      yield* latency.visit({ port: world.site.httpPort, host: domain(7), visitors: 4 })
      const row = (what: string, took: number, bytes: number, tally: LatencyTally) => {
        assert.deepStrictEqual(tally.failures, [], what)
        assert.isBelow(tally.worst, worstRequest, what)
        const ms = (value: number) => value.toFixed(1).padStart(7)
        console.log(
          `${what.padEnd(52)} ${ms(took)} ms ${String(bytes).padStart(6)} B; requests p50 ${ms(tally.p50)} p99 ${
            ms(tally.p99)
          } worst ${ms(tally.worst)} of ${tally.requests}`
        )
      }
      const tools: ReadonlyArray<readonly [string, Item]> = [
        ["haproxy_stats", {}],
        ["haproxy_backends", { limit: 1000 }],
        ["haproxy_backends", { status: "healthy", limit: 1000 }],
        ["haproxy_list_frontends", {}],
        ["haproxy_get_connections", { limit: 1000 }],
        ["haproxy_get_connections", { backend: "pool_8" }],
        ["haproxy_get_server_health", { limit: 1000 }],
        ["haproxy_get_server_health", { status: "up", search: "customer-9", limit: 1000 }],
        ["haproxy_get_server_health", { backend: "pool_8" }]
      ]
      const measure = Effect.fnUntraced(function*(inUse: number) {
        yield* Effect.sleep(500)
        row(`${inUse} in use: nothing`, 500, 0, yield* latency.tally)
        for (const [name, args] of tools) {
          const began = performance.now()
          const answer = yield* good(name, args)
          const took = performance.now() - began
          row(
            `${inUse} in use: ${name.slice(8)} ${JSON.stringify(args)}`,
            took,
            JSON.stringify(answer).length,
            yield* latency.tally
          )
        }
        const stats = yield* good("haproxy_stats", {})
        assert.deepInclude(stats["backends"] as Item, { pools: inUse, unused_pools: pools - inUse, healthy: inUse })
        const health = yield* good("haproxy_get_server_health", {})
        assert.deepInclude(health, { total: inUse, counts: { up: inUse, down: 0, drain: 0, maint: 0 } })
      })
      yield* measure(20)
      yield* add(20, pools - 100)
      yield* latency.tally
      yield* measure(pools - 100)

      // Everybody at once, and somebody writes.
      const began = performance.now()
      const writes: Array<number> = []
      const writer = Effect.gen(function*() {
        for (let n = pools - 100; n < pools - 80; n++) {
          const asked = performance.now()
          yield* good("haproxy_add_domain", { domain: domain(n), ip: "127.0.0.1", http_port: latency.originPort })
          writes.push(performance.now() - asked)
        }
      })
      const readers = Effect.forEach(
        Array.from({ length: 64 }, (_, n) => tools[n % tools.length]!),
        ([name, args]) => good(name, args),
        { concurrency: "unbounded", discard: true }
      )
      yield* Effect.all([writer, readers], { concurrency: "unbounded" })
      const took = performance.now() - began
      row("64 readers and a writer", took, 0, yield* latency.tally)
      console.log(`20 writes beside them: worst ${Math.max(...writes).toFixed(0)} ms`)
      // 64 one after the other would take far longer.
      assert.isBelow(took, 20_000)
      assert.isBelow(Math.max(...writes), 10_000)
    })), 180_000)
})
