/** Both official clients, both eras, over HTTP, against the real programs and a real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { catalogue, defaultNames } from "../../src/mcp/Catalogue.ts"
import { instructions } from "../../src/mcp/Instructions.ts"
import { makeWorld } from "../support/World.ts"
import { type CallAnswer, clients, connected, post, startHttp, token, tokenGate, worldTools } from "./harness.ts"

type Data = Record<string, unknown> & { readonly summary?: string; readonly error?: Record<string, unknown> }

/** The structured answer, after checking that the text is the same document. */
const data = (answer: CallAnswer): Data => {
  const [block] = answer.content as ReadonlyArray<{ readonly type: string; readonly text: string }>
  assert.strictEqual(block?.type, "text")
  assert.strictEqual(block?.text, JSON.stringify(answer.structuredContent))
  return answer.structuredContent as Data
}

describe("over HTTP", () => {
  clients.forEach(([name, connect], index) =>
    it.live(`${name} operates HAProxy`, () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ pools: 3, slots: 3 })
        const { url } = yield* startHttp(worldTools(world), { gate: tokenGate })
        const client = yield* connected(connect, { url, headers: { authorization: `Bearer ${token}` } })
        const call = (tool: string, args: Record<string, unknown>) => Effect.promise(() => client.call(tool, args))

        assert.strictEqual(client.instructions, instructions)
        if (index === 2) assert.strictEqual(client.version, "2026-07-28")
        const tools = yield* Effect.promise(() => client.listTools())
        assert.deepStrictEqual(tools.map((tool) => tool.name), [...defaultNames])
        assert.deepStrictEqual(tools[1]!["inputSchema"], catalogue[1]!.inputSchema)

        const added = data(yield* call("haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" }))
        assert.strictEqual(Object.keys(added)[0], "summary")
        assert.deepInclude(added, { domain: "shop.example.com", backend: "pool_1", changed: true, wildcard: null })
        const again = data(yield* call("haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" }))
        assert.strictEqual(again["changed"], false)
        const map = yield* world.haproxy.command(`show map ${world.site.runtimeDomainsMap}`)
        assert.match(map, /shop\.example\.com pool_1/)

        const many = JSON.stringify([{ ip: "10.0.0.6", http_port: 8080 }, { ip: "10.0.0.7" }])
        const servers = data(yield* call("haproxy_add_servers", { domain: "shop.example.com", servers: many }))
        assert.strictEqual((servers["servers"] as ReadonlyArray<unknown>).length, 3)

        const listed = data(yield* call("haproxy_list_domains", { limit: 1 }))
        assert.deepInclude(listed, { total: 1, next_cursor: null })

        // Error results pass the clients' own validation against the output schema (tools were listed above).
        const wrong = yield* call("haproxy_add_domain", { domain: "shop.example.com", port: 80 })
        assert.strictEqual(wrong.isError, true)
        assert.deepInclude(data(wrong).error, { code: "INVALID_INPUT", field: "port", retryable: false })
        assert.include(data(wrong).error?.["valid_values"] as ReadonlyArray<string>, "http_port")
        const absent = yield* call("haproxy_list_servers", { domain: "shpo.example.com" })
        assert.deepInclude(data(absent).error, {
          code: "NOT_FOUND",
          field: "domain",
          valid_values: ["shop.example.com"]
        })

        const health = data(yield* call("haproxy_health", {}))
        assert.strictEqual((health["components"] as Record<string, Data>)["haproxy"]?.["status"], "ok")
        assert.isUndefined((yield* call("haproxy_domain_health", { domain: "shop.example.com" })).isError)
        const slot = { domain: "shop.example.com", slot: 2 }
        data(yield* call("haproxy_set_server_state", { ...slot, state: "drain" }))
        const waited = data(yield* call("haproxy_wait_drain", { ...slot, timeout: 1 }))
        assert.strictEqual(waited["drained"], true)
        const followed = data(yield* call("haproxy_operation", { operation_id: String(added["change_id"]) }))
        assert.deepInclude(followed, { status: "applied", tool: "haproxy_add_domain", failure: null })

        const unknown = yield* Effect.promise(() => client.call("haproxy_add_domian", {}).then(() => "", String))
        assert.match(unknown, /no tool haproxy_add_domian. Did you mean haproxy_add_domain/)
      }).pipe(Effect.scoped), 120_000)
  )

  it.live("answers the curl of the seed's users", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 2, slots: 2 })
      const { url } = yield* startHttp(worldTools(world))
      const ask = (message: unknown) =>
        Effect.map(Effect.promise(() => post(url, message)), (answer) => {
          assert.strictEqual(answer.status, 200, answer.text)
          assert.match(answer.headers.get("content-type") ?? "", /^application\/json/)
          return (JSON.parse(answer.text) as { readonly result: Record<string, unknown> }).result
        })
      const initialized = yield* ask({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2024-11-05", capabilities: {}, clientInfo: { name: "curl", version: "1.0" } }
      })
      assert.deepInclude(initialized, { protocolVersion: "2024-11-05" })
      assert.deepInclude(initialized["serverInfo"], { name: "haproxy-mcp" })
      const accepted = yield* Effect.promise(() => post(url, { jsonrpc: "2.0", method: "notifications/initialized" }))
      assert.strictEqual(accepted.status, 202)
      // No handshake, no session: it just works.
      const listed = yield* ask({ jsonrpc: "2.0", id: 2, method: "tools/list" })
      assert.strictEqual((listed["tools"] as ReadonlyArray<unknown>).length, defaultNames.length)
      const health = yield* ask({ jsonrpc: "2.0", id: 3, method: "tools/call", params: { name: "haproxy_health" } })
      assert.hasAllKeys((health["structuredContent"] as { components: object }).components, [
        "mcp",
        "haproxy",
        "config_files",
        "container",
        "desired_state",
        "reconciler",
        "remote",
        "certificates"
      ])
      const pong = yield* ask({ jsonrpc: "2.0", id: 4, method: "ping" })
      assert.deepStrictEqual(pong, {})
    }).pipe(Effect.scoped), 120_000)
})
