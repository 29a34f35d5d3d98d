/**
 * One kept HTTP/1.1 connection with the least client there is: bytes out, status and body in, one request at a time.
 * A client library would cost as much as the servers that are measured.
 */
import { createConnection, type Socket } from "node:net"

/** Milliseconds that an answer may take: every call of ours ends long before, and a row should not wait for ever. */
const longest = 60_000

export interface RawAnswer {
  readonly status: number
  readonly body: string
}

/** Where the head ends and the whole answer ends, or null when it is not all there. */
const complete = (text: string): { readonly head: number; readonly end: number; readonly chunked: boolean } | null => {
  const head = text.indexOf("\r\n\r\n")
  if (head < 0) return null
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, head))
  if (length !== null) {
    const end = head + 4 + Number(length[1])
    return text.length >= end ? { head, end, chunked: false } : null
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(text.slice(0, head))) {
    return text.endsWith("0\r\n\r\n") ? { head, end: text.length, chunked: true } : null
  }
  // 204 and the like.
  return { head, end: head + 4, chunked: false }
}

const unchunk = (text: string): string => {
  let body = ""
  for (let at = 0;;) {
    const line = text.indexOf("\r\n", at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (!(size > 0)) return body
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}

export class RawHttp {
  private readonly socket: Socket
  private text = ""
  private waiting: PromiseWithResolvers<RawAnswer> | null = null
  private failure: Error | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.setEncoding("latin1")
    socket.on("data", (part: string) => {
      this.text += part
      const found = complete(this.text)
      if (found === null || this.waiting === null) return
      const { waiting } = this
      const rest = this.text.slice(found.head + 4, found.end)
      const status = Number(this.text.slice(9, 12))
      this.text = this.text.slice(found.end)
      this.waiting = null
      waiting.resolve({ status, body: found.chunked ? unchunk(rest) : rest })
    })
    const fail = (error: Error) => {
      this.failure ??= error
      this.waiting?.reject(this.failure)
      this.waiting = null
    }
    socket.setTimeout(longest, () => {
      if (this.waiting !== null) socket.destroy(new Error(`no answer for ${longest / 1000} s`))
    })
    socket.once("error", fail)
    socket.once("close", () => fail(new Error("the server closed the connection")))
  }

  static async connect(port: number): Promise<RawHttp> {
    const socket = createConnection({ host: "127.0.0.1", port })
    const { promise, reject, resolve } = Promise.withResolvers<void>()
    socket.once("connect", resolve)
    socket.once("error", reject)
    await promise
    return new RawHttp(socket)
  }

  /** Sends one request and waits for its answer. */
  send(request: string): Promise<RawAnswer> {
    if (this.failure !== null) return Promise.reject(this.failure)
    this.waiting = Promise.withResolvers<RawAnswer>()
    this.socket.write(request, "latin1")
    return this.waiting.promise
  }

  /** True once the other side is gone. */
  get closed(): boolean {
    return this.failure !== null
  }

  close(): void {
    this.socket.destroy()
  }
}

/** A GET for a host. */
export const get = (host: string, path = "/"): string => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`

/** A request with a JSON body. */
export const post = (
  host: string,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {}
): string =>
  `POST ${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\n`
  + Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  + `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
