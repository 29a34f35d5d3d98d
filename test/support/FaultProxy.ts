/**
 * A TCP proxy on loopback that does to a connection what networks do: delays, loses, cuts, slices. Everything can be
 * changed while connections run; what is set holds for the bytes that come after.
 */
import { connect, createServer, type Socket } from "node:net"

export interface Faults {
  /** Milliseconds that bytes take to the server and back. */
  readonly delayTo: number
  readonly delayBack: number
  /** Bytes vanish; nothing is closed. New connections are accepted and hear nothing. */
  readonly blackHole: boolean
  /** Nothing is read, so nothing arrives until it is set back: a network that is stuck. */
  readonly paused: boolean
  /** Every byte is a packet of its own. */
  readonly sliced: boolean
  /** New connections are refused (reset at once). */
  readonly refusing: boolean
  /** Every connection is cut after so many bytes to the server, or back, counted from its beginning. */
  readonly cutAfterTo: number
  readonly cutAfterBack: number
}

const none: Faults = {
  delayTo: 0,
  delayBack: 0,
  blackHole: false,
  paused: false,
  sliced: false,
  refusing: false,
  cutAfterTo: Infinity,
  cutAfterBack: Infinity
}

export interface FaultProxy {
  readonly port: number
  /** Changes these faults and leaves the others. */
  readonly set: (faults: Partial<Faults>) => void
  /** No faults for what comes now. */
  readonly heal: () => void
  /** Cuts every connection now (RST); answers how many. */
  readonly cut: () => number
  /** Connections that are open. */
  readonly open: () => number
  /** Connections that were ever accepted. */
  readonly accepted: () => number
  readonly end: () => Promise<void>
}

/** One direction of one connection: bytes in their order, each chunk when it is due. */
class Lane {
  private readonly queue: Array<{ readonly data: Buffer; readonly due: number }> = []
  private busy = false
  private passed = 0
  private readonly from: Socket
  private readonly to: Socket
  private readonly now: () => { delay: number; most: number; faults: Faults }
  private readonly cut: () => void
  constructor(from: Socket, to: Socket, now: Lane["now"], cut: () => void) {
    this.from = from
    this.to = to
    this.now = now
    this.cut = cut
    from.on("data", (data: Buffer) => {
      const { delay, faults } = this.now()
      if (faults.blackHole) return
      this.queue.push({ data, due: performance.now() + delay })
      void this.drain()
    })
    from.on("end", () => {
      this.queue.push({ data: Buffer.alloc(0), due: performance.now() + this.now().delay })
      void this.drain()
    })
  }
  apply(): void {
    if (this.now().faults.paused) this.from.pause()
    else this.from.resume()
  }
  private async drain(): Promise<void> {
    if (this.busy) return
    this.busy = true
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      const wait = next.due - performance.now()
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
      if (this.to.destroyed) break
      if (next.data.length === 0) this.to.end()
      else await this.write(next.data)
    }
    this.busy = false
  }
  private async write(data: Buffer): Promise<void> {
    const { faults, most } = this.now()
    const room = Math.max(0, most - this.passed)
    const kept = data.subarray(0, room)
    this.passed += kept.length
    if (faults.sliced) {
      for (const byte of kept) {
        await new Promise<void>((resolve) => this.to.write(Buffer.of(byte), () => resolve()))
        await new Promise<void>((resolve) => setImmediate(resolve))
      }
    } else if (kept.length > 0 && !this.to.write(kept)) {
      await new Promise<void>((resolve) => {
        this.to.once("drain", resolve)
        this.to.once("close", resolve)
      })
    }
    if (kept.length < data.length) this.cut()
  }
}

/** Starts a proxy in front of a port of 127.0.0.1. */
export const startFaultProxy = async (target: number): Promise<FaultProxy> => {
  let faults = none
  let accepted = 0
  const pairs = new Map<Socket, { readonly server: Socket; readonly lanes: ReadonlyArray<Lane> }>()
  const cut = (client: Socket) => {
    client.resetAndDestroy()
    pairs.get(client)?.server.resetAndDestroy()
    pairs.delete(client)
  }
  const listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    accepted++
    client.on("error", () => {})
    if (faults.refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect({ host: "127.0.0.1", port: target, noDelay: true, allowHalfOpen: true })
    server.on("error", () => cut(client))
    const end = () => cut(client)
    const lanes = [
      new Lane(client, server, () => ({ delay: faults.delayTo, most: faults.cutAfterTo, faults }), end),
      new Lane(server, client, () => ({ delay: faults.delayBack, most: faults.cutAfterBack, faults }), end)
    ]
    pairs.set(client, { server, lanes })
    for (const lane of lanes) lane.apply()
    const closed = () => {
      // A connection that is gone on one side stays on the other when the network loses what would tell.
      if (client.destroyed && (server.destroyed || !faults.blackHole)) {
        server.destroy()
        pairs.delete(client)
      } else if (server.destroyed && !faults.blackHole) client.destroy()
    }
    client.on("close", closed)
    server.on("close", closed)
  })
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve))
  const set = (change: Partial<Faults>) => {
    faults = { ...faults, ...change }
    for (const { lanes } of pairs.values()) for (const lane of lanes) lane.apply()
  }
  return {
    port: (listener.address() as { readonly port: number }).port,
    set,
    heal: () => set(none),
    cut: () => {
      const all = [...pairs.keys()]
      for (const client of all) cut(client)
      return all.length
    },
    open: () => pairs.size,
    accepted: () => accepted,
    end: () =>
      new Promise((resolve) => {
        for (const client of pairs.keys()) cut(client)
        listener.close(() => resolve())
      })
  }
}
