/** The admin socket and its client: the same service, through a file that only its owner may open. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { Busy } from "../../src/domain/Errors.ts"
import { withAllRights } from "../../src/domain/Principal.ts"
import * as AdminSocket from "../../src/mcp/AdminSocket.ts"
import * as RemoteTools from "../../src/mcp/RemoteTools.ts"
import { failure } from "../../src/mcp/ToolResult.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { unrestricted } from "../../src/mcp/Visible.ts"
import type { CallerShape } from "../../src/program/Caller.ts"
import { noTokens } from "../../src/program/TokenIndex.ts"
import { startNode } from "../support/Process.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { captureLogs, toolsOf, until } from "./harness.ts"

const folder = temporaryFolder("admin")
const promise = <A>(make: () => Promise<A>) => Effect.promise(make)

const caller: Omit<CallerShape, "tool"> = {
  actor: { via: "cli", who: "tester", requestId: "req-7" },
  timeout: 3_000,
  principal: withAllRights("owner", "tester"),
  progress: () => Effect.void
}

/** Opens the socket over some tools; answers the scope that closes it. */
const open = Effect.fnUntraced(function*(path: string, tools: ToolRunner["Service"]) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  yield* Layer.buildWithScope(
    AdminSocket.layer(path).pipe(Layer.provide(Layer.succeed(ToolRunner, tools)), Layer.provide(captureLogs().layer)),
    scope
  )
  return scope
})

const remote = (path: string) =>
  Effect.map(Layer.build(RemoteTools.layer(path)), (services) => Context.get(services, ToolRunner))

const errorOf = (content: { readonly [name: string]: unknown }) => content["error"] as Record<string, unknown>

describe("the admin socket", () => {
  it.live("runs tools for another process: arguments, caller, progress, answer", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const seen: Array<unknown> = []
      yield* open(
        path,
        toolsOf((name, args, { actor, progress, timeout }) =>
          Effect.as(
            Effect.andThen(Effect.sync(() => void seen.push(name, args, actor, timeout)), progress(1, 2, "half")),
            { summary: "Grüße", list: [1, "x"] }
          )
        )
      )
      const tools = yield* remote(path)
      const steps: Array<unknown> = []
      const result = yield* tools.call("haproxy_wait_drain", { domain: "a.example" }, {
        ...caller,
        progress: (done, total, message) => Effect.sync(() => void steps.push([done, total, message]))
      })
      assert.deepStrictEqual(result.structuredContent, { summary: "Grüße", list: [1, "x"] })
      assert.strictEqual(result.text, JSON.stringify(result.structuredContent))
      assert.strictEqual(result.isError, false)
      assert.deepStrictEqual(steps, [[1, 2, "half"]])
      assert.deepStrictEqual(seen, ["haproxy_wait_drain", { domain: "a.example" }, caller.actor, 3_000])
      assert.isNull(yield* tools.notReady)
    }).pipe(Effect.scoped))

  it.live("passes errors on as they are, and big answers whole", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const big = "x".repeat(300_000)
      yield* open(path, {
        rules: unrestricted,
        tokens: noTokens,
        call: (name) =>
          Effect.succeed(
            name === "haproxy_health"
              ? { structuredContent: { summary: big }, text: "", isError: false, code: "OK" }
              : failure(new Busy({ message: "full", hint: "wait" }))
          ),
        admin: () => Effect.die("not asked for here"),
        watch: () => Effect.never,
        notReady: Effect.succeed("HAProxy is down"),
        stopping: Effect.void
      })
      const tools = yield* remote(path)
      const refused = yield* tools.call("haproxy_add_domain", {}, caller)
      assert.deepInclude(refused, { isError: true, code: "BUSY" })
      assert.deepInclude(errorOf(refused.structuredContent), { message: "full" })
      assert.strictEqual((yield* tools.call("haproxy_health", {}, caller)).structuredContent["summary"], big)
      assert.strictEqual(yield* tools.notReady, "HAProxy is down")
      const status = yield* RemoteTools.fetchStatus(path)
      assert.deepInclude(status, { name: "haproxy-mcp", pid: process.pid, not_ready: "HAProxy is down" })
    }).pipe(Effect.scoped))

  it.live("interrupts there what is interrupted here", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      let began = 0
      let interrupted = 0
      yield* open(
        path,
        toolsOf(() =>
          Effect.suspend(() => {
            began++
            return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
          })
        )
      )
      const tools = yield* remote(path)
      const fiber = yield* Effect.forkChild(tools.call("haproxy_health", {}, caller))
      yield* promise(() => until(() => began === 1))
      yield* Fiber.interrupt(fiber)
      yield* promise(() => until(() => interrupted === 1))
    }).pipe(Effect.scoped))

  it.live("knows what is known when nobody answers, and when the other side goes away", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const tools = yield* remote(path)
      const nobody = yield* tools.call("haproxy_add_domain", {}, caller)
      assert.deepInclude(errorOf(nobody.structuredContent), { code: "BUSY", retryable: true })
      assert.match(String(yield* tools.notReady), /does not answer/)
      assert.isNull(yield* RemoteTools.fetchStatus(path))

      let began = 0
      const opened = yield* open(path, {
        rules: unrestricted,
        tokens: noTokens,
        call: () => Effect.andThen(Effect.sync(() => void began++), Effect.never),
        admin: () => Effect.die("not asked for here"),
        watch: () => Effect.never,
        notReady: Effect.succeed(null),
        stopping: Effect.void
      })
      const write = yield* Effect.forkChild(tools.call("haproxy_add_domain", {}, caller))
      const read = yield* Effect.forkChild(tools.call("haproxy_list_domains", {}, caller))
      yield* promise(() => until(() => began === 2))
      yield* Scope.close(opened, Exit.void)
      assert.strictEqual(errorOf((yield* Fiber.join(write)).structuredContent)["code"], "OUTCOME_UNKNOWN")
      assert.strictEqual(errorOf((yield* Fiber.join(read)).structuredContent)["code"], "BUSY")
    }).pipe(Effect.scoped))

  it.live("is the owner's alone, in a folder of its own, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const outer = yield* folder
      const path = join(outer, "new", "admin.sock")
      const opened = yield* open(path, toolsOf(() => Effect.succeed({})))
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(outer, "new")).mode & 0o777, 0o700)
      assert.deepStrictEqual(readdirSync(join(outer, "new")), ["admin.sock"])
      yield* Scope.close(opened, Exit.void)
      assert.deepStrictEqual(readdirSync(join(outer, "new")), [])
    }).pipe(Effect.scoped))

  it.live("replaces what a killed process left, and never a live one", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => console.log("up"))`
      const file = join(yield* folder, "listener.cjs")
      writeFileSync(file, script)
      const process = startNode(file, [])
      yield* promise(() => process.until("up"))
      const tools = toolsOf(() => Effect.succeed({ summary: "new" }))
      const error = yield* Effect.flip(open(path, tools))
      assert.match(error.message, /in use by a running process/)
      assert.isTrue(existsSync(path))
      process.signal("SIGKILL")
      yield* promise(() => process.ended)
      assert.isTrue(existsSync(path))
      yield* open(path, tools)
      const result = yield* (yield* remote(path)).call("haproxy_health", {}, caller)
      assert.strictEqual(result.structuredContent["summary"], "new")
    }).pipe(Effect.scoped))

  it.live("removes at its end only what is its own", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "admin.sock")
      const opened = yield* open(path, toolsOf(() => Effect.succeed({})))
      const { rmSync } = yield* promise(() => import("node:fs"))
      rmSync(path)
      const other = createServer()
      yield* Effect.acquireRelease(
        promise(() => new Promise<void>((resolve) => other.listen(path, resolve))),
        () => promise(() => new Promise<void>((resolve) => other.close(() => resolve())))
      )
      yield* Scope.close(opened, Exit.void)
      assert.isTrue(existsSync(path))
    }).pipe(Effect.scoped))

  it.live("refuses folders that others may write to, and paths that are too long", () =>
    Effect.gen(function*() {
      const shared = join(yield* folder, "shared")
      mkdirSync(shared)
      chmodSync(shared, 0o777)
      const tools = toolsOf(() => Effect.succeed({}))
      const writable = yield* Effect.flip(open(join(shared, "admin.sock"), tools))
      assert.match(writable.message, /others may write to/)
      const long = yield* Effect.flip(open(join(yield* folder, "x".repeat(100), "admin.sock"), tools))
      assert.match(long.message, /too long a path/)
      chmodSync(shared, 0o1777)
      yield* open(join(shared, "admin.sock"), tools)
    }).pipe(Effect.scoped))
})
