/** The demo itself, as a process: it proves every step, says clearly why it cannot start, and leaves nothing behind. */
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { runNode, startNode } from "../support/Process.ts"
import { freeOffset, listen } from "./support/Offset.ts"

const demo = join(import.meta.dirname, "../../scripts/demo.ts")
/** Above the demo's own limit. */
const limit = 150_000
const cache = process.env["HAPROXY_MCP_CACHE"]
const options = { limit, env: cache === undefined ? {} : { HAPROXY_MCP_CACHE: cache } }

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const controlPlanePid = (output: string): number =>
  Number(/The control plane is ready.*\(pid (\d+)\)/.exec(output)?.[1])

// One after the other: the demo has one work folder.
describe("the demo", () => {
  it("ends before anything is started when a port is taken, and names the way out", async () => {
    const offset = await freeOffset()
    const close = await listen(9999 + offset)
    try {
      const ended = await runNode(demo, ["--once", "--port-offset", String(offset)], options)
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain(`Port ${9999 + offset} (HAProxy's Runtime API) is taken`)
      expect(ended.stderr).toMatch(/npm run demo -- --port-offset \d+/)
      expect(ended.stdout).not.toContain("✓")
      expect(ended.stderr).not.toContain("    at ")
    } finally {
      await close()
    }
  })

  it("proves every step and is gone", { timeout: limit }, async () => {
    const ended = await runNode(demo, ["--once", "--port-offset", String(await freeOffset())], options)
    expect(ended.stderr).toBe("")
    expect(ended.stdout).toMatch(/\n12 passed, 0 failed\n$/)
    expect(ended.stdout).toMatch(/Swapped A for B under load: [\d,]+ requests, 0 failed/)
    expect(ended.code).toBe(0)
    const pid = controlPlanePid(ended.stdout)
    expect(pid).toBeGreaterThan(0)
    expect(isAlive(pid)).toBe(false)
  })

  it("that is stopped half-way fails, and is gone too", { timeout: limit }, async () => {
    const running = startNode(demo, ["--once", "--port-offset", String(await freeOffset())], options)
    const output = await running.until("The control plane is ready")
    running.signal("SIGTERM")
    const ended = await running.ended
    expect(ended.code).toBe(128 + 15)
    expect(ended.stdout).toMatch(/\d passed, 1 failed, \d not run\n$/)
    expect(isAlive(controlPlanePid(output))).toBe(false)
  })
})
