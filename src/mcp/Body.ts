/** Reading a request's body, bounded. */
import type { IncomingMessage } from "node:http"

/** The largest request body in bytes. The largest sensible call has 10 KB. */
export const largestBody = 1024 * 1024

/** The body as text; 413: it is larger than `largest` bytes; 400: it ended too early. */
export const readBody = (request: IncomingMessage, largest = largestBody): Promise<string | 400 | 413> => {
  if (Number(request.headers["content-length"] ?? 0) > largest) return Promise.resolve(413)
  const { promise, resolve } = Promise.withResolvers<string | 400 | 413>()
  const chunks: Array<Buffer> = []
  let size = 0
  const data = (chunk: Buffer) => {
    size += chunk.length
    if (size <= largest) chunks.push(chunk)
    else {
      request.off("data", data).pause()
      resolve(413)
    }
  }
  request.on("data", data)
  request.once("end", () => resolve((chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString("utf8")))
  request.once("error", () => resolve(400))
  request.once("close", () => resolve(400))
  return promise
}
