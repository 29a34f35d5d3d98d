/** An origin server that answers a request only when it is told to, so that a session stays open as long as a test wants. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, request, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export interface HeldOrigin {
  readonly port: number
  /** Sends a request for a host through HAProxy and returns as soon as it has arrived here. */
  readonly hold: (httpPort: number, host: string) => Effect.Effect<void>
  /** Answers everything that is held. */
  readonly release: Effect.Effect<void>
}

export const startHeldOrigin: Effect.Effect<HeldOrigin, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const held: Array<ServerResponse> = []
      let arrived = () => {}
      const server = createServer((_, response) => {
        held.push(response)
        arrived()
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return {
        server,
        held,
        next: () =>
          new Promise<void>((resolve) => {
            arrived = resolve
          })
      }
    }),
    ({ server }) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        })
      )
  ),
  ({ held, next, server }): HeldOrigin => ({
    port: (server.address() as AddressInfo).port,
    hold: (httpPort, host) =>
      Effect.promise(async () => {
        const here = next()
        const sent = request({ host: "127.0.0.1", port: httpPort, headers: { host }, agent: false }, (response) =>
          response.resume())
        // The end of the test may cut it.
        sent.once("error", () => {})
        sent.end()
        await here
      }),
    release: Effect.sync(() => {
      for (const response of held.splice(0)) response.end("done")
    })
  })
)
