/** One tool call, whatever happens in its program: result, log line, numbers. Faults are injected below the programs. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as TestClock from "effect/testing/TestClock"
import { Acme } from "../../src/acme/Acme.ts"
import { withAllRights } from "../../src/domain/Principal.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { HostControl } from "../../src/haproxy/HostControl.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import type { ToolResult } from "../../src/mcp/ToolResult.ts"
import { Certificates } from "../../src/program/certificates/Certificates.ts"
import { Limits } from "../../src/program/Limits.ts"
import { Operations } from "../../src/program/Operations.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Tokens } from "../../src/program/Tokens.ts"
import { Store } from "../../src/store/Store.ts"
import { captureLogs } from "./harness.ts"

const secret = "hunter2-in-a-message"

/** A service of which every part does the same. */
const every = <S>(part: unknown): S => new Proxy({}, { get: () => part }) as S

/** The same of a store, which takes note of refused calls. */
const storeOf = (part: unknown): Store["Service"] =>
  new Proxy({}, { get: (_, name) => name === "noted" ? () => Effect.void : part }) as Store["Service"]

/** Programs find this below them. */
const below = (part: unknown): Context.Context<ProgramServices> =>
  Context.make(Store, storeOf(part)).pipe(
    Context.add(RuntimeApi, every(part)),
    Context.add(MapFiles, every(part)),
    Context.add(CertificateFiles, every(part)),
    Context.add(Acme, every(part)),
    Context.add(Certificates, every(part)),
    Context.add(HostControl, every(part)),
    Context.add(PoolAllocator, every(part)),
    Context.add(Operations, every(part)),
    Context.add(Tokens, every(part)),
    Context.add(Limits, {
      pools: { pools: 10, slots: 5 },
      suffixes: publicSuffixes([]),
      listeners: [],
      localAddresses: new Set<string>(),
      haproxyIsHere: true
    })
  )

const caller = {
  actor: { via: "test", who: "tester", requestId: "req-1" },
  principal: withAllRights("program", "tester"),
  timeout: 10_000,
  progress: () => Effect.void
}

const call = (name: string, args: unknown, part: unknown) =>
  Effect.provideContext(callTool(name, args, caller), below(part))

const errorOf = (result: ToolResult) => (result.structuredContent as { readonly error: Record<string, unknown> }).error

const throws = () => {
  throw new Error(secret)
}

describe("a tool call", () => {
  it.effect("answers INTERNAL for a defect, with the request id and no text of it", () => {
    const logs = captureLogs()
    return Effect.gen(function*() {
      for (const part of [throws, () => Effect.die(new Error(secret))]) {
        const result = yield* call("haproxy_list_domains", {}, part)
        assert.deepInclude(errorOf(result), { code: "INTERNAL", retryable: false })
        assert.include(result.text, "req-1")
        assert.notInclude(result.text, secret)
        assert.notInclude(result.text, ".ts")
        assert.strictEqual(result.isError, true)
      }
      const [defect, line] = logs.lines
      assert.deepInclude(defect, { level: "ERROR", msg: "defect in a tool", request_id: "req-1" })
      assert.include(String(defect?.["cause"]), secret)
      assert.deepInclude(line, { level: "INFO", msg: "tool call", request_id: "req-1", code: "INTERNAL" })
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("leaves one line with what it was about, never its arguments as a whole", () => {
    const logs = captureLogs()
    return Effect.gen(function*() {
      yield* call("haproxy_add_server", { domain: "a\u001b.example", slot: 3, ip: "10.0.0.1", token: secret }, throws)
      assert.strictEqual(logs.lines.length, 1)
      assert.deepInclude(logs.lines[0], {
        tool: "haproxy_add_server",
        request_id: "req-1",
        via: "test",
        who: "tester",
        code: "INVALID_INPUT",
        domain: "a?.example",
        slot: 3
      })
      assert.isNumber(logs.lines[0]?.["ms"])
      assert.notInclude(JSON.stringify(logs.lines), secret)
      assert.notInclude(JSON.stringify(logs.lines), "10.0.0.1")
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("counts calls by tool and code", () =>
    Effect.gen(function*() {
      yield* call("haproxy_list_servers", {}, throws)
      yield* call("haproxy_list_servers", { domain: "bad name" }, throws)
      yield* call("haproxy_list_servers", { domain: "a.example" }, throws)
      const text = yield* PrometheusMetrics.format()
      assert.match(text, /^haproxy_mcp_tool_calls_total\{tool="haproxy_list_servers",code="INVALID_INPUT"\} 2$/m)
      assert.match(text, /^haproxy_mcp_tool_calls_total\{tool="haproxy_list_servers",code="INTERNAL"\} 1$/m)
      assert.match(text, /^haproxy_mcp_tool_call_seconds_count\{tool="haproxy_list_servers"\} 3$/m)
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Effect.provide(captureLogs().layer)))

  it.effect("is cancelled with its caller, and says so in the log", () => {
    const logs = captureLogs()
    return Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call("haproxy_list_domains", {}, () => Effect.never))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Exit.hasInterrupts(exit))
      assert.deepInclude(logs.lines.at(-1), { msg: "tool call", code: "CANCELLED" })
    }).pipe(Effect.provide(logs.layer))
  })

  it.effect("answers CANCELLED when only its program was interrupted", () =>
    Effect.gen(function*() {
      const result = yield* call("haproxy_list_domains", {}, () => Effect.interrupt)
      assert.deepInclude(errorOf(result), { code: "CANCELLED", retryable: true })
    }).pipe(Effect.provide(captureLogs().layer)))

  const late = (name: string, args: unknown, after: number) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(call(name, args, () => Effect.never))
      yield* Effect.yieldNow
      yield* TestClock.adjust(after - 1)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      return errorOf(yield* Fiber.join(fiber))
    }).pipe(Effect.provide(captureLogs().layer))

  it.effect("ends by itself although its program does not", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* late("haproxy_list_domains", {}, 12_000))["code"], "TIMEOUT")
      // Of a write it is not known.
      const write = yield* late("haproxy_remove_domain", { domain: "a.example" }, 12_000)
      assert.deepInclude(write, { code: "OUTCOME_UNKNOWN", retryable: true })
      const waiting = yield* late("haproxy_operation", { operation_id: "op_1", wait: 45 }, 47_000)
      assert.strictEqual(waiting["code"], "TIMEOUT")
    }))

  it.effect("names the nearest tools for one that is not", () =>
    Effect.gen(function*() {
      const error = errorOf(yield* call("haproxy_add_domian", {}, throws))
      assert.deepInclude(error, { code: "NOT_FOUND" })
      assert.include(error["valid_values"] as ReadonlyArray<string>, "haproxy_add_domain")
    }))
})
