/** A visitor of the sites: plain HTTP requests to HAProxy, with the Host header of the site. */
import { type Agent, request } from "node:http"
import { host } from "./Ports.ts"

export interface Page {
  readonly status: number
  /** The origin that answered, by its header; empty when HAProxy answered itself. */
  readonly origin: string
  readonly body: string
}

/** No answer within this is a failed request. */
const limit = 5_000

/** One request. Rejects when there is no whole answer. */
export const visit = (
  port: number,
  site: string,
  options: { readonly path?: string; readonly agent?: Agent; readonly onSocket?: (socket: object) => void } = {}
): Promise<Page> =>
  new Promise((resolve, reject) => {
    const sent = request({
      host,
      port,
      path: options.path ?? "/",
      headers: { host: site },
      agent: options.agent ?? false,
      timeout: limit
    }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => body += chunk)
      response.once("error", reject)
      response.once("close", () => {
        if (!response.complete) reject(new Error("the answer was cut"))
        else resolve({ status: response.statusCode ?? 0, origin: String(response.headers["x-origin"] ?? ""), body })
      })
    })
    sent.once("timeout", () => sent.destroy(new Error(`no answer within ${limit / 1000} s`)))
    sent.once("error", reject)
    if (options.onSocket !== undefined) sent.once("socket", options.onSocket)
    sent.end()
  })
