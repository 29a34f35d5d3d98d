/** A client that sends bytes as they are and reports all that comes back, for comparing two servers. */
import { connect } from "node:net"
import type { FakeAddress } from "../../src/testing.ts"

/** What one connection got. */
export interface Heard {
  readonly bytes: string
  /** The server closed (or reset) the connection; otherwise it was still open after a while of silence. */
  readonly closed: boolean
}

/** How to send. */
export interface RawOptions {
  /** Half-close after the last byte. */
  readonly half?: boolean
  /** Sends in pieces of so many bytes, one per turn of the event loop. */
  readonly pieces?: number
  /** Milliseconds of silence after which an open connection counts as kept open. Default 150. */
  readonly silence?: number
  /** What another server answered: while this one has said less, or not closed, silence lasts up to 5 seconds. */
  readonly like?: Heard
}

/** Sends bytes on a connection of its own; hears until it is closed or silent. */
export const hear = (address: FakeAddress, bytes: string, options: RawOptions = {}): Promise<Heard> =>
  new Promise((resolve, reject) => {
    const { half = false, like, pieces = bytes.length || 1, silence = 150 } = options
    const socket = connect({ ...address, allowHalfOpen: true })
    let heard = ""
    let timer: NodeJS.Timeout | undefined
    const finish = (closed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ bytes: heard, closed })
    }
    const wait = () => {
      clearTimeout(timer)
      const less = like !== undefined && (like.closed || heard.length < like.bytes.length)
      // Twice: on a busy machine the first may be late itself, and bytes wait that were there before it.
      timer = setTimeout(() => {
        timer = setTimeout(() => finish(false), silence / 2)
      }, less ? 5_000 : silence / 2)
    }
    socket.setEncoding("latin1")
    socket.on("data", (part: string) => {
      heard += part
      wait()
    })
    socket.on("end", () => finish(true))
    // A reset after (or instead of) an answer is HAProxy closing with bytes of ours unread.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") finish(true)
      else reject(error)
    })
    socket.on("connect", () => {
      wait()
      let at = 0
      const send = () => {
        if (at < bytes.length) {
          socket.write(bytes.slice(at, at += pieces), "latin1")
          if (at < bytes.length) setImmediate(send)
          else if (half) socket.end()
        } else if (half) socket.end()
      }
      send()
    })
  })

/** Writes bytes and closes at once, as a client that gives up. */
export const abandon = (address: FakeAddress, bytes: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(address, () => socket.write(bytes, "latin1", () => socket.destroy()))
    socket.on("close", () => resolve())
    socket.on("error", reject)
  })
