/** Live updates of resources: over HTTP and streams, in both eras, waited for and never slept for. */
import { assert, describe, it } from "@effect/vitest"
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { request, type ServerResponse } from "node:http"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { withAllRights } from "../../src/domain/Principal.ts"
import * as AdminSocket from "../../src/mcp/AdminSocket.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import type { GateOptions } from "../../src/mcp/Gate.ts"
import { drained, mostOfOne } from "../../src/mcp/Listen.ts"
import * as RemoteTools from "../../src/mcp/RemoteTools.ts"
import { mostWatched, type Watch, watchCurrent } from "../../src/mcp/Subscriptions.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { window } from "../../src/program/Watching.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { makeWorld, type World } from "../support/World.ts"
import { envelope, newest, overHttp, overStdio } from "./asking.ts"
import { captureLogs, grantOf, raw, startHttp, token, tokenGate, toolsOf, until, worldTools } from "./harness.ts"

/** Changes something, as the command line would. */
const change = (world: World, name: string, args: Record<string, unknown>) =>
  Effect.map(
    world.run(callTool(name, args, {
      actor: { via: "test", who: "test", requestId: "r" },
      principal: withAllRights("owner", "test"),
      timeout: 10_000,
      progress: () => Effect.void
    })),
    ({ code, structuredContent }) => {
      assert.strictEqual(code, "OK", JSON.stringify(structuredContent))
      return structuredContent
    }
  )

/** What a client was told, in order. */
const heardBy = (client: Client) => {
  const heard: Array<string> = []
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void heard.push(params.uri))
  return heard
}

const connect = (url: string, given = token) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: { pin: newest } } })
      const headers = { authorization: `Bearer ${given}` }
      await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }))
      return client
    }),
    (client) => Effect.promise(() => client.close())
  )

let revoked = false

const gate: GateOptions = {
  ...tokenGate,
  tokens: {
    any: () => true,
    find: (given) =>
      given === token
        ? grantOf(withAllRights("token", "all"))
        : given === "shop-only"
        ? {
          principal: { ...withAllRights("token", "shop"), id: "t1", domains: ["shop.example.com"] },
          isGood: () => !revoked
        }
        : "wrong"
  }
}

const listenMessage = (uris: ReadonlyArray<string>, id: number | string = 1) => ({
  jsonrpc: "2.0",
  id,
  method: "subscriptions/listen",
  params: { notifications: { resourceSubscriptions: uris }, _meta: envelope }
})

/** A stream of events as bytes, whose reader may be slow. */
const open = (port: number, uris: ReadonlyArray<string>, given = token) => {
  const body = JSON.stringify(listenMessage(uris))
  const asked = request({
    port,
    path: "/mcp",
    method: "POST",
    headers: {
      authorization: `Bearer ${given}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": newest,
      "mcp-method": "subscriptions/listen",
      host: "localhost",
      "content-length": Buffer.byteLength(body)
    }
  })
  asked.on("error", () => {})
  asked.end(body)
  return asked
}

const [shop, other, status, pool] = [
  "haproxy://domains/shop.example.com",
  "haproxy://domains/other.example.net",
  "haproxy://status",
  "haproxy://pools/pool_1"
]

describe.concurrent("subscriptions/listen over HTTP", () => {
  it.live("tells of what was committed, once in a while, and of nothing else", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 3 })
      const { stop, url } = yield* startHttp(worldTools(world), { gate })
      const client = yield* connect(url)
      const heard = heardBy(client)
      assert.deepInclude(client.getServerCapabilities()?.resources, { subscribe: true })
      const uris = [shop, status, pool, "haproxy://changes/1", "haproxy://domains/SUB.example.org", "haproxy://nothing"]
      const listening = yield* Effect.promise(() => client.listen({ resourceSubscriptions: uris }))
      assert.deepStrictEqual(listening.honoredFilter, { resourceSubscriptions: uris.slice(0, 5) })

      yield* change(world, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
      yield* Effect.promise(() => until(() => heard.length >= 4))
      assert.deepStrictEqual([...heard].sort(), ["haproxy://changes/1", shop, pool, status].sort())

      // Servers of a pool are those of each domain that leads there; its address is told as it was asked for.
      heard.length = 0
      yield* change(world, "haproxy_add_domain", { domain: "sub.example.org", share_with: "shop.example.com" })
      yield* Effect.promise(() =>
        until(() => heard.includes(pool) && heard.includes("haproxy://domains/SUB.example.org"))
      )
      assert.notInclude(heard, shop, "a share changes nothing of its owner")
      heard.length = 0
      yield* change(world, "haproxy_set_server_weight", { domain: "shop.example.com", slot: 1, weight: 7 })
      yield* Effect.promise(() => until(() => heard.length >= 4))
      assert.sameMembers(heard, [shop, pool, status, "haproxy://domains/SUB.example.org"])

      // A burst is few notices, and the last one comes after its end.
      heard.length = 0
      const began = performance.now()
      for (let weight = 10; weight < 25; weight++) {
        yield* change(world, "haproxy_set_server_weight", { domain: "shop.example.com", slot: 1, weight })
      }
      const took = performance.now() - began
      yield* change(world, "haproxy_add_domain", { domain: "other.example.net", ip: "10.0.0.6" })
      const seen = heard.length
      yield* Effect.promise(() => until(() => heard.slice(seen).includes(status)))
      const ofShop = heard.filter((uri) => uri === shop).length
      assert.isAtLeast(ofShop, 1)
      assert.isAtMost(ofShop, Math.ceil(took / window) + 1)
      assert.notInclude(heard, other)

      // HAProxy goes and comes back: that is status.
      heard.length = 0
      yield* world.haproxy.stop
      yield* Effect.promise(() => until(() => heard.includes(status)))
      heard.length = 0
      yield* world.haproxy.start
      yield* Effect.promise(() => until(() => heard.includes(status)))
      assert.deepStrictEqual(heard.filter((uri) => uri !== status), [])

      yield* stop
      assert.strictEqual(yield* Effect.promise(() => listening.closed), "graceful")
    }).pipe(Effect.provide(captureLogs().layer), Effect.scoped), 60_000)

  it.live("keeps to rights, limits and tokens; the older eras announce nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 3 })
      const { url } = yield* startHttp(worldTools(world), { gate })
      yield* change(world, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
      const limited = yield* connect(url, "shop-only")
      const heard = heardBy(limited)
      const listening = yield* Effect.promise(() =>
        limited.listen({ resourceSubscriptions: [other, pool, shop, "haproxy://changes/1"] })
      )
      assert.deepStrictEqual(listening.honoredFilter, { resourceSubscriptions: [shop] })
      yield* change(world, "haproxy_add_domain", { domain: "other.example.net", ip: "10.0.0.6" })
      yield* change(world, "haproxy_set_server_weight", { domain: "shop.example.com", slot: 1, weight: 9 })
      yield* Effect.promise(() => until(() => heard.length > 0))
      assert.deepStrictEqual(heard, [shop])
      revoked = true
      assert.strictEqual(yield* Effect.promise(() => listening.closed), "remote")
      revoked = false

      const client = yield* connect(url)
      const many = Array.from({ length: mostWatched + 5 }, (_, n) => `haproxy://domains/n${n}.example.com`)
      const bounded = yield* Effect.promise(() => client.listen({ resourceSubscriptions: many }))
      assert.strictEqual(bounded.honoredFilter.resourceSubscriptions?.length, mostWatched)
      yield* Effect.promise(async () => {
        const more = await Promise.all(
          Array.from({ length: mostOfOne - 1 }, () => client.listen({ resourceSubscriptions: [status] }))
        )
        const refused = await client.listen({ resourceSubscriptions: [status] }).then(() => "", String)
        assert.match(refused, /limit reached/)
        // Somebody else's are not refused for that; and one that ends makes room.
        await limited.listen({ resourceSubscriptions: [shop] })
        await more[0]!.close()
        let isOpen = false
        while (!isOpen) isOpen = await client.listen({ resourceSubscriptions: [status] }).then(() => true, () => false)
      })

      const older = overHttp(url, token, "older")
      yield* Effect.promise(async () => {
        const initialized = await older("initialize", {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "test", version: "1" }
        })
        assert.deepStrictEqual(initialized.result?.capabilities?.["resources"], {})
        assert.strictEqual((await older("resources/subscribe", { uri: status })).error?.code, -32_601)
      })
    }).pipe(Effect.provide(captureLogs().layer), Effect.scoped), 60_000)

  it.live("a reader that takes nothing is waited for, with nothing piled up", () =>
    Effect.gen(function*() {
      let begun = 0
      let taken = 0
      const uris = Array.from({ length: mostWatched }, (_, n) => `haproxy://domains/${"n".repeat(60)}${n}.example.com`)
      const { port } = yield* startHttp({
        ...toolsOf(() => Effect.succeed({ summary: "" })),
        watch: (named, _caller, told) =>
          Effect.forever(
            Effect.suspend(() => {
              begun++
              return Effect.andThen(told(named), Effect.sync(() => taken++))
            }).pipe(Effect.andThen(Effect.sleep(1)))
          )
      }, { gate })
      const asked = open(port, uris)
      const response = yield* Effect.promise(() =>
        new Promise<import("node:http").IncomingMessage>((resolve) => asked.once("response", resolve))
      )
      response.pause()
      // The sockets' buffers fill, then one notice stays on its way.
      let last = -1
      yield* Effect.promise(async () => {
        for (;;) {
          if (begun === taken + 1 && begun === last) return
          last = begun
          await new Promise((resolve) => setTimeout(resolve, 200))
        }
      })
      response.resume()
      const before = taken
      yield* Effect.promise(() => until(() => taken > before + 3))
      asked.destroy()
      const end = begun
      yield* Effect.promise(() => until(() => begun <= end + 2))
    }).pipe(Effect.scoped), 30_000)
})

describe.concurrent("on standard input and output", () => {
  it.live(
    "both eras, in this process and through the admin socket, which may come and go",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ pools: 3, slots: 3 })
        const runner = worldTools(world)
        const path = join(yield* temporaryFolder("watch"), "admin.sock")
        const serve = Effect.gen(function*() {
          const scope = yield* Scope.fork(yield* Effect.scope)
          yield* Layer.buildWithScope(
            AdminSocket.layer(path).pipe(
              Layer.provide(Layer.succeed(ToolRunner, runner)),
              Layer.provide(captureLogs().layer)
            ),
            scope
          )
          return scope
        })
        const serving = yield* serve
        const remote = Context.get(yield* Layer.build(RemoteTools.layer(path)), ToolRunner)
        yield* change(world, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
        let weight = 1
        const touch = Effect.suspend(() =>
          change(world, "haproxy_set_server_weight", { domain: "shop.example.com", slot: 1, weight: ++weight })
        )
        const all: Array<Array<string>> = []
        for (const tools of [runner, remote]) {
          const heard: Array<string> = []
          all.push(heard)
          const ask = yield* overStdio(tools, ["read"], "older", (uri) => heard.push(uri))
          yield* Effect.promise(async () => {
            assert.deepStrictEqual((await ask("resources/subscribe", { uri: shop })).result, {})
            assert.deepStrictEqual((await ask("resources/subscribe", { uri: shop })).result, {})
            assert.strictEqual((await ask("resources/subscribe", { uri: "haproxy://nothing" })).error?.code, -32_602)
          })
          yield* touch
          yield* Effect.promise(() => until(() => heard.length > 0))
          yield* Effect.promise(() => ask("resources/subscribe", { uri: status }))
          yield* Effect.promise(() => ask("resources/unsubscribe", { uri: shop }))
          heard.length = 0
          yield* touch
          yield* Effect.promise(() => until(() => heard.includes(status)))
          assert.deepStrictEqual(heard, [status])

          const modern: Array<string> = []
          all.push(modern)
          const [asking, ids] = [
            yield* overStdio(tools, ["read"], "newer", (uri) => modern.push(uri)),
            [] as Array<number>
          ]
          // Answered only at its end; the acknowledgement is a notification.
          void asking("subscriptions/listen", { notifications: { resourceSubscriptions: [shop, shop, status] } })
          ids.push(1)
          yield* Effect.promise(() => until(() => modern.includes("acknowledged")))
          modern.length = 0
          yield* touch
          yield* Effect.promise(() => until(() => modern.length >= 2))
          assert.sameMembers(modern, [shop, status])
        }

        // The process that serves goes and comes back: those who work through it are told to look again.
        for (const heard of all) heard.length = 0
        yield* Scope.close(serving, Exit.void)
        yield* serve
        yield* Effect.promise(() => until(() => all[2]!.includes(status) && all[3]!.includes(shop)))
        assert.deepStrictEqual(all[0], [])
      }).pipe(Effect.provide(captureLogs().layer), Effect.scoped),
    60_000
  )
})

describe.concurrent("where control planes come and go", () => {
  it.live("the one that is there now is watched, and every change of them is told", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const plane = (name: string): Watch => (_uris, _caller, told, begun) =>
        Effect.andThen(begun, Effect.andThen(told([name]), Effect.never)).pipe(
          Effect.onInterrupt(() => Effect.sync(() => events.push(`${name} left`)))
        )
      let now: Watch | null = plane("first")
      const watching = yield* Effect.forkChild(
        watchCurrent(() => now)(
          ["a", "b"],
          withAllRights("token", "all"),
          (uris) => Effect.sync(() => events.push(uris.join())),
          Effect.sync(() => events.push("begun"))
        )
      )
      const next = (watch: Watch | null, count: number) =>
        Effect.promise(() => {
          now = watch
          return until(() => events.length >= count)
        })
      yield* next(now, 2)
      yield* next(null, 4)
      yield* next(plane("second"), 6)
      yield* Fiber.interrupt(watching)
      assert.deepStrictEqual(events, ["begun", "first", "first left", "a,b", "a,b", "second", "second left"])
    }))
})

describe("a reader that takes nothing", () => {
  it.live("is cut after a while; one that takes something is not", () =>
    Effect.promise(async () => {
      const slow = new PassThrough({ highWaterMark: 1 })
      slow.write("more than it takes")
      await drained(slow as unknown as ServerResponse, 20)
      assert.isTrue(slow.destroyed)
      const quick = new PassThrough({ highWaterMark: 1 })
      quick.write("more than it takes")
      const taken = drained(quick as unknown as ServerResponse, 60_000)
      quick.resume()
      await taken
      assert.isFalse(quick.destroyed)
    }))
})

// Not beside others: the number is the process's.
describe("streams whose clients went away", () => {
  it.live("leave nothing behind", () =>
    Effect.gen(function*() {
      let watching = 0
      const { url } = yield* startHttp({
        ...toolsOf(() => Effect.succeed({ summary: "" })),
        watch: () =>
          Effect.ensuring(Effect.andThen(Effect.sync(() => watching++), Effect.never), Effect.sync(() => watching--))
      }, { gate })
      const opened = async () => {
        const headers = { authorization: `Bearer ${token}` }
        const { text } = await raw(url.replace(/mcp$/, "metrics"), { headers })
        return /^haproxy_mcp_streams_open (\d+)$/m.exec(text)?.[1]
      }
      const becomes = async (count: string) => {
        const end = performance.now() + 10_000
        while (await opened() !== count) assert.isBelow(performance.now(), end, `not ${count} streams`)
      }
      const client = yield* connect(url)
      yield* Effect.promise(async () => {
        const all = await Promise.all(
          Array.from({ length: 8 }, () => client.listen({ resourceSubscriptions: [status] }))
        )
        await becomes("8")
        assert.strictEqual(watching, 8)
        for (const one of all.slice(0, 4)) await one.close()
        await becomes("4")
        await client.close()
        await becomes("0")
        assert.strictEqual(watching, 0)
      })
    }).pipe(Effect.scoped))
})
