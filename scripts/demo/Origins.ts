/**
 * The two web servers behind HAProxy, in this process, on free ports of 127.0.0.1. Each answers its name, counts what
 * it is asked, and has one page that goes on until it is told to end, so that a drain has something to wait for.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { host } from "./Ports.ts"

export interface Origin {
  /** `A` or `B`. */
  readonly name: string
  readonly port: number
  /** What every page but the long one answers. */
  readonly text: string
  /** Requests that have arrived so far. */
  readonly requests: () => number
  /** Long pages under way. */
  readonly longPages: () => number
  /** Lets them come to their end. */
  readonly endLongPages: () => void
  readonly close: () => Promise<void>
}

/** Path of the page that goes on: a line at once, one more every `every` milliseconds, and {@link lastLine}. */
export const longPath = "/long"
const every = 100
/** It ends by itself after so many milliseconds. */
const longest = 30_000

/** The last line of the long page: whoever has it has all of it. */
export const lastLine = (name: string): string => `the end, from origin ${name}\n`

export const startOrigin = async (name: string): Promise<Origin> => {
  const text = `Hello from origin ${name}\n`
  let requests = 0
  const endings = new Set<() => void>()
  const writeLongPage = (response: ServerResponse) => {
    const more = () => response.write(`still here, from origin ${name}\n`)
    const leave = () => {
      clearInterval(rhythm)
      clearTimeout(limit)
      endings.delete(end)
    }
    const end = () => {
      leave()
      response.end(lastLine(name))
    }
    more()
    const rhythm = setInterval(more, every)
    const limit = setTimeout(end, longest)
    endings.add(end)
    response.once("close", leave)
  }
  const server = createServer((request, response) => {
    requests++
    response.setHeader("content-type", "text/plain")
    response.setHeader("x-origin", name)
    if (request.url === longPath) writeLongPage(response)
    else response.end(text)
  })
  // Longer than HAProxy keeps an idle connection, so that it is never us who closes one that it is about to use.
  server.keepAliveTimeout = 120_000
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, host, resolve)
  })
  return {
    name,
    text,
    port: (server.address() as AddressInfo).port,
    requests: () => requests,
    longPages: () => endings.size,
    endLongPages: () => {
      for (const end of endings) end()
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
