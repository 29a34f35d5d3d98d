/**
 * Both official clients, in both eras of the protocol, list and call every tool of the program itself: over HTTP, over
 * stdio through a process that serves, and over stdio alone; on every HAProxy line.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { toolNames } from "../../src/mcp/Catalogue.ts"
import { type AnyClient, clients, connected, type Target } from "../mcp/harness.ts"
import { agreement } from "../support/Agreement.ts"
import { callEveryTool } from "../support/EveryTool.ts"
import { type Origin, startOrigin } from "../support/Origin.ts"
import { type RealHaproxy, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 3, slots: 4 }
const token = "a-token-of-the-test"

/** The whole round of one client. */
const round = Effect.fnUntraced(function*(
  name: string,
  connect: (target: Target) => Promise<AnyClient>,
  target: Target,
  haproxy: RealHaproxy,
  origins: readonly [Origin, Origin]
) {
  const client = yield* connected(connect, target)
  const tools = yield* Effect.promise(() => client.listTools())
  assert.deepStrictEqual(tools.map((tool) => tool.name), [...toolNames])
  const [first, second] = origins
  yield* Effect.promise(() =>
    callEveryTool({
      call: client.call,
      name,
      first: first.port,
      second: second.port,
      visit: (host) => Effect.runPromise(Effect.map(haproxy.get(host), ({ body }) => body)),
      bodies: [first.name, second.name]
    })
  )
  return client.version
}, Effect.scoped)

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("every official client calls every tool, over HTTP and over stdio", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ binary, ...shape })
      const origins = [yield* startOrigin("first"), yield* startOrigin("second")] as const
      const env = settingsOf(haproxy.site, shape)
      const server = yield* startServer({ env: { ...env, MCP_TOKEN: token }, token })
      yield* Effect.promise(() => server.ready())
      const http: Target = { url: `${server.url}/mcp`, headers: { authorization: `Bearer ${token}` } }
      // What a stdio process says on its standard error would be lost with the client.
      const log = join(haproxy.site.dir, "stdio.log")
      const stdio: Target = {
        command: "sh",
        args: ["-c", `exec "$@" 2>>"$0"`, log, ...haproxyMcp, "stdio"],
        env
      }
      const rounds = clients.flatMap(([name, connect]) => [
        { name, connect, target: http },
        { name, connect, target: stdio }
      ])
      const versions: Array<string | undefined> = []
      for (const [index, { connect, name, target }] of rounds.entries()) {
        const told = Effect.promise(async () => console.error(`${name}:\n${await readFile(log, "utf8")}`))
        versions.push(
          yield* round(`round-${index}`, connect, target, haproxy, origins).pipe(Effect.onError(() => told))
        )
      }
      // The 1.x client does not tell; the 2.x client speaks the era that it was told to.
      assert.deepStrictEqual(versions.slice(4), ["2026-07-28", "2026-07-28"])
      const { code } = yield* Effect.promise(() => server.stop())
      assert.strictEqual(code, 0)

      // Nobody serves now: the stdio process opens the database itself.
      const [, newest] = clients.at(-1)!
      yield* round("alone", newest, stdio, haproxy, origins)
      assert.strictEqual(yield* agreement(haproxy.site, shape), "")
      console.log(`clients: HAProxy ${binary.version}: ${rounds.length + 1} rounds of ${toolNames.length} tools`)
    }).pipe(Effect.scoped), 120_000)
})
