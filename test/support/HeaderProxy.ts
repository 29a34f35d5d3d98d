/** A proxy on 127.0.0.1 that adds headers and changes nothing else, for clients that cannot be told to. */
import * as Effect from "effect/Effect"
import { createServer, request as httpRequest } from "node:http"
import type { AddressInfo } from "node:net"

type Headers = ReadonlyArray<readonly [name: string, value: string]>

/**
 * Starts it in the scope; answers its port. `toPort` is asked at each request, which gets `headers`; its answer gets
 * `answerHeaders`. Host and Origin go on as they came.
 */
export const startHeaderProxy = (toPort: () => number, headers: Headers, answerHeaders: Headers = []) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((request, response) => {
          const { method, rawHeaders, url } = request
          const onward = httpRequest({
            host: "127.0.0.1",
            port: toPort(),
            method,
            path: url,
            headers: [...rawHeaders, ...headers.flat()]
          })
          onward.once("response", (answer) => {
            response.writeHead(answer.statusCode ?? 502, [...answer.rawHeaders, ...answerHeaders.flat()])
            response.flushHeaders()
            answer.pipe(response)
          })
          onward.once("error", () => response.destroy())
          response.once("close", () => onward.destroy())
          request.pipe(onward)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    ),
    (server) => (server.address() as AddressInfo).port
  )
