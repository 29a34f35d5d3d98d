/**
 * The runtime toolset beside huge maps, tables and many sessions: no answer grows with them, HAProxy is read no further
 * than a page needs, and requests beside it do not wait. RUNTIME_HUGE=1 takes the sizes of docs/runtime-tools.md.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { longestScan } from "../../src/program/runtime/Rows.ts"
import { startHeldOrigin } from "../support/HeldOrigin.ts"
import { startOrigin } from "../support/Origin.ts"
import { ask } from "../support/RealHaproxy.ts"
import { callOn, type Data, rowsOf } from "../support/ToolCalls.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { makeWorld, type World } from "../support/World.ts"

const isHuge = process.env["RUNTIME_HUGE"] === "1"
const [entries, clients, held] = isHuge ? [1_000_000, 200_000, 4_000] : [200_000, 20_000, 300]

const bigMap = Effect.acquireRelease(
  Effect.promise(async () => {
    const file = join(await mkdtemp(join(tmpdir(), "lists-")), "big.map")
    const lines = Array.from({ length: entries }, (_, index) => `host-${index}.example.com backend_${index % 1_000}`)
    await writeFile(file, `${lines.join("\n")}\n`)
    return file
  }),
  (file) => Effect.promise(() => rm(join(file, ".."), { recursive: true }))
)

/** Requests one after the other until it is stopped; answers the slowest one's milliseconds. */
const visiting = (world: World) => {
  let going = true
  let slowest = 0
  const ended = Effect.runPromise(Effect.gen(function*() {
    while (going) {
      const began = performance.now()
      assert.strictEqual((yield* world.haproxy.get("quick.example.com")).status, 200)
      slowest = Math.max(slowest, performance.now() - began)
    }
  }))
  return async () => {
    going = false
    await ended
    return slowest
  }
}

describe("the runtime toolset beside a lot", () => {
  it.live("answers pages, and nobody waits", () =>
    quiet(Effect.gen(function*() {
      const file = yield* bigMap
      const [quick, slow] = [yield* startOrigin("quick"), yield* startHeldOrigin]
      const world = yield* makeWorld({
        pools: 3,
        slots: 2,
        frontend: [
          `http-request set-header x-big %[req.hdr(host),map_str(${file})]`,
          "http-request track-sc0 src table t"
        ],
        domains: ["slow.example.com slow"],
        sections: [
          "backend slow from base",
          "  timeout server 60s",
          `  server s1 127.0.0.1:${slow.port}`,
          "",
          "backend t from base",
          "  stick-table type ip size 1m expire 1h store gpc0,http_req_rate(10s)",
          ""
        ]
      })
      const { runtimeSocket } = world.site
      yield* callOn(world, "haproxy_add_domain", {
        domain: "quick.example.com",
        ip: "127.0.0.1",
        http_port: quick.port
      })
      const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`
      for (let from = 0; from < clients; from += 300) {
        const commands = Array.from(
          { length: Math.min(300, clients - from) },
          (_, index) => `set table t key ${address(from + index)} data.gpc0 ${(from + index) % 100}`
        )
        yield* Effect.promise(() => ask(runtimeSocket, commands.join(";")))
      }
      for (let index = 0; index < held; index++) yield* slow.hold(world.site.httpPort, "slow.example.com")

      const measured: Array<string> = []
      const look = Effect.fnUntraced(function*(tool: string, args: Data) {
        const stop = visiting(world)
        const began = performance.now()
        const result = yield* callOn(world, tool, args)
        const ms = performance.now() - began
        const slowest = yield* Effect.promise(stop)
        assert.isFalse(result.isError, result.text.slice(0, 500))
        // 8,000 tokens.
        assert.isBelow(result.text.length, 28_000, tool)
        measured.push(
          `${tool} ${JSON.stringify(args).slice(0, 70)}: ${result.text.length} bytes, ${Math.round(ms)} ms, request ${
            Math.round(slowest)
          } ms`
        )
        // What takes this long was read as a whole; a busy machine is slow, not as slow as that.
        assert.isBelow(ms, 9_000, tool)
        return result.structuredContent as Data
      })
      const list = "big.map"
      assert.lengthOf(rowsOf(yield* look("haproxy_map_show", { list, limit: 50 }), "entries"), 50)
      const one = yield* look("haproxy_map_show", { list, key: `host-${entries - 1}.example.com` })
      assert.lengthOf(rowsOf(one, "entries"), 1)
      // A search that finds nothing reads so far and no further, and says where it goes on.
      let looks = 0
      for (let cursor: unknown = undefined; looks < 3; looks++) {
        const args = { list, search: "nowhere", ...(cursor === undefined ? {} : { cursor }) }
        const result = yield* callOn(world, "haproxy_map_show", args)
        if (result.isError) break
        const found = result.structuredContent as Data
        assert.lengthOf(rowsOf(found, "entries"), 0)
        assert.isBelow(found["scanned"] as number, longestScan / 20 + 140_000)
        cursor = found["next_cursor"]
        if (cursor === null) break
      }
      yield* look("haproxy_map_show", { list, search: "nowhere" })
      assert.lengthOf(rowsOf(yield* look("haproxy_stick_table_show", { table: "t", limit: 50 }), "entries"), 50)
      yield* look("haproxy_stick_table_show", { table: "t", data: "gpc0", operator: "gt", value: 98, limit: 20 })
      yield* look("haproxy_stick_table_show", { table: "t", key: address(clients - 1) })
      yield* look("haproxy_stick_table_show", { table: "t", search: "nothing" })
      assert.isAbove(rowsOf(yield* look("haproxy_session_list", { limit: 50 }), "sessions").length, 40)
      yield* look("haproxy_session_list", { backend: "pool_1" })
      yield* look("haproxy_session_list", { source: "nobody" })
      yield* look("haproxy_topology_show", {})
      console.log(
        `runtime toolset beside ${entries} entries, ${clients} clients, ${held} sessions:\n  ${measured.join("\n  ")}`
      )
      yield* slow.release
    })).pipe(Effect.scoped), isHuge ? 600_000 : 60_000)
})
