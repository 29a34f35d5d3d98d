/** Servers behind HAProxy: each answers its name, over HTTP and, word for word, over a WebSocket. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { acceptOf, frame, framesIn } from "./WebSocketFrames.ts"

export interface Origin {
  readonly name: string
  readonly port: number
  /** Requests answered so far. */
  readonly requests: () => number
}

const echo = (key: string, socket: Duplex) => {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
      + `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`
  )
  const take = framesIn((text) => socket.write(frame(text, false)))
  socket.on("data", take)
  socket.on("error", () => socket.destroy())
}

/** Listens on a free port of 127.0.0.1 for as long as the scope lives. */
export const startOrigin = (name: string): Effect.Effect<Origin, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => {
        const counted = { requests: 0 }
        const upgraded = new Set<Duplex>()
        const server = createServer((_, response) => {
          counted.requests++
          response.end(name)
        })
        server.keepAliveTimeout = 60_000
        server.on("upgrade", (request, socket) => {
          upgraded.add(socket)
          socket.once("close", () => upgraded.delete(socket))
          echo(String(request.headers["sec-websocket-key"]), socket)
        })
        return new Promise<
          { readonly server: Server; readonly upgraded: Set<Duplex>; readonly counted: typeof counted }
        >(
          (resolve, reject) => {
            server.once("error", reject)
            server.listen(0, "127.0.0.1", () => resolve({ server, upgraded, counted }))
          }
        )
      }),
      ({ server, upgraded }) =>
        Effect.promise(() =>
          new Promise<void>((resolve) => {
            for (const socket of upgraded) socket.destroy()
            server.close(() => resolve())
            server.closeAllConnections()
          })
        )
    ),
    ({ counted, server }): Origin => ({
      name,
      port: (server.address() as AddressInfo).port,
      requests: () => counted.requests
    })
  )
