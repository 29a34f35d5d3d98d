/**
 * Both official clients, in both eras of the protocol, and the MCP Inspector's command line list and call every tool
 * of the program itself: over HTTP, over stdio through a process that serves, and over stdio alone; on every HAProxy
 * line (the older clients and the Inspector on the newest). Every answer has the shape that its tool publishes.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { catalogue, defaultNames } from "../../src/mcp/Catalogue.ts"
import { type AnyClient, clients, connected, type Target } from "../mcp/harness.ts"
import { agreement } from "../support/Agreement.ts"
import { assertShape } from "../support/AnswerShape.ts"
import { callEveryTool } from "../support/EveryTool.ts"
import { inspectorClient, inspectorCommand, installInspector } from "../support/McpInspector.ts"
import { type Origin, startOrigin } from "../support/Origin.ts"
import { newestLine, type RealHaproxy, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"
import { placeAcme } from "../support/StandInAcme.ts"

const shape = { pools: 3, slots: 4 }
const token = "a-token-of-the-test"

/** The catalogue as it goes over the wire. */
const published: unknown = JSON.parse(JSON.stringify(catalogue))

/** The whole round of one client. */
const callAll = Effect.fnUntraced(function*(
  name: string,
  client: Pick<AnyClient, "listTools" | "call">,
  haproxy: RealHaproxy,
  origins: readonly [Origin, Origin]
) {
  const tools = yield* Effect.promise(() => client.listTools())
  assert.deepStrictEqual(tools as unknown, published)
  const [first, second] = origins
  yield* Effect.promise(() =>
    callEveryTool({
      call: async (tool, args) => {
        const answer = await client.call(tool, args)
        if (answer.isError !== true) assertShape(tool, answer.structuredContent)
        return answer
      },
      name,
      first: first.port,
      second: second.port,
      visit: (host) => Effect.runPromise(Effect.map(haproxy.get(host), ({ body }) => body)),
      bodies: [first.name, second.name],
      tls: { folder: haproxy.site.certDir, port: haproxy.site.httpsPort }
    })
  )
})

/** Resources, completions and prompts of the program itself. */
const readAll = async ({ reader }: AnyClient) => {
  const { resources } = await reader.listResources()
  assert.deepStrictEqual(resources.map(({ uri }) => uri), ["haproxy://status"])
  const { contents } = await reader.readResource({ uri: "haproxy://status" })
  assert.include((contents[0] as { readonly text: string }).text, "\"status\":\"healthy\"")
  assert.strictEqual((await reader.listResourceTemplates()).resourceTemplates.length, 3)
  const { completion } = await reader.complete({
    ref: { type: "ref/resource", uri: "haproxy://changes/{revision}" },
    argument: { name: "revision", value: "" }
  })
  const { contents: [change] } = await reader.readResource({ uri: `haproxy://changes/${completion.values[0]}` })
  assert.include((change as { readonly text: string }).text, "\"change_id\"")
  assert.strictEqual((await reader.listPrompts()).prompts.length, 3)
  const gone = await reader.getPrompt({ name: "safe_deploy", arguments: { domain: "nobody.example" } }).then(
    () => "",
    String
  )
  assert.match(gone, /nobody\.example is not routed here/)
}

const round = Effect.fnUntraced(function*(
  name: string,
  connect: (target: Target) => Promise<AnyClient>,
  target: Target,
  haproxy: RealHaproxy,
  origins: readonly [Origin, Origin]
) {
  const client = yield* connected(connect, target)
  yield* callAll(name, client, haproxy, origins)
  yield* Effect.promise(() => readAll(client))
  return client.version
}, Effect.scoped)

let inspector = ""
beforeAll(async () => {
  inspector = await installInspector()
}, 300_000)

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("every official client calls every tool, over HTTP and over stdio", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ binary, ...shape, tls: true })
      const origins = [yield* startOrigin("first"), yield* startOrigin("second")] as const
      const acme = placeAcme(haproxy.site.dir)
      const env = settingsOf(haproxy.site, {
        ...shape,
        env: { HAPROXY_MASTER_SOCKET: haproxy.site.masterSocket, HAPROXY_CERT_DIR: haproxy.site.certDir, ...acme.env }
      })
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
      // The other lines differ in HAProxy, which the newest client sees as well as an older one.
      const speaking = binary.line === newestLine.line ? clients : clients.slice(-1)
      const rounds = speaking.flatMap(([name, connect]) => [
        { name, connect, target: http },
        { name, connect, target: stdio }
      ])
      const versions: Array<string | undefined> = []
      for (const [index, { connect, name, target }] of rounds.entries()) {
        const told = Effect.promise(async () =>
          console.error(`${name}:\n${server.output()}\n${await readFile(log, "utf8").catch(() => "")}`)
        )
        versions.push(
          yield* round(`round-${index}`, connect, target, haproxy, origins).pipe(Effect.onError(() => told))
        )
      }
      // The 1.x client does not tell; the 2.x client speaks the era that it was told to.
      assert.deepStrictEqual(versions.slice(-2), ["2026-07-28", "2026-07-28"])
      // A process for every call: on one line of HAProxy, since what it adds is the client, not the server's answers.
      const inspected = binary.line === newestLine.line ? [["http", http], ["stdio", stdio]] as const : []
      for (const [transport, target] of inspected) {
        const client = yield* inspectorClient(inspector, target, haproxy.site.dir)
        // It starts Node for each call, and the two transports differ below what it sends: one of them gets all calls.
        if (transport === "http") yield* callAll(`inspector-${transport}`, client, haproxy, origins)
        else assert.deepStrictEqual((yield* Effect.promise(() => client.listTools())) as unknown, published)
        const args = ["--method", "tools/call", "--tool-name", "haproxy_health", "--format", "json"]
        const health = yield* Effect.promise(() => inspectorCommand(inspector, target, args))
        assert.include(health, "\"status\":\"healthy\"", "as people type it")
      }
      const { code } = yield* Effect.promise(() => server.stop())
      assert.strictEqual(code, 0)

      // Nobody serves now: the stdio process opens the database itself.
      const [, newest] = clients.at(-1)!
      yield* round("alone", newest, stdio, haproxy, origins)
      assert.strictEqual(yield* agreement(haproxy.site, shape), "")
      console.log(
        `clients: HAProxy ${binary.version}: ${
          rounds.length + inspected.length + 1
        } rounds of ${defaultNames.length} tools`
      )
    }).pipe(Effect.scoped), 240_000)
})
