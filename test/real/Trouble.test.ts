/** A HAProxy that is not there, or there and silent; a database that another process has. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { agreement, live } from "../support/Agreement.ts"
import type { PlainAnswer } from "../support/PlainMcp.ts"
import { becomes } from "../support/Poll.ts"
import { runNode } from "../support/Process.ts"
import { makeSite, realLines, startHaproxy, startIn } from "../support/RealHaproxy.ts"
import { haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 10, slots: 3 }
/** Milliseconds that a call may take, and that a busy machine may add. */
const deadline = 2_000
const slack = 3_000
const env = { MCP_CALL_TIMEOUT: `${deadline}ms` }
const limit = 60_000

const errorOf = ({ data }: PlainAnswer) =>
  data["error"] as {
    readonly code: string
    readonly retryable: boolean
    readonly change_id?: string
  }

describe("HAProxy is down at the start", () => {
  it.live("reads are answered, writes refused in time, until it comes", () =>
    Effect.gen(function*() {
      const site = yield* makeSite(shape)
      const server = yield* startServer({ env: settingsOf(site, { ...shape, env }) })
      const client = server.client()
      yield* Effect.promise(async () => {
        assert.strictEqual(await server.probe("/healthz"), 200)
        assert.strictEqual(await server.probe("/readyz"), 503)
        assert.deepInclude(await client.good("haproxy_list_domains"), { total: 0 })
        assert.deepInclude(await client.good("haproxy_health"), { status: "unhealthy" })
        const refused = await client.call("haproxy_add_domain", { domain: "early.example.com", ip: "10.0.0.1" })
        assert.deepInclude(errorOf(refused), { code: "HAPROXY_UNREACHABLE", retryable: true })
        assert.isBelow(refused.ms, deadline + slack)
        assert.deepInclude(await client.good("haproxy_list_domains"), { total: 0 })
      })
      const haproxy = yield* startIn(site)
      yield* Effect.promise(async () => {
        await server.ready()
        assert.strictEqual(await server.probe("/healthz"), 200)
        await client.good("haproxy_add_domain", { domain: "late.example.com" })
        assert.deepInclude(await client.good("haproxy_health"), { status: "healthy" })
      })
      assert.strictEqual((yield* haproxy.get("late.example.com")).status, 503)
      assert.strictEqual((yield* haproxy.get("early.example.com")).status, 404)
      assert.strictEqual((yield* Effect.promise(() => server.stop())).code, 0)
      assert.strictEqual(yield* agreement(site, shape), "map late.example.com pool_1")
    }).pipe(Effect.scoped), limit)
})

describe.each(realLines)("HAProxy $line is paused at a write", (binary) => {
  it.live("the answer is in time and true, and all agree when it goes on", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ binary, ...shape })
      const { site } = haproxy
      const server = yield* startServer({ env: settingsOf(site, { ...shape, env }) })
      const client = server.client()
      yield* Effect.promise(async () => {
        await server.ready()
        await client.good("haproxy_add_domain", { domain: "before.com", ip: "10.0.0.1" })
      })
      const before = yield* live(site)

      const removeWhilePaused = Effect.andThen(
        haproxy.pause,
        Effect.promise(() => client.call("haproxy_remove_domain", { domain: "before.com" }))
      )
      let unknown = yield* removeWhilePaused
      // Paused in the middle of a look of ours at HAProxy: the write stood behind it, and nothing of it has left.
      for (let again = 0; again < 5 && errorOf(unknown).code === "HAPROXY_UNREACHABLE"; again++) {
        assert.isBelow(unknown.ms, deadline + slack)
        yield* haproxy.resume
        yield* Effect.promise(() => server.ready())
        assert.strictEqual(yield* live(site), before)
        unknown = yield* removeWhilePaused
      }
      assert.deepInclude(errorOf(unknown), { code: "OUTCOME_UNKNOWN", retryable: true })
      assert.isBelow(unknown.ms, deadline + slack)
      const id = errorOf(unknown).change_id
      // The next one finds the link down: nothing of it has left.
      const refused = yield* Effect.promise(async () => {
        await becomes("the silence is noticed", async () => await server.probe("/readyz") === 503)
        assert.strictEqual(await server.probe("/healthz"), 200)
        assert.deepInclude(await client.good("haproxy_list_domains"), { total: 1 })
        return client.call("haproxy_add_domain", { domain: "meanwhile.com", ip: "10.0.0.2" })
      })
      assert.deepInclude(errorOf(refused), { code: "HAPROXY_UNREACHABLE" })
      assert.isBelow(refused.ms, deadline + slack)

      // What stood in the paused HAProxy's buffer may still run now. It must not stay.
      yield* haproxy.resume
      yield* Effect.promise(async () => {
        await server.ready()
        const { status } = await client.good("haproxy_operation", { operation_id: id, wait: 1 })
        assert.strictEqual(status, "reverted")
        await becomes("HAProxy is as before", async () => await Effect.runPromise(live(site)) === before)
      })

      // Paused for less than a call may take: the call waits and succeeds.
      yield* haproxy.pause
      const waited = Effect.promise(() => client.call("haproxy_add_domain", { domain: "after.com", ip: "10.0.0.3" }))
      const [after] = yield* Effect.all(
        [waited, Effect.andThen(Effect.sleep(deadline / 4), haproxy.resume)],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(after.code, "OK", JSON.stringify(after.data))
      assert.isAtLeast(after.ms, deadline / 4)

      assert.strictEqual((yield* Effect.promise(() => server.stop())).code, 0)
      const dump = yield* agreement(site, shape)
      assert.deepStrictEqual([...dump.matchAll(/^map (\S+) /gm)].map((match) => match[1]), [
        ".after.com",
        ".before.com",
        "after.com",
        "before.com"
      ])
    }).pipe(Effect.scoped), limit)
})

describe("a second serve on the same database", () => {
  it.live("is told who holds it, and the first goes on", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy(shape)
      const settings = settingsOf(haproxy.site, shape)
      const server = yield* startServer({ env: settings })
      const [, file] = haproxyMcp
      yield* Effect.promise(async () => {
        await server.ready()
        const second = await runNode(file, ["serve"], { env: settings })
        assert.strictEqual(second.code, 1, second.stderr)
        assert.include(second.stderr, `held by process ${server.pid}`)
        await server.client().good("haproxy_add_domain", { domain: "still.example.com" })
        assert.strictEqual((await server.stop()).code, 0)
      })
      assert.strictEqual(yield* agreement(haproxy.site, shape), "map still.example.com pool_1")
    }).pipe(Effect.scoped), limit)
})
