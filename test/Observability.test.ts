import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { spawn } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { HaproxyUnreachable } from "../src/domain/Errors.ts"
import { formatLine } from "../src/Observability.ts"

const logged = (effect: Effect.Effect<unknown>): ReadonlyArray<Record<string, unknown>> => {
  const lines: Array<string> = []
  const capture = Logger.map(formatLine, (line) => {
    lines.push(line)
  })
  Effect.runSync(Effect.provide(effect, Logger.layer([capture])))
  for (const line of lines) assert.notInclude(line, "\n")
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe("a log line", () => {
  it("has time, level, msg and the fields", () => {
    const [line] = logged(
      Effect.logWarning("HAProxy is", "down", { attempt: 3 }).pipe(Effect.annotateLogs({ request_id: "r1" }))
    )
    assert.deepInclude(line, { level: "WARNING", msg: "HAProxy is down", request_id: "r1", attempt: 3 })
    assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  })

  it("keeps its own three whatever the fields are called", () => {
    const [line] = logged(Effect.logError("real", { msg: "forged", level: "INFO", time: "never" }))
    assert.deepInclude(line, { level: "ERROR", msg: "real" })
    assert.notStrictEqual(line?.["time"], "never")
  })

  it("holds what strangers write on one line, as data", () => {
    const [line] = logged(Effect.logInfo("host", { host: "a\n{\"level\":\"ERROR\"}\u001b[31m" }))
    assert.strictEqual(line?.["host"], "a\n{\"level\":\"ERROR\"}\u001b[31m")
  })

  it("shows errors and causes", () => {
    const error = new HaproxyUnreachable({ message: "no answer", hint: "start it" })
    const [line] = logged(Effect.logError("start", error, Cause.die(new Error("broken"))))
    assert.include(String(line?.["msg"]), "no answer")
    assert.include(String(line?.["cause"]), "broken")
  })

  it("never shows a secret", () => {
    const key = "-----BEGIN EC PRIVATE KEY-----\nhunter2\nhunter2\n-----END EC PRIVATE KEY-----"
    const lines = logged(Effect.all([
      Effect.logInfo(Redacted.make("hunter2"), {
        token: Redacted.make("hunter2"),
        deep: { er: Redacted.make("hunter2") }
      }),
      Effect.logInfo("Authorization: Bearer hunter2", { headers: ["bearer hunter2"] }),
      Effect.logInfo("file", { text: `${key} after`, cut: key.slice(0, 40) }),
      Effect.logInfo("env MCP_TOKEN=hunter2 and 'MCP_TOKEN': 'hunter2'"),
      Effect.logInfo("spread\tbearer\nhunter2", { text: "MCP_TOKEN=\"hunter2\"" }),
      Effect.logError("failed", Cause.die(new Error("Bearer hunter2")))
    ]))
    assert.lengthOf(lines, 6)
    assert.notInclude(JSON.stringify(lines), "hunter2")
    assert.include(JSON.stringify(lines), " after")
  })
})

describe("the log", () => {
  const observability = new URL("../src/Observability.ts", import.meta.url).href
  /** What a process leaves on standard error that logs and then ends in some way. */
  const stderrOf = async (ending: string) => {
    const program = `
      import * as Effect from "effect/Effect"
      import { logs } from ${JSON.stringify(observability)}
      const log = (effect) => Effect.runSync(Effect.provide(effect, logs("INFO")))
      log(Effect.all([Effect.logInfo("one"), Effect.logInfo("two")]))
      ${ending}`
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      stdio: ["ignore", "ignore", "pipe"]
    })
    let text = ""
    child.stderr.setEncoding("utf8").on("data", (part: string) => text += part)
    await new Promise((resolve) => child.once("close", resolve))
    return [...text.matchAll(/"msg":"(\w+)"/g)].map(([, word]) => word)
  }

  it("loses no line, however the process ends", async () => {
    assert.deepStrictEqual(await stderrOf(""), ["one", "two"])
    assert.deepStrictEqual(await stderrOf("process.exit(3)"), ["one", "two"])
    assert.deepStrictEqual(await stderrOf("throw new Error('crash')"), ["one", "two"])
  })

  it("has every warning out before anything else happens, and in its order", async () => {
    const ending = "log(Effect.logWarning('three')); log(Effect.logInfo('four')); process.kill(process.pid, 'SIGKILL')"
    assert.deepStrictEqual(await stderrOf(ending), ["one", "two", "three"])
  })
})

describe("traces", () => {
  it("leave by OTLP when a collector is named", async () => {
    const bodies: Array<string> = []
    const collector = createServer((request, response) => {
      let body = `${request.url} `
      request.on("data", (chunk: Buffer) => body += chunk.toString("utf8"))
      request.on("end", () => {
        bodies.push(body)
        response.end("{}")
      })
    })
    await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve))
    const { port } = collector.address() as AddressInfo
    const { layer } = await import("../src/Telemetry.ts")
    const env = ConfigProvider.layer(ConfigProvider.fromEnvRecord({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`
    }))
    const key = "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----"
    const leaky = Effect.fail(new Error(`Authorization: Bearer hunter2, ${key}`)).pipe(
      Effect.withSpan("Leaky.span", { attributes: { env: "MCP_TOKEN=hunter2", key } }),
      Effect.ignore
    )
    await Effect.runPromise(
      Effect.andThen(Effect.withSpan(Effect.void, "Test.span"), leaky).pipe(
        Effect.provide(layer.pipe(Layer.provide(env)))
      )
    )
    collector.close()
    collector.closeAllConnections()
    assert.isTrue(
      bodies.some((body) => body.startsWith("/v1/traces ") && body.includes("Test.span")),
      bodies.join("\n")
    )
    assert.include(bodies.join("\n"), "Leaky.span")
    assert.notInclude(bodies.join("\n"), "hunter2")
  })
})
