import { assert, describe, it } from "@effect/vitest"
import { join } from "node:path"
import { runNode, startNode } from "../support/Process.ts"

const fixture = join(import.meta.dirname, "fixtures", "ends.ts")

describe.concurrent("the exit code", () => {
  it("is 0 when it is done, with nothing said", async () => {
    const { code, stderr } = await runNode(fixture, ["done"])
    assert.deepStrictEqual([code, stderr], [0, ""])
  })

  it("is 1 for a typed failure, with its message and hint and no stack", async () => {
    const { code, stderr, stdout } = await runNode(fixture, ["typed"])
    assert.strictEqual(code, 1)
    assert.strictEqual(stderr, "haproxy-mcp: The disk is full\nhaproxy-mcp: Make room.\n")
    assert.strictEqual(stdout, "")
  })

  it("is 2 for settings, 3 for what a command says itself", async () => {
    assert.strictEqual((await runNode(fixture, ["settings"])).code, 2)
    const { code, stderr } = await runNode(fixture, ["degraded"])
    assert.deepStrictEqual([code, stderr], [3, ""])
  })

  it("is 70 for a defect, with its details in the log", async () => {
    for (const way of ["defect", "untyped"]) {
      const { code, stderr } = await runNode(fixture, [way])
      assert.strictEqual(code, 70, way)
      assert.match(stderr.split("\n")[0]!, /^\{"level":"ERROR".*(?:a bug|just a text)/)
    }
  })
})

describe.concurrent("a signal", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("%s ends a server with 0 after what was begun", async (signal) => {
    const running = startNode(fixture, ["serving"])
    await running.until("ready")
    running.signal(signal)
    const { code, stdout } = await running.ended
    assert.deepStrictEqual([code, stdout], [0, "ready\ndrained\n"])
  })

  it("ends any other command with 128 and its number", async () => {
    const running = startNode(fixture, ["working"])
    await running.until("ready")
    running.signal("SIGINT")
    assert.strictEqual((await running.ended).code, 130)
  })

  it("that comes again ends the process at once", async () => {
    const running = startNode(fixture, ["slow"])
    await running.until("ready")
    running.signal("SIGTERM")
    const again = setInterval(() => running.signal("SIGTERM"), 50)
    const { code, stdout } = await running.ended
    clearInterval(again)
    assert.deepStrictEqual([code, stdout], [143, "ready\n"])
  })

  it("ends the process within ten seconds whatever hangs, with 1 and a word about it", async () => {
    const running = startNode(fixture, ["slow"])
    await running.until("ready")
    const begun = performance.now()
    running.signal("SIGTERM")
    const { code, stderr } = await running.ended
    assert.strictEqual(code, 1)
    assert.isBelow(performance.now() - begun, 10_000)
    assert.include(stderr, "not done")
  })

  it("during which something breaks is a defect", async () => {
    const running = startNode(fixture, ["broken"])
    await running.until("ready")
    running.signal("SIGTERM")
    const { code, stderr } = await running.ended
    assert.strictEqual(code, 70)
    assert.include(stderr, "a bug at the end")
  })
})
