/** `haproxy-mcp serve`, `stdio` and `status` as processes, with and without a real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { version } from "../../src/Version.ts"
import { type Running, runNode, startNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"

const limit = 60_000

type Env = Readonly<Record<string, string>>

/** A folder of its own for one test, gone with the scope. */
const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "haproxy-mcp-cli-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** Settings in a folder; the Runtime API is where nobody listens until `env` says otherwise. */
const settings = (path: string, env: Env = {}): Env => ({
  MCP_PORT: "0",
  HAPROXY_RUNTIME_MODE: "unix",
  HAPROXY_RUNTIME_SOCKET: join(path, "nobody.sock"),
  HAPROXY_MAP_FILE: join(path, "domains.map"),
  MCP_CALL_TIMEOUT: "2s",
  HAPROXY_DB_FILE: join(path, "state.db"),
  ...env
})

const forHaproxy = (path: string, { site }: RealHaproxy): Env =>
  settings(path, {
    HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
    HAPROXY_MAP_FILE: site.domainsMap,
    MCP_CALL_TIMEOUT: "30s",
    HAPROXY_POOL_COUNT: "3",
    HAPROXY_MAX_SLOTS: "2"
  })

interface Serving extends Running {
  readonly url: string
}

/** Starts `serve` in the scope and waits until it listens. */
const serve = (env: Env, args: ReadonlyArray<string> = ["serve"]) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Serving> => {
      const running = startNode(program, args, { env, limit })
      const log = await running.until("listening for MCP")
      const line = log.split("\n").find((text) => text.includes("listening for MCP"))!
      const { port } = JSON.parse(line) as { readonly port: number }
      return { ...running, url: `http://127.0.0.1:${port}` }
    }),
    (running) =>
      Effect.promise(async () => {
        running.signal("SIGKILL")
        await running.ended
      })
  )

interface ToolAnswer {
  readonly isError?: boolean
  readonly structuredContent: { readonly [key: string]: unknown }
}

const call = async (url: string, name: string, args: object): Promise<ToolAnswer> => {
  const response = await fetch(`${url}/mcp`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } })
  })
  assert.strictEqual(response.status, 200, await response.clone().text())
  const text = await response.text()
  const json = text.startsWith("{") ? text : /^data: (\{.*)$/m.exec(text)![1]!
  return (JSON.parse(json) as { readonly result: ToolAnswer }).result
}

const probe = async (url: string): Promise<number> => (await fetch(url)).status

/** Polls until `check` holds. */
const until = async (what: string, check: () => Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + 20_000; Date.now() < end;) {
    if (await check().catch(() => false)) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`not within 20 s: ${what}`)
}

describe("without HAProxy", () => {
  it.live(
    "serve is degraded, not down: it answers reads, refuses writes and ends with 0",
    () =>
      Effect.gen(function*() {
        const path = yield* folder
        const env = settings(path)
        const server = yield* serve(env)
        yield* Effect.promise(async () => {
          assert.strictEqual(await probe(`${server.url}/healthz`), 200)
          assert.strictEqual(await probe(`${server.url}/readyz`), 503)
          const list = await call(server.url, "haproxy_list_domains", {})
          assert.deepInclude(list.structuredContent, { total: 0, domains: [] })
          const health = await call(server.url, "haproxy_health", {})
          assert.strictEqual(health.structuredContent["status"], "unhealthy")

          const started = performance.now()
          const add = await call(server.url, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
          assert.strictEqual(add.isError, true)
          assert.deepInclude(add.structuredContent["error"], { code: "HAPROXY_UNREACHABLE", retryable: true })
          assert.isBelow(performance.now() - started, 15_000)

          server.signal("SIGTERM")
          const { code, stderr } = await server.ended
          assert.strictEqual(code, 0, stderr)
          // Every line of the log is JSON, and nothing is left behind but the database.
          for (const line of stderr.trim().split("\n")) assert.property(JSON.parse(line), "level")
          assert.deepStrictEqual((await readdir(path)).filter((name) => name.endsWith(".sock")), [])
        })
      }).pipe(Effect.scoped),
    limit
  )

  it.live("a second serve on the database ends at once and names the first", () =>
    Effect.gen(function*() {
      const env = settings(yield* folder)
      const server = yield* serve(env)
      const second = yield* Effect.promise(() => runNode(program, ["serve"], { env, limit }))
      assert.strictEqual(second.code, 1)
      assert.include(second.stderr, `held by process ${server.pid}`)
      assert.notInclude(second.stderr, "    at ")
    }).pipe(Effect.scoped), limit)

  it.live("status says that nobody serves, from the database as it lies there", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const env = settings(path)
      const empty = yield* Effect.promise(() => runNode(program, ["status"], { env, limit }))
      assert.strictEqual(empty.code, 1)
      assert.include(empty.stdout, "Nobody serves")
      assert.include(empty.stdout, "there is none yet")
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(path)), [])

      const server = yield* serve(env)
      yield* Effect.promise(async () => {
        server.signal("SIGTERM")
        await server.ended
        const before = await stat(join(path, "state.db"))
        const { code, stdout } = await runNode(program, ["status", "--json"], { env, limit })
        assert.strictEqual(code, 1)
        const health = JSON.parse(stdout) as { readonly components: Record<string, object> }
        assert.deepInclude(health.components["desired_state"], { status: "ok", revision: 0, pools_declared: 100 })
        assert.strictEqual((await stat(join(path, "state.db"))).mtimeMs, before.mtimeMs)
      })
    }).pipe(Effect.scoped), limit)
})

describe("what refuses the start", () => {
  it.live("is said in one message, with exit code 2", () =>
    Effect.gen(function*() {
      const env = settings(yield* folder, { MCP_PORT: "x", HAPROXY_MAXSLOTS: "3" })
      const { code, stderr } = yield* Effect.promise(() =>
        runNode(program, ["serve", "--log-level", "LOUD"], { env, limit })
      )
      assert.strictEqual(code, 2)
      assert.include(stderr, "MCP_PORT \"x\" must be")
      assert.include(stderr, "HAPROXY_MAXSLOTS is not a setting. Did you mean HAPROXY_MAX_SLOTS?")
      assert.include(stderr, "--log-level \"LOUD\" must be one of")
    }).pipe(Effect.scoped), limit)

  it.live("is a public address without authentication", () =>
    Effect.gen(function*() {
      const env = settings(yield* folder, { MCP_HOST: "0.0.0.0" })
      const { code, stderr } = yield* Effect.promise(() => runNode(program, ["serve"], { env, limit }))
      assert.strictEqual(code, 2)
      assert.include(stderr, "MCP_HOST=0.0.0.0 can be reached by others and there is no authentication")
    }).pipe(Effect.scoped), limit)

  it.live("never shows a token", () =>
    Effect.gen(function*() {
      const env = settings(yield* folder, { MCP_TOKEN: "hunter2hunter2", MCP_PORT: "x" })
      const refused = yield* Effect.promise(() => runNode(program, ["serve"], { env, limit }))
      assert.notInclude(refused.stderr + refused.stdout, "hunter2")
      const server = yield* serve({ ...env, MCP_PORT: "0", LOG_LEVEL: "DEBUG" })
      yield* Effect.promise(async () => {
        assert.strictEqual((await fetch(`${server.url}/mcp`, { method: "POST" })).status, 401)
        server.signal("SIGTERM")
        const { code, stderr, stdout } = await server.ended
        assert.strictEqual(code, 0)
        assert.notInclude(stderr + stdout, "hunter2")
      })
    }).pipe(Effect.scoped), limit)
})

describe("with HAProxy", () => {
  it.live("serve becomes ready, adds a domain, and status and stdio work through it", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const haproxy = yield* startHaproxy({ pools: 3, slots: 2 })
      const env = forHaproxy(path, haproxy)
      const server = yield* serve(env)
      yield* Effect.promise(async () => {
        await until("ready", async () => await probe(`${server.url}/readyz`) === 200)
        const added = await call(server.url, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
        assert.deepInclude(added.structuredContent, { changed: true, backend: "pool_1" })
        assert.match(await readFile(haproxy.site.domainsMap, "utf8"), /^shop\.example\.com pool_1$/m)

        const { code, stderr, stdout } = await runNode(program, ["status"], { env, limit })
        assert.strictEqual(code, 0, stdout + stderr)
        assert.match(stdout, /^HAProxy +ok +3\.\d/m)
        assert.match(stdout, /^Domains +ok +1,/m)
        assert.notInclude(stdout, "\u001b")

        const stdio = startNode(program, ["stdio"], { env, limit })
        stdio.write(`${
          JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method: "initialize",
            params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } }
          })
        }\n`)
        await stdio.until("\"serverInfo\"")
        stdio.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`)
        stdio.write(`${
          JSON.stringify({
            jsonrpc: "2.0",
            id: 2,
            method: "tools/call",
            params: { name: "haproxy_list_domains", arguments: {} }
          })
        }\n`)
        await stdio.until("shop.example.com")
        stdio.closeInput()
        const ended = await stdio.ended
        assert.strictEqual(ended.code, 0, ended.stderr)
        for (const line of ended.stdout.trim().split("\n")) assert.strictEqual(JSON.parse(line).jsonrpc, "2.0")
      })
    }).pipe(Effect.scoped), limit)

  it.live("SIGTERM during a write lets it end, answers it, and exits with 0", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ pools: 3, slots: 2 })
      const server = yield* serve(forHaproxy(yield* folder, haproxy))
      yield* Effect.promise(() => until("ready", async () => await probe(`${server.url}/readyz`) === 200))
      yield* haproxy.pause
      const answer = call(server.url, "haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
      // The write has begun once the database holds it.
      yield* Effect.promise(() =>
        until("the write has begun", async () => {
          const { structuredContent } = await call(server.url, "haproxy_list_domains", {})
          return structuredContent["total"] === 1
        })
      )
      server.signal("SIGTERM")
      yield* haproxy.resume
      yield* Effect.promise(async () => {
        assert.deepInclude((await answer).structuredContent, { changed: true, backend: "pool_1" })
        const { code, stderr } = await server.ended
        assert.strictEqual(code, 0, stderr)
        assert.match(await readFile(haproxy.site.domainsMap, "utf8"), /^shop\.example\.com pool_1$/m)
      })
    }).pipe(Effect.scoped), limit)

  it.live("two stdio processes share one database when nobody serves", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ pools: 3, slots: 2 })
      const env = forHaproxy(yield* folder, haproxy)
      const start = () => {
        const running = startNode(program, ["stdio"], { env, limit })
        running.write(`${
          JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method: "initialize",
            params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } }
          })
        }\n`)
        return running
      }
      const both = [start(), start()]
      yield* Effect.promise(async () => {
        const logs = await Promise.all(both.map((one) => one.until("\"serverInfo\"")))
        assert.lengthOf(logs.filter((log) => log.includes(version)), 2)
        for (const one of both) one.closeInput()
        const ended = await Promise.all(both.map((one) => one.ended))
        assert.deepStrictEqual(ended.map((end) => end.code), [0, 0])
        assert.lengthOf(ended.filter((end) => end.stderr.includes("working through the process that serves")), 1)
      })
    }).pipe(Effect.scoped), limit)
})
