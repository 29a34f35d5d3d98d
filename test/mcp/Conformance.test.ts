/**
 * The official conformance suite of MCP against our own HTTP stack: listener, gate with a token, handler, and the
 * tools of the catalogue beside the fixtures that the suite calls. Every scenario that a revision requires must pass,
 * but for those of test/mcp/conformance/expected-failures-*.yml, and these must fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { Extension } from "../../src/mcp/Extension.ts"
import { startHeaderProxy } from "../support/HeaderProxy.ts"
import { startNode } from "../support/Process.ts"
import { conformanceProfile } from "./conformance/Profile.ts"
import { startHttp, token, tokenGate, toolsOf } from "./harness.ts"

const suite = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist",
  "index.js"
)
const expected = (revision: string) => join(import.meta.dirname, "conformance", `expected-failures-${revision}.yml`)

/** No program is asked here: ours are tested elsewhere. */
const noPrograms = toolsOf(() => Effect.succeed({ summary: "not here" }))

/**
 * A client of 2025-11-25 may have a session id to send along. We have no sessions and give none, and then the scenario
 * server-sse-multiple-streams ends with a warning before it has tried anything. So the proxy, which must be there for
 * the token, gives one: the three concurrent requests are made, and their id means nothing to us.
 */
const session = ["mcp-session-id", "given-by-the-proxy"] as const

/** What the suite's table of results says, without the lines that only tell that a scenario has begun. */
const summaryOf = (output: string): string => output.slice(Math.max(0, output.indexOf("=== SUMMARY ===")))

const runs = [
  { revision: "2025-11-25", answers: [session] },
  { revision: "2026-07-28", answers: [] }
]

describe.concurrent("the official conformance suite", () => {
  for (const { answers, revision } of runs) {
    it.live(revision, () =>
      Effect.gen(function*() {
        let port = 0
        const proxy = yield* startHeaderProxy(() => port, [["authorization", `Bearer ${token}`]], answers)
        const origin = `http://localhost:${proxy}`
        port = (yield* startHttp(noPrograms, { gate: { ...tokenGate, allowedOrigins: [origin] } })).port
        const of = ["--requirements", revision, "--expected-failures", expected(revision)]
        const { code, stderr, stdout } = yield* Effect.promise(() =>
          startNode(suite, ["server", "--url", `${origin}/mcp`, ...of], { limit: 55_000 }).ended
        )
        // The suite also runs scenarios of extensions and pending ones, and does not score them.
        console.log(`conformance, ${revision}\n${summaryOf(stdout)}${stderr}`)
        assert.strictEqual(code, 0, `the suite refuses ${revision}, see its summary`)
      }).pipe(Effect.provide(Layer.succeed(Extension, conformanceProfile)), Effect.scoped), 60_000)
  }
})
