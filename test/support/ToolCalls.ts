/** Calls of tools on a world, every toolset on, as a client would see their results. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { withAllRights } from "../../src/domain/Principal.ts"
import { toolsets } from "../../src/domain/Toolset.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import { offer } from "../../src/mcp/Catalogue.ts"
import type { ToolResult } from "../../src/mcp/ToolResult.ts"
import { assertDryShape, assertShape } from "./AnswerShape.ts"
import type { World } from "./World.ts"

export type Data = Record<string, unknown>

const everything = offer(new Set(toolsets))

/** A call, whatever comes of it. */
export const callOn = (
  world: Pick<World, "run">,
  name: string,
  args: Data = {},
  timeout = 10_000
): Effect.Effect<ToolResult> =>
  world.run(
    callTool(name, args, {
      actor: { via: "test", who: "tester", requestId: "req-1" },
      principal: withAllRights("program", "tester"),
      timeout,
      progress: () => Effect.void
    }, everything)
  )

/** A call that must succeed, with an answer of the tool's own shape. */
export const good = (world: Pick<World, "run">, name: string, args: Data = {}): Effect.Effect<Data> =>
  Effect.map(callOn(world, name, args), (result) => {
    assert.isFalse(result.isError, `${name} ${JSON.stringify(args)}: ${result.text.slice(0, 500)}`)
    if (args["dry_run"] === true) assertDryShape(name, result.structuredContent)
    else assertShape(name, result.structuredContent)
    return result.structuredContent as Data
  })

/** A call that must be refused with this code; answers the error. */
export const bad = (world: Pick<World, "run">, name: string, args: Data, code: string): Effect.Effect<Data> =>
  Effect.map(callOn(world, name, args), (result) => {
    assert.isTrue(result.isError, `${name} ${JSON.stringify(args)} is taken: ${result.text.slice(0, 500)}`)
    const error = (result.structuredContent as { readonly error: Data }).error
    assert.strictEqual(error["code"], code, `${name} ${JSON.stringify(args)}: ${result.text}`)
    return error
  })

/** The rows of an answer. */
export const rowsOf = (answer: Data, name: string): ReadonlyArray<Data> => answer[name] as ReadonlyArray<Data>
