/**
 * The smallest client of MCP over HTTP: one kept connection, one call at a time, no library. It is strict about what
 * comes back: status 200, a JSON-RPC answer with the id that was asked for, text and structured content the same.
 */
import { Agent, type IncomingMessage, request } from "node:http"

/** How a call ended. */
export interface PlainAnswer {
  /** `OK`, or the code of the error. */
  readonly code: string
  readonly data: Readonly<Record<string, unknown>>
  /** Milliseconds from the first byte sent to the last one received. */
  readonly ms: number
}

/** The connection ended before the answer: nothing is known of the call. */
export class ConnectionLost extends Error {}

interface ToolResult {
  readonly isError?: boolean
  readonly content: ReadonlyArray<{ readonly text: string }>
  readonly structuredContent: Readonly<Record<string, unknown>>
}

const readAll = (response: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    response.setEncoding("utf8")
    response.on("data", (part: string) => {
      text += part
    })
    response.once("end", () => resolve(text))
    response.once("error", reject)
  })

/** The JSON-RPC message of an answer, whichever of its two forms it has. */
const messageOf = (contentType: string, text: string): { readonly id?: unknown; readonly result?: ToolResult } => {
  if (contentType.startsWith("application/json")) return JSON.parse(text)
  if (!contentType.startsWith("text/event-stream")) throw new Error(`neither JSON nor events: ${contentType}: ${text}`)
  const events = text.split("\n").filter((line) => line.startsWith("data: {")).map((line) => JSON.parse(line.slice(6)))
  return events.find((event) => "id" in event && ("result" in event || "error" in event)) ?? {}
}

export class PlainMcp {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })
  private readonly url: string
  private readonly headers: Readonly<Record<string, string>>
  private last = 0

  /** `url`: of the server, without the path. */
  constructor(url: string, token?: string) {
    this.url = `${url}/mcp`
    this.headers = {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
    }
  }

  /** Calls a tool. Rejects with {@link ConnectionLost}, or with what was wrong with the answer. */
  async call(name: string, args: Readonly<Record<string, unknown>> = {}, signal?: AbortSignal): Promise<PlainAnswer> {
    const id = ++this.last
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } })
    const started = performance.now()
    let status = 0
    let contentType = ""
    const text = await new Promise<string>((resolve, reject) => {
      const lost = (error: Error) => reject(new ConnectionLost(error.message, { cause: error }))
      const sent = request(this.url, {
        method: "POST",
        agent: this.agent,
        headers: { ...this.headers, "content-length": String(Buffer.byteLength(body)) },
        ...(signal === undefined ? {} : { signal })
      }, (response) => {
        status = response.statusCode ?? 0
        contentType = response.headers["content-type"] ?? ""
        readAll(response).then(resolve, lost)
      })
      sent.once("error", lost)
      sent.end(body)
    })
    const ms = performance.now() - started
    if (status !== 200) throw new Error(`${name}: HTTP ${status}: ${text.slice(0, 500)}`)
    const message = messageOf(contentType, text)
    const { result } = message
    if (message.id !== id || result === undefined) throw new Error(`${name}: not an answer: ${text.slice(0, 500)}`)
    const data = result.structuredContent
    if (result.content[0]?.text !== JSON.stringify(data)) throw new Error(`${name}: text and data differ`)
    const error = data["error"] as { readonly code?: unknown } | undefined
    if (result.isError === true && typeof error?.code !== "string") throw new Error(`${name}: an error without a code`)
    return { code: result.isError === true ? String(error?.code) : "OK", data, ms }
  }

  /** Calls a tool that must succeed. */
  async good(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<PlainAnswer["data"]> {
    const { code, data } = await this.call(name, args)
    if (code !== "OK") throw new Error(`${name} ${JSON.stringify(args)}: ${JSON.stringify(data)}`)
    return data
  }

  close(): void {
    this.agent.destroy()
  }
}
