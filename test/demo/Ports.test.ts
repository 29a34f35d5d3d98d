import { createSocket } from "node:dgram"
import { describe, expect, it } from "vitest"
import { DemoFailure } from "../../scripts/demo/DemoFailure.ts"
import { commandName, requireFreePorts } from "../../scripts/demo/Ports.ts"
import { freeOffset, listen } from "./support/Offset.ts"

describe("the demo's ports", () => {
  it("are moved together", async () => {
    const offset = await freeOffset()
    expect(await requireFreePorts(offset)).toEqual({
      mcp: 8000 + offset,
      http: 8080 + offset,
      https: 8443 + offset,
      runtime: 9999 + offset
    })
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

  it("are taken too when only UDP is, which HTTP/3 needs", async () => {
    const offset = await freeOffset()
    const socket = createSocket("udp4")
    await new Promise<void>((resolve) => socket.bind(8443 + offset, "127.0.0.1", resolve))
    try {
      await expect(requireFreePorts(offset)).rejects.toThrow(
        `Port ${8443 + offset} (HAProxy's HTTPS frontend) is taken`
      )
    } finally {
      await new Promise<void>((resolve) => socket.close(() => resolve()))
    }
  })

  it("are named with the program that has them, without its arguments", () => {
    expect(commandName(["/usr/sbin/nginx", "-g", "daemon off;", ""])).toBe("nginx")
    expect(commandName(["/usr/bin/node", "src/main.ts", "serve", "--token=secret"])).toBe("node src/main.ts")
    expect(commandName(["/lib/ld-linux.so.2", "--argv0", "/cache/bin/haproxy", "-f", "x"])).toBe("haproxy")
    expect(commandName([""])).toBe("a process")
  })
})
