import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run } from "../../src/haproxy/host/Child.ts"
import { becomes } from "../support/Poll.ts"

const node = (code: string) => [process.execPath, "-e", code]

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"))
  } catch {
    return false
  }
}

/** A shell that starts another process, writes both pids to a file and waits. */
const family = (file: string) => ["sh", "-c", `sleep 60 & echo $$ $! > ${file}.new && mv ${file}.new ${file}; wait`]

const withFolder = <A, E>(body: (dir: string) => Effect.Effect<A, E>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "child-"))),
    body,
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
  )

describe("a child process", () => {
  it.live("answers exit code and output, without a shell", () =>
    Effect.gen(function*() {
      const echo = "console.log(process.argv[1]); console.error('no'); process.exit(3)"
      const ended = yield* run([...node(echo), "$(id); *"], { timeout: 10_000 })
      assert.deepStrictEqual(ended, { code: 3, stdout: "$(id); *\n", stderr: "no\n" })
    }))

  it.live("gets none of our secrets", () =>
    Effect.gen(function*() {
      process.env["MCP_TOKEN"] = "hunter2"
      process.env["SOME_API_KEY"] = "hunter2"
      const { stdout } = yield* run(node("console.log(JSON.stringify(process.env))"), { timeout: 10_000 })
      delete process.env["MCP_TOKEN"]
      delete process.env["SOME_API_KEY"]
      assert.include(stdout, "\"PATH\"")
      assert.notInclude(stdout, "hunter2")
    }))

  it.live("keeps a part of a flood of output, and reads it all", () =>
    Effect.gen(function*() {
      const flood = "for (let i = 0; i < 64; i++) require('fs').writeSync(1, 'x'.repeat(65536))"
      const { code, stdout } = yield* run(node(flood), { timeout: 10_000 })
      assert.strictEqual(code, 0)
      assert.strictEqual(stdout.length, 256 * 1024)
    }))

  it.live("is killed with what it started when its time is over", () =>
    withFolder((dir) =>
      Effect.gen(function*() {
        const file = join(dir, "pids")
        const failed = yield* Effect.flip(run(family(file), { timeout: 300 }))
        assert.strictEqual(failed.reason, "timeout")
        const pids = readFileSync(file, "utf8").trim().split(" ").map(Number)
        assert.lengthOf(pids, 2)
        yield* Effect.promise(() => becomes("both are gone", () => !pids.some(alive)))
      })
    ))

  it.live("is killed when nobody waits any more", () =>
    withFolder((dir) =>
      Effect.gen(function*() {
        const file = join(dir, "pids")
        const fiber = yield* Effect.forkChild(run(family(file), { timeout: 60_000 }))
        yield* Effect.promise(() => becomes("it runs", () => existsSync(file)))
        yield* Fiber.interrupt(fiber)
        const pids = readFileSync(file, "utf8").trim().split(" ").map(Number)
        yield* Effect.promise(() => becomes("both are gone", () => !pids.some(alive)))
      })
    ))

  it.live("that cannot be started is told apart", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(run(["/nowhere/podman"], { timeout: 1_000 }))
      assert.strictEqual(missing.reason, "missing")
      const folder = yield* Effect.flip(run([tmpdir()], { timeout: 1_000 }))
      assert.strictEqual(folder.reason, "cannot start")
    }))
})
