import { createServer } from "node:net"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { DemoFailure } from "../../scripts/demo/DemoFailure.ts"
import { commandName, requireFreePorts } from "../../scripts/demo/Ports.ts"
import { runNode } from "../support/Process.ts"

const listen = (port: number) =>
  new Promise<() => Promise<void>>((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => resolve(() => new Promise((done) => server.close(() => done()))))
  })

/** An offset at which the demo's three ports are free now, far from its usual ones. */
const freeOffset = async (): Promise<number> => {
  for (let attempt = 0; attempt < 50; attempt++) {
    const offset = 10_000 + Math.floor(Math.random() * 10_000)
    const free = await requireFreePorts(offset).then(() => true, () => false)
    if (free) return offset
  }
  throw new Error("no free offset")
}

describe("the demo's ports", () => {
  it("are moved together", async () => {
    const offset = await freeOffset()
    expect(await requireFreePorts(offset)).toEqual({ mcp: 8000 + offset, http: 8080 + offset, runtime: 9999 + offset })
  })

  it("that are taken are named, with who has them and a flag that works", async () => {
    const offset = await freeOffset()
    const close = await listen(8080 + offset)
    try {
      const failure = await requireFreePorts(offset).then(
        () => expect.fail("they were free"),
        (cause: unknown) => cause
      )
      expect(failure).toBeInstanceOf(DemoFailure)
      const { hint, message } = failure as DemoFailure
      expect(message).toContain(`Port ${8080 + offset} (HAProxy's HTTP frontend) is taken`)
      if (process.platform === "linux") expect(message).toContain(`(pid ${process.pid})`)
      const next = Number(/--port-offset (\d+)/.exec(hint)?.[1])
      await expect(requireFreePorts(next)).resolves.toMatchObject({ mcp: 8000 + next })
    } finally {
      await close()
    }
  })

  it("end the demo before anything is started", async () => {
    const offset = await freeOffset()
    const close = await listen(9999 + offset)
    try {
      const demo = join(import.meta.dirname, "../../scripts/demo.ts")
      const ended = await runNode(demo, ["--once", "--port-offset", String(offset)])
      expect(ended.code).toBe(1)
      expect(ended.stderr).toContain(`Port ${9999 + offset} (HAProxy's Runtime API) is taken`)
      expect(ended.stderr).toMatch(/npm run demo -- --port-offset \d+/)
      expect(ended.stdout).not.toContain("✓")
      expect(ended.stderr).not.toContain("    at ")
    } finally {
      await close()
    }
  })

  it("are named with the program that has them, without its arguments", () => {
    expect(commandName(["/usr/sbin/nginx", "-g", "daemon off;", ""])).toBe("nginx")
    expect(commandName(["/usr/bin/node", "src/main.ts", "serve", "--token=secret"])).toBe("node src/main.ts")
    expect(commandName(["/lib/ld-linux.so.2", "--argv0", "/cache/bin/haproxy", "-f", "x"])).toBe("haproxy")
    expect(commandName([""])).toBe("a process")
  })
})
