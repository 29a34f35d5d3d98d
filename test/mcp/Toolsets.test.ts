/** A toolset that is off: its tools are neither listed nor called, and the refusal says which setting turns it on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { decodeSettings } from "../../src/Config.ts"
import type { Toolset } from "../../src/domain/Toolset.ts"
import { defaultNames, toolNames, toolsBySet } from "../../src/mcp/Catalogue.ts"
import { Toolsets } from "../../src/mcp/Toolsets.ts"
import { clients, connected, startHttp, token, tokenGate, toolsOf } from "./harness.ts"

const runner = toolsOf((name) => Effect.succeed({ summary: name }))
const off = toolsBySet.runtime[0]!.name

describe("MCP_TOOLSETS", () => {
  for (const [name, connect] of clients) {
    for (const sets of [["default"], ["default", "runtime"]] as ReadonlyArray<ReadonlyArray<Toolset>>) {
      it.live(`${sets.join(",")} for ${name}`, () =>
        Effect.gen(function*() {
          const { url } = yield* startHttp(runner, { gate: tokenGate })
          const client = yield* connected(connect, { url, headers: { authorization: `Bearer ${token}` } })
          const listed = (yield* Effect.promise(() => client.listTools())).map((tool) => tool.name)
          assert.deepStrictEqual(listed, sets.includes("runtime") ? [...toolNames] : [...defaultNames])
          const called = yield* Effect.promise(() =>
            client.call(off, {}).then((answer) => JSON.stringify(answer), (error: unknown) => String(error))
          )
          if (sets.includes("runtime")) assert.include(called, `"summary":"${off}"`)
          else assert.include(called, "MCP_TOOLSETS=runtime")
        }).pipe(Effect.provideService(Toolsets, new Set(sets)), Effect.scoped))
    }
  }

  it.effect("takes known names, and refuses the start with others", () =>
    Effect.gen(function*() {
      const read = (text: string) => Effect.result(decodeSettings({ env: { MCP_TOOLSETS: text } }))
      for (const text of ["runtime", "default,runtime", "default, runtime"]) {
        const settings = yield* read(text)
        assert.include(Result.getOrThrow(settings).mcpToolsets, "runtime", text)
      }
      assert.deepStrictEqual(Result.getOrThrow(yield* read("")).mcpToolsets, ["default"])
      for (const text of ["runtimes", "all", "default;runtime"]) {
        const refused = yield* read(text)
        assert.isTrue(Result.isFailure(refused), text)
        if (Result.isFailure(refused)) assert.include(refused.failure.message, "MCP_TOOLSETS")
      }
    }))
})
