/**
 * The program itself over standard input and output, with the official clients and a real HAProxy: the first
 * process owns the database, a second one works through its admin socket.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { defaultNames } from "../../src/mcp/Catalogue.ts"
import { cleanEnv, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { newestLine, type Site, startHaproxy } from "../support/RealHaproxy.ts"
import { callMessage, clients, connected } from "./harness.ts"

const promise = <A>(make: () => Promise<A>) => Effect.promise(make)

const settings = (site: Site): Record<string, string> => ({
  HAPROXY_RUNTIME_MODE: "unix",
  HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
  HAPROXY_MAP_FILE: site.domainsMap,
  HAPROXY_DB_FILE: join(site.dir, "mcp.db"),
  HAPROXY_POOL_COUNT: "4",
  HAPROXY_MAX_SLOTS: "3",
  LOG_LEVEL: "INFO"
})

const haproxy = startHaproxy({ binary: newestLine, pools: 4, slots: 3 })

const initialize = {
  jsonrpc: "2.0",
  id: "first",
  method: "initialize",
  params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "raw", version: "1" } }
}

const line = (message: unknown) => `${JSON.stringify(message)}\n`

const linesOf = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text.split("\n").filter((part) => part !== "").map((part) => JSON.parse(part) as Record<string, unknown>)

describe("stdio", () => {
  clients.forEach(([name, connect], index) =>
    it.live(`${name} operates HAProxy`, () =>
      Effect.gen(function*() {
        const { command, site } = yield* haproxy
        const target = { command: process.execPath, args: [program, "stdio"], env: cleanEnv(settings(site)) }
        const client = yield* connected(connect, target)
        if (index === 2) assert.strictEqual(client.version, "2026-07-28")
        const tools = yield* promise(() => client.listTools())
        assert.deepStrictEqual(tools.map((tool) => tool.name), [...defaultNames])
        const added = yield* promise(() => client.call("haproxy_add_domain", { domain: "a.example", ip: "10.0.0.1" }))
        assert.isUndefined(added.isError, JSON.stringify(added.content))
        assert.match(yield* command(`show map ${site.runtimeDomainsMap}`), /a\.example pool_1/)
        assert.isTrue(existsSync(join(site.dir, "mcp.sock")))

        // A second process offers the same tools, through the first.
        const second = yield* connected(connect, target)
        const listed = yield* promise(() => second.call("haproxy_list_domains", {}))
        assert.deepInclude(listed.structuredContent, { total: 1 })
        const wrong = yield* promise(() => second.call("haproxy_add_domain", { domian: "x" }))
        assert.strictEqual(wrong.isError, true)
        assert.deepInclude((wrong.structuredContent as { error: object }).error, {
          code: "INVALID_INPUT",
          field: "domian"
        })
        const server = yield* promise(() => second.call("haproxy_add_server", { domain: "a.example", ip: "10.0.0.2" }))
        assert.deepInclude(server.structuredContent, { changed: true, slot: 2 })
        const followed = yield* promise(() =>
          client.call("haproxy_operation", {
            operation_id: (server.structuredContent as { change_id: string }).change_id
          })
        )
        assert.deepInclude(followed.structuredContent, { status: "applied", tool: "haproxy_add_server" })
      }).pipe(Effect.scoped), 60_000)
  )

  it.live(
    "answers what was asked before the input ended, writes nothing but protocol, and ends with 0",
    () =>
      Effect.gen(function*() {
        const { site } = yield* haproxy
        const process = startNode(program, ["stdio"], { env: settings(site) })
        process.write(line(initialize))
        process.write(line({ jsonrpc: "2.0", method: "notifications/initialized" }))
        process.write(line(callMessage("haproxy_add_domain", { domain: "b.example", ip: "10.0.0.1" }, 7)))
        process.write(line(callMessage("haproxy_health", {}, 8)))
        process.closeInput()
        const { code, stderr, stdout } = yield* promise(() => process.ended)
        const answers = linesOf(stdout)
        assert.sameMembers(answers.map((answer) => answer["id"]), ["first", 7, 8], stdout)
        const added = answers.find((answer) => answer["id"] === 7)?.["result"] as { structuredContent: object }
        assert.deepInclude(added.structuredContent, { domain: "b.example", changed: true })
        assert.strictEqual(code, 0, stderr)
        for (const logged of linesOf(stderr)) assert.isString(logged["msg"])
        assert.isFalse(existsSync(join(site.dir, "mcp.sock")))
      }).pipe(Effect.scoped),
    60_000
  )

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(`ends cleanly at ${signal}`, () =>
      Effect.gen(function*() {
        const { site } = yield* haproxy
        const process = startNode(program, ["stdio"], { env: settings(site) })
        process.write(line(initialize))
        yield* promise(() => process.until("protocolVersion"))
        process.write(line(callMessage("haproxy_operation", { operation_id: "chg_none", wait: 0 }, 2)))
        yield* promise(() => process.until("NOT_FOUND"))
        process.signal(signal)
        const { code, stderr, stdout } = yield* promise(() => process.ended)
        assert.strictEqual(code, 0, stderr)
        linesOf(stdout)
        assert.isFalse(existsSync(join(site.dir, "mcp.sock")))
      }).pipe(Effect.scoped), 60_000)
  }

  it.live("survives what is no protocol", () =>
    Effect.gen(function*() {
      const { site } = yield* haproxy
      const process = startNode(program, ["stdio"], { env: settings(site) })
      process.write("this is no JSON\n{\"half\":\n[]\n\u0000\n")
      process.write(line(initialize))
      process.write(line(callMessage("haproxy_list_domains", {}, 2)))
      process.closeInput()
      const { code, stdout } = yield* promise(() => process.ended)
      assert.strictEqual(code, 0)
      assert.include(linesOf(stdout).map((answer) => answer["id"]), 2)
    }).pipe(Effect.scoped), 60_000)
})
