/** Ports for the demo in tests: an offset far from its usual one, below the range of outgoing connections. */
import { createServer } from "node:net"
import { requireFreePorts } from "../../../scripts/demo/Ports.ts"

/** An offset at which the demo's ports are free now. */
export const freeOffset = async (): Promise<number> => {
  for (let attempt = 0; attempt < 50; attempt++) {
    const offset = 10_000 + Math.floor(Math.random() * 10_000)
    if (await requireFreePorts(offset).then(() => true, () => false)) return offset
  }
  throw new Error("no free offset")
}

/** Takes a port; answers how to give it back. */
export const listen = (port: number): Promise<() => Promise<void>> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(port, "127.0.0.1", () => resolve(() => new Promise((done) => server.close(() => done()))))
  })
