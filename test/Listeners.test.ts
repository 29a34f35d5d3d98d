import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { lookup } from "node:dns/promises"
import { hostname, networkInterfaces } from "node:os"
import { Settings } from "../src/Config.ts"
import { ownListener, type Port, type ServerIp } from "../src/domain/Address.ts"
import { layer } from "../src/Listeners.ts"
import { Limits } from "../src/program/Limits.ts"

/** The name of the listener that a server address would lead back to. */
const back = (env: Readonly<Record<string, string>>, ip: string, port: number) =>
  Effect.gen(function*() {
    const limits = yield* Limits
    return ownListener(ip as ServerIp, port as Port, limits.listeners, limits.localAddresses)?.name ?? null
  }).pipe(Effect.provide(layer.pipe(Layer.provide(Settings.layer({ env })))))

const runtime = "HAProxy's Runtime API"
const mcp = "this control plane's own port"

const own = Object.values(networkInterfaces()).flat().find((one) => one !== undefined && !one.internal)?.address

/** A name that this machine can look up, whatever its name server does. */
const named = await [hostname(), "ip6-localhost", "localhost.localdomain"].reduce(
  async (earlier: Promise<{ readonly name: string; readonly address: string } | null>, name) =>
    await earlier ?? await lookup(name).then(({ address }) => ({ name, address }), () => null),
  Promise.resolve(null)
)

describe("listeners of the settings", () => {
  const cases: ReadonlyArray<readonly [Readonly<Record<string, string>>, string, number, string | null]> = [
    [{}, "127.0.0.1", 9999, runtime],
    [{}, "::1", 9999, runtime],
    [{}, "127.0.0.1", 8000, mcp],
    [{}, "127.0.0.1", 80, null],
    [{}, "10.255.255.254", 9999, null],
    [{ HAPROXY_HOST: "10.255.255.254" }, "10.255.255.254", 9999, runtime],
    [{ HAPROXY_HOST: "10.255.255.254" }, "127.0.0.1", 9999, null],
    [{ HAPROXY_HOST: "127.0.0.1", HAPROXY_PORT: "1234" }, "127.0.0.1", 1234, runtime],
    [{ HAPROXY_RUNTIME_MODE: "unix", HAPROXY_RUNTIME_SOCKET: "/run/h.sock" }, "127.0.0.1", 9999, null],
    [{ MCP_SOCKET: "/run/m.sock" }, "127.0.0.1", 8000, null],
    [{ MCP_HOST: "127.0.0.1", MCP_PORT: "8001" }, "127.0.0.1", 8001, mcp],
    // HAProxy's loopback is not ours.
    [{ HAPROXY_SSH_HOST: "edge.example.com" }, "127.0.0.1", 8000, null]
  ]
  it.effect.each(cases)("%j: %s port %d is %s", ([env, ip, port, name]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* back(env, ip, port), name)
    }))

  it.effect("count on every address of this machine", () =>
    Effect.gen(function*() {
      if (own !== undefined) {
        assert.strictEqual(yield* back({}, own, 9999), runtime)
        assert.strictEqual(yield* back({ HAPROXY_SSH_HOST: "edge.example.com" }, own, 8000), mcp)
      }
      assert.strictEqual(yield* back({ HAPROXY_HOST: own ?? "127.0.0.1" }, "127.0.0.1", 9999), runtime)
    }))

  it.live.skipIf(named === null)("of a name are known once it is looked up", () =>
    Effect.gen(function*() {
      const limits = yield* Limits
      const found = () =>
        ownListener(named!.address as ServerIp, 9999 as Port, limits.listeners, limits.localAddresses)?.name
      for (const end = Date.now() + 10_000; Date.now() < end && found() === undefined;) yield* Effect.sleep(10)
      assert.strictEqual(found(), runtime)
    }).pipe(Effect.provide(layer.pipe(Layer.provide(Settings.layer({ env: { HAPROXY_HOST: named!.name } }))))))
})
