/** A program that embeds the MCP server adds tools of its own: beside ours, never instead of them, behind the gate. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { Extension, type ExtensionTool } from "../../src/mcp/Extension.ts"
import { clients, connected, post, startHttp, token, tokenGate, toolsOf } from "./harness.ts"

const theirs = (name: string, streams = false): ExtensionTool => ({
  definition: { name, description: "Counts letters.", inputSchema: { type: "object" } },
  streams,
  call: async ({ word }, { mcpReq }, client) => {
    const progressToken = mcpReq._meta?.progressToken
    if (streams && progressToken !== undefined) {
      await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: 1, total: 1 } })
    }
    return { content: [], structuredContent: { letters: String(word).length, who: client.who } }
  }
})

const tools = [theirs("count_letters"), theirs("count_slowly", true), theirs("haproxy_health")]
const ours = toolsOf((name) => Effect.succeed({ summary: name }))

describe("an extension", () => {
  for (const [name, connect] of clients) {
    it.live(`is there for ${name}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startHttp(ours, { gate: tokenGate })
        const client = yield* connected(connect, { url, headers: { authorization: `Bearer ${token}` } })
        const listed = yield* Effect.promise(() => client.listTools())
        assert.deepStrictEqual(listed.map((tool) => tool.name), [...defaultNames, "count_letters", "count_slowly"])
        const counted = yield* Effect.promise(() => client.call("count_letters", { word: "pool" }))
        assert.deepStrictEqual(counted.structuredContent, { letters: 4, who: "token-1" })
        let steps = 0
        const slow = yield* Effect.promise(() => client.call("count_slowly", {}, { onprogress: () => steps++ }))
        assert.deepInclude(slow.structuredContent as object, { letters: 9 })
        assert.strictEqual(steps, 1)
        const health = yield* Effect.promise(() => client.call("haproxy_health", {}))
        assert.deepStrictEqual(health.structuredContent, { summary: "haproxy_health" }, "ours")
        const refused = yield* Effect.promise(() => post(url, {}))
        assert.strictEqual(refused.status, 401)
      }).pipe(Effect.provide(Layer.succeed(Extension, { tools })), Effect.scoped))
  }
})
