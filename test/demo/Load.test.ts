/** The load counts what happens: good answers by origin, failures in words, connections. */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, it } from "vitest"
import { startLoad } from "../../scripts/demo/Load.ts"
import { lastLine, longPath, type Origin, startOrigin } from "../../scripts/demo/Origins.ts"
import { visit } from "../../scripts/demo/Web.ts"

const open: Array<Origin> = []
const origin = async (name: string) => {
  const one = await startOrigin(name)
  open.push(one)
  return one
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

describe("the load", () => {
  it("keeps one connection per visitor and counts every answer", async () => {
    const a = await origin("A")
    const load = startLoad({ port: a.port, site: "shop.example.com", visitors: 3 })
    await load.more(50, "A")
    const tally = await load.stop()
    expect(tally).toMatchObject({ failed: 0, failures: [], connections: 3, byOrigin: { A: tally.requests } })
    expect(a.requests()).toBe(tally.requests)
  })

  it("sees failed requests, and fails who waits for good ones", async () => {
    let asked = 0
    const server = createServer((_, response) => {
      response.statusCode = ++asked > 5 ? 503 : 200
      response.setHeader("x-origin", "A")
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const load = startLoad({ port: (server.address() as AddressInfo).port, site: "x", visitors: 1 })
    await expect(load.more(10, "A")).rejects.toThrow("status 503")
    const tally = await load.stop()
    expect(tally.byOrigin).toEqual({ A: 5 })
    expect(tally.failed).toBe(tally.requests - 5)
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it("counts connections that were cut", async () => {
    const server = createServer((_, response) => {
      response.setHeader("x-origin", "A")
      response.setHeader("connection", "close")
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const load = startLoad({ port: (server.address() as AddressInfo).port, site: "x", visitors: 1 })
    await load.more(3, "A")
    expect((await load.stop()).connections).toBeGreaterThanOrEqual(3)
    await new Promise((resolve) => server.close(resolve))
  })
})

describe("an origin", () => {
  it("has a page that goes on until it is told to end", async () => {
    const a = await origin("A")
    const page = visit(a.port, "shop.example.com", { path: longPath })
    await expect.poll(a.longPages).toBe(1)
    a.endLongPages()
    const { body, origin: name } = await page
    expect(name).toBe("A")
    expect(body.endsWith(lastLine("A"))).toBe(true)
    expect(a.longPages()).toBe(0)
  })

  it("that vanishes in the middle of a page gives no whole answer", async () => {
    const a = await origin("A")
    const page = visit(a.port, "shop.example.com", { path: longPath })
    page.catch(() => {})
    await expect.poll(a.longPages).toBe(1)
    await a.close()
    await expect(page).rejects.toThrow()
  })
})
