/** SIGTERM in the middle of writes: what was begun ends, everybody is answered, and nothing is left behind. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdir } from "node:fs/promises"
import { agreement } from "../support/Agreement.ts"
import { becomes } from "../support/Poll.ts"
import { type Site, startHaproxy } from "../support/RealHaproxy.ts"
import { settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 40, slots: 3 }
const limit = 60_000

/** Files that a process of ours should have taken with it. */
const leftovers = (site: Site) =>
  Effect.promise(async () =>
    (await readdir(site.dir, { recursive: true })).filter((name) =>
      /haproxy_mcp\.sock$|\.haproxy-mcp-|-wal$|-shm$/.test(name)
    )
  )

describe("SIGTERM while twenty writes are under way", () => {
  const writers = 20

  it.live("what was begun is answered, the rest is told so", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy(shape)
      const { site } = haproxy
      const server = yield* startServer({ env: settingsOf(site, shape) })
      const clients = Array.from({ length: writers }, () => server.client())
      const reader = server.client()
      yield* Effect.promise(async () => {
        await server.ready()
        // Every connection is there before, so that none is refused for coming late.
        for (const client of clients) await client.good("haproxy_list_domains")
      })
      yield* haproxy.pause
      const answers = Promise.all(
        clients.map((client, n) =>
          client.call("haproxy_add_domain", { domain: `n${n}.example.com`, ip: `10.0.0.${n + 1}` })
        )
      )
      yield* Effect.promise(() =>
        becomes(
          "the first write has begun",
          async () => Number((await reader.good("haproxy_list_domains"))["total"]) > 0
        )
      )
      const told = performance.now()
      server.signal("SIGTERM")
      yield* Effect.promise(() =>
        becomes("it takes no more", () => fetch(`${server.url}/healthz`).then(() => false, () => true))
      )
      yield* haproxy.resume
      const ended = yield* Effect.promise(() => answers)
      const { code, stderr } = yield* Effect.promise(() => server.ended)
      const took = performance.now() - told
      assert.strictEqual(code, 0, stderr)
      assert.isBelow(took, 10_000)
      const dump = yield* agreement(site, shape)
      const counted = { OK: 0, CANCELLED: 0 }
      ended.forEach((answer, n) => {
        assert.include(Object.keys(counted), answer.code, JSON.stringify(answer.data))
        counted[answer.code as keyof typeof counted]++
        assert.strictEqual(dump.includes(`map n${n}.example.com `), answer.code === "OK", `n${n} ${answer.code}`)
      })
      assert.isAbove(counted.OK, 0)
      assert.deepStrictEqual(yield* leftovers(site), [])
      console.log(`stop: ${counted.OK} done, ${counted.CANCELLED} cancelled, ended after ${Math.round(took)} ms`)
    }).pipe(Effect.scoped), limit)

  it.live("does not wait for a HAProxy that stays silent", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy(shape)
      const { site } = haproxy
      const settings = settingsOf(site, shape)
      const server = yield* startServer({ env: settings })
      const clients = Array.from({ length: writers }, () => server.client())
      yield* Effect.promise(async () => {
        await server.ready()
        for (const client of clients) await client.good("haproxy_list_domains")
      })
      yield* haproxy.pause
      const answers = Promise.all(
        clients.map((client, n) =>
          client.call("haproxy_add_domain", { domain: `n${n}.example.com`, ip: `10.0.0.${n + 1}` })
        )
      )
      const reader = server.client()
      yield* Effect.promise(() =>
        becomes(
          "the first write has begun",
          async () => Number((await reader.good("haproxy_list_domains"))["total"]) > 0
        )
      )
      const told = performance.now()
      const { code, stderr } = yield* Effect.promise(() => server.stop())
      const took = performance.now() - told
      assert.strictEqual(code, 0, stderr)
      assert.isBelow(took, 10_000)
      const ended = yield* Effect.promise(() => answers)
      for (const { code, data } of ended) {
        assert.include(["OUTCOME_UNKNOWN", "HAPROXY_UNREACHABLE", "CANCELLED"], code, JSON.stringify(data))
      }
      assert.deepStrictEqual(yield* leftovers(site), [])
      yield* haproxy.resume
      const next = yield* startServer({ env: settings })
      yield* Effect.promise(() => next.ready())
      assert.strictEqual((yield* Effect.promise(() => next.stop())).code, 0)
      assert.strictEqual(yield* agreement(site, shape), "")
      console.log(`stop: with a silent HAProxy, ended after ${Math.round(took)} ms`)
    }).pipe(Effect.scoped), limit)
})
