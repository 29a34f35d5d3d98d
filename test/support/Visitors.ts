/** People who use a site through HAProxy while something else goes on: kept connections, fresh ones, WebSockets. */
import { randomBytes } from "node:crypto"
import { Agent, request } from "node:http"
import { Agent as TlsAgent, request as tlsRequest } from "node:https"
import { connect, type Socket } from "node:net"
import { connect as tlsConnect } from "node:tls"
import { acceptOf, frame, framesIn } from "./WebSocketFrames.ts"

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export interface VisitOptions {
  /** HAProxy's. */
  readonly port: number
  readonly host: string
  /** Bodies that are right; any other is a failure. */
  readonly bodies: ReadonlyArray<string>
  /** How many visit at once. */
  readonly visitors: number
  /** One connection per visitor, or one per request. */
  readonly keepAlive: boolean
  /** Over TLS, trusting this root (PEM) alone; each fresh connection makes a whole handshake. */
  readonly trust?: string
}

export interface Tally {
  readonly requests: number
  /** What went wrong, in words. */
  readonly failures: ReadonlyArray<string>
  readonly connections: number
}

export interface Visiting {
  readonly tally: () => Tally
  /** Lets the requests under way end; answers the tally. */
  readonly stop: () => Promise<Tally>
}

/** Sends requests without end. */
export const startVisitors = (options: VisitOptions): Visiting => {
  const { bodies, host, keepAlive, port, trust, visitors } = options
  const failures: Array<string> = []
  const sockets = new WeakSet<Socket>()
  let requests = 0
  let connections = 0
  let stopped = false
  const tls = trust === undefined ? {} : { ca: trust, servername: host, maxCachedSessions: 0 }
  const send = trust === undefined ? request : tlsRequest
  const makeAgent = trust === undefined ? (of: object) => new Agent(of) : (of: object) => new TlsAgent(of)
  const ask = (agent: Agent | false) =>
    new Promise<void>((resolve) => {
      const failed = (what: string) => {
        failures.push(what)
        resolve()
      }
      const to = { host: "127.0.0.1", port, agent, headers: { host }, timeout: 20_000, ...tls }
      const sent = send(to, (response) => {
        let body = ""
        response.setEncoding("utf8")
        response.on("data", (part: string) => {
          body += part
        })
        response.once("error", (error) => failed(`cut: ${error.message}`))
        response.once("end", () => {
          if (response.statusCode === 200 && bodies.includes(body)) resolve()
          else failed(`${response.statusCode}: ${body.slice(0, 80)}`)
        })
      })
      sent.once("socket", (socket) => {
        if (!sockets.has(socket)) connections++
        sockets.add(socket)
      })
      sent.once("timeout", () => sent.destroy(new Error("no answer within 20 s")))
      sent.once("error", (error) => failed(error.message))
      sent.end()
    })
  const visitor = async () => {
    const agent = keepAlive ? makeAgent({ keepAlive: true, maxSockets: 1 }) : false
    while (!stopped) {
      await ask(agent)
      requests++
      await pause(5)
    }
    if (agent !== false) agent.destroy()
  }
  const all = Promise.all(Array.from({ length: visitors }, visitor))
  const tally = (): Tally => ({ requests, failures: [...failures], connections })
  return {
    tally,
    stop: async () => {
      stopped = true
      await all
      return tally()
    }
  }
}

export interface WebSocketVisitor {
  /** Words that came back so far. */
  readonly echoed: () => number
  /** Why it is not alive any more; null while it is. */
  readonly trouble: () => string | null
  readonly close: () => void
}

/**
 * Opens a WebSocket through HAProxy and keeps talking: each word is sent when the one before has come back. With
 * `trust`, over TLS, trusting this root (PEM) alone.
 */
export const openWebSocket = (port: number, host: string, trust?: string): Promise<WebSocketVisitor> =>
  new Promise((resolve, reject) => {
    const key = randomBytes(16).toString("base64")
    const socket = trust === undefined
      ? connect(port, "127.0.0.1")
      : tlsConnect({ port, host: "127.0.0.1", servername: host, ca: trust })
    let count = 0
    let trouble: string | null = null
    let closing = false
    let head = ""
    let open = false
    const stop = (why: string) => {
      if (closing) return
      trouble ??= why
      reject(new Error(why))
      socket.destroy()
    }
    const word = () => `word ${count} of ${key}`
    const say = () => void (socket.destroyed || socket.write(frame(word(), true)))
    const take = framesIn((text) => {
      if (text !== word()) return stop(`"${text}" came back for "${word()}"`)
      count++
      setTimeout(say, 20)
    })
    socket.on("data", (part: Buffer) => {
      if (open) return take(part)
      head += part.toString("latin1")
      const end = head.indexOf("\r\n\r\n")
      if (end < 0) return
      if (!head.startsWith("HTTP/1.1 101 ") || !head.toLowerCase().includes(acceptOf(key).toLowerCase())) {
        return stop(`refused: ${head.split("\r\n")[0]}`)
      }
      open = true
      say()
      resolve({
        echoed: () => count,
        trouble: () => trouble,
        close: () => {
          closing = true
          socket.destroy()
        }
      })
    })
    socket.once("error", (error) => stop(error.message))
    socket.once("close", () => stop("it was closed"))
    socket.write(
      `GET /live HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
        + `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`
    )
  })
