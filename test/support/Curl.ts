/**
 * The real curl of Debian sid, which speaks HTTP/3, as a visitor who checks certificates. It comes into the cache when
 * it is first wanted; where it cannot be had, that is said aloud and `curlPath` is null.
 */
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { ensureProgram } from "../../scripts/debian/Catalogue.ts"
import { FetchFailure } from "../../scripts/debian/FetchFailure.ts"

export const curlPath: string | null = await ensureProgram("curl").then(({ path }) => path, (cause: unknown) => {
  if (!(cause instanceof FetchFailure)) throw cause
  process.stderr.write(`\nSKIPPED, NOT TESTED: HTTP by curl (${cause.message})\n`)
  return null
})

/** How a request is made: `--http1.1`, `--http2`, `--http3-only` or, with a way back to HTTP/2, `--http3`. */
export interface Ask {
  readonly version?: "1.1" | "2" | "3" | "3-only"
  /** PEM file of the roots that it trusts. Without one, no certificate is good. */
  readonly root?: string
  /** Further arguments. */
  readonly args?: ReadonlyArray<string>
  /** Milliseconds for the whole request. */
  readonly limit?: number
}

export interface Fetched {
  /** curl's exit code: 0 when there was an answer (curl(1), EXIT CODES). */
  readonly exit: number
  readonly status: number
  /** `1.1`, `2`, `3`; `0` without an answer. */
  readonly version: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly error: string
}

const versions = { "1.1": "--http1.1", 2: "--http2", 3: "--http3", "3-only": "--http3-only" } as const

/** One GET of a URL with a port, whose host is taken to be 127.0.0.1. Redirects are not followed. */
export const curl = (url: string, ask: Ask = {}): Effect.Effect<Fetched> =>
  Effect.promise(() => {
    const { hostname, port } = new URL(url)
    const limit = ask.limit ?? 10_000
    const args = [
      "--silent",
      "--show-error",
      "--max-time",
      String(limit / 1000),
      "--noproxy",
      "*",
      "--resolve",
      `${hostname}:${port}:127.0.0.1`,
      ...(ask.version === undefined ? [] : [versions[ask.version]]),
      ...(ask.root === undefined ? [] : ["--cacert", ask.root]),
      ...(ask.args ?? []),
      "--write-out",
      "\n%{http_version} %{response_code} %{header_json}",
      url
    ]
    return new Promise<Fetched>((resolve, reject) => {
      if (curlPath === null) return reject(new Error("no curl"))
      execFile(curlPath, args, { timeout: limit + 5_000 }, (failure, stdout, stderr) => {
        const exit = failure === null ? 0 : typeof failure.code === "number" ? failure.code : -1
        const facts = /\n([\d.]+) (\d+) (\{[^]*\})\s*$/.exec(stdout)
        if (facts === null) return reject(new Error(`curl: ${stdout}${stderr}`))
        const headers = JSON.parse(facts[3]!) as Readonly<Record<string, ReadonlyArray<string>>>
        resolve({
          exit,
          status: Number(facts[2]),
          version: facts[1]!,
          headers: Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(", ")])),
          body: stdout.slice(0, facts.index),
          error: stderr.trim()
        })
      })
    })
  })
