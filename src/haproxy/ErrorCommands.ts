/** Requests and responses that broke the rules of HTTP: `show errors`. HAProxy keeps the last one of each proxy. */
import * as Result from "effect/Result"
import { plain, refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** One that was captured. All of it is a stranger's. */
export interface CapturedError {
  /** `28/Nov/2026:13:48:19.929`, HAProxy's own time. */
  readonly at: string
  readonly kind: "request" | "response"
  /** The frontend of a request, the backend of a response. */
  readonly proxy: string
  readonly backend: string
  readonly server: string
  readonly source: string
  /** Where the rule was broken, in bytes from the beginning. */
  readonly position: number
  /** The first bytes, escaped by HAProxy. */
  readonly text: string
}

/** Characters of what was captured. */
const longestText = 1_000

/*
 * show errors (3.4.7; 3.0.11 and 3.2.26 alike); lines that look blank have a space
 *
 * Total events captured on [28/Nov/2026:13:48:22.517] : 1
 *
 * [28/Nov/2026:13:48:22.384] frontend web (#2): invalid request
 *   backend <NONE> (#-1), server <NONE> (#-1), event #0, src 127.0.0.1:43462
 *   buffer starts at 0 (including 0 out), 16336 free,
 *   len 48, wraps at 16344, error at position 5
 *   H1 connection flags 0x00000000, H1 stream flags 0x00000810
 *   …
 *   00000  GET /\x01evil HTTP/1.1\r\n
 *   00021  Host: ev\x07il\r\n
 */
const head = /^\[([^\]]+)\] (?:frontend|backend|proxy) (\S+) \(#-?\d+\): invalid (request|response)/
const party = /^ {2}(?:backend|frontend) (\S+) \(#-?\d+\), server (\S+) \(#-?\d+\), event #\d+, src (\S+)/
const named = (name: string): string => name === "<NONE>" ? "" : plain(name, 100)

const parseErrors = (answer: string): Verdict<ReadonlyArray<CapturedError>> => {
  if (!answer.startsWith("Total events captured on [")) return refused(answer)
  const found: Array<{ -readonly [K in keyof CapturedError]: CapturedError[K] }> = []
  for (const line of answer.split("\n").slice(1)) {
    const begin = head.exec(line)
    if (begin !== null) {
      const [, at, proxy, kind] = begin
      found.push({
        at: plain(at!, 40),
        kind: kind as CapturedError["kind"],
        proxy: plain(proxy!, 100),
        backend: "",
        server: "",
        source: "",
        position: 0,
        text: ""
      })
      continue
    }
    const one = found.at(-1)
    if (one === undefined) continue
    const who = party.exec(line)
    if (who !== null) {
      one.backend = named(who[1]!)
      one.server = named(who[2]!)
      one.source = plain(who[3]!, 120)
    }
    const position = /error at position (\d+)/.exec(line)
    if (position !== null) one.position = Number(position[1])
    const bytes = /^ {2}\d{5}\+? {1,2}(.*)$/.exec(line)
    if (bytes !== null && one.text.length < longestText) one.text = plain(one.text + bytes[1]!, longestText)
  }
  return Result.succeed(found)
}

/** `show errors [PROXY] [request|response]`. `No such proxy.` */
export const show = (
  proxy: string | undefined,
  kind: CapturedError["kind"] | undefined
): Command<ReadonlyArray<CapturedError>> => ({
  words: ["show", "errors", ...(proxy === undefined ? [] : [proxy]), ...(kind === undefined ? [] : [kind])],
  parse: parseErrors
})
