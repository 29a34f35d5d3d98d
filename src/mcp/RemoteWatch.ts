/**
 * Watching resources of another process, through its admin socket (`POST /watch` of AdminSocket.ts).
 *
 * A connection that is lost is made again for as long as somebody watches, with growing pauses; after it every address is
 * told as changed, because what happened meanwhile is not known.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { request as httpRequest } from "node:http"
import { WatchLine } from "./AdminSocket.ts"
import type { Watch } from "./Subscriptions.ts"

/** Milliseconds before a lost connection is made again: at first, and at most. */
const firstPause = 250
const longestPause = 5_000

const decodeLine = Schema.decodeUnknownResult(WatchLine)

/** The addresses of a line; null when it is none. */
const parseLine = (text: string): ReadonlyArray<string> | null => {
  try {
    const line = decodeLine(JSON.parse(text))
    return Result.isSuccess(line) ? line.success.uris : null
  } catch {
    return null
  }
}

/**
 * One connection: ends when it is lost. Its first line says that it watches now, and names nothing. Lines are read one by
 * one, the next when the one before has been told.
 */
const follow = (
  path: string,
  body: string,
  begun: () => Promise<void>,
  told: (uris: ReadonlyArray<string>) => Promise<void>
): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const request = httpRequest({
      socketPath: path,
      path: "/watch",
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
    })
    const end = () => {
      resume(Effect.void)
      request.destroy()
    }
    request.once("error", end)
    request.once("response", (response) => {
      const read = async () => {
        let rest = ""
        let first = true
        response.setEncoding("utf8")
        for await (const chunk of response) {
          const lines = (rest + String(chunk)).split("\n")
          rest = lines.pop()!
          for (const text of lines) {
            const uris = parseLine(text)
            if (uris === null) return
            await (first ? begun() : told(uris))
            first = false
          }
        }
      }
      if (response.statusCode === 200) read().then(end, end)
      else end()
    })
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

/** Watches in the process behind the socket. */
export const watchThrough = (path: string): Watch => (uris, principal, told, ready) =>
  Effect.gen(function*() {
    if (uris.length === 0) return yield* Effect.andThen(ready, Effect.never)
    const runPromise = Effect.runPromiseWith(yield* Effect.context<never>())
    const body = JSON.stringify({ uris, principal })
    let pause = firstPause
    let isAgain = false
    const begun = async () => {
      pause = firstPause
      await runPromise(isAgain ? told(uris) : ready)
      isAgain = true
    }
    for (;;) {
      yield* follow(path, body, begun, (changed) => runPromise(told(changed)))
      yield* Effect.sleep(pause)
      pause = Math.min(pause * 2, longestPause)
    }
  })
