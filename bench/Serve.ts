/**
 * The control plane as it runs in production: `haproxy-mcp serve` in a process of its own, with a token, over a
 * populated database and a real HAProxy; and calls of its tools on kept connections.
 */
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { startChild, untilReady } from "./Children.ts"
import { limits } from "./Population.ts"
import { get, post, RawHttp } from "./RawHttp.ts"
import type { Bench } from "./Row.ts"
import { originText, ownPort, type World } from "./World.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const token = "a-token-of-the-benchmark"

/** A request that calls a tool, ready to be sent. */
export const callRequest = (port: number, tool: string, args: object): string =>
  post(
    `127.0.0.1:${port}`,
    "/mcp",
    JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: tool, arguments: args } }),
    { authorization: `Bearer ${token}`, accept: "application/json, text/event-stream" }
  )

export interface Served {
  readonly pid: number
  readonly port: number
  /** Calls a tool on this connection; fails unless the answer is a success. Answers the raw body. */
  readonly call: (connection: RawHttp, tool: string, args: object) => Promise<string>
  readonly connect: () => Promise<RawHttp>
  /** Records where its time goes under a load, when the run is asked to. */
  readonly record: (load: () => Promise<unknown>) => Promise<void>
}

/**
 * Starts it and waits until it is ready, which means that HAProxy runs what the database holds. `program`: the sources
 * unless a bundle is given; `env`: settings besides those of every row.
 */
export const startServe = Effect.fnUntraced(function*(
  bench: Bench,
  world: Pick<World, "haproxy" | "database">,
  name: string,
  program = main,
  env: Readonly<Record<string, string>> = {}
) {
  const { site } = world.haproxy
  const port = yield* ownPort
  const profiled = bench.profiler.child(name)
  const child = yield* startChild(process.execPath, [...profiled.args, program, "serve"], {
    logFile: join(site.dir, "serve.log"),
    cwd: site.dir,
    env: {
      ...profiled.env,
      MCP_HOST: "127.0.0.1",
      MCP_PORT: String(port),
      MCP_TOKEN: token,
      HAPROXY_RUNTIME_MODE: "unix",
      HAPROXY_RUNTIME_SOCKET: site.runtimeSocket,
      HAPROXY_MAP_FILE: site.domainsMap,
      HAPROXY_POOLS_FILE: site.poolsFile,
      HAPROXY_DB_FILE: world.database,
      HAPROXY_POOL_COUNT: String(limits.pools),
      HAPROXY_MAX_SLOTS: String(limits.slots),
      ...env
    }
  })
  yield* Effect.promise(() =>
    untilReady("haproxy-mcp serve", child, async () => {
      const connection = await RawHttp.connect(port)
      const { status } = await connection.send(get("localhost", "/readyz"))
      connection.close()
      return status === 200
    })
  )
  const served: Served = {
    pid: child.pid,
    port,
    connect: () => RawHttp.connect(port),
    record: (load) => bench.profiler.recordChild(name, child, load),
    call: async (connection, tool, args) => {
      const { body, status } = await connection.send(callRequest(port, tool, args))
      if (status !== 200 || body.includes("\"isError\":true") || !body.includes("structuredContent")) {
        throw new Error(`${tool} answers ${status} ${body.slice(0, 500)}`)
      }
      return body
    }
  }
  return served
})

/** Its `/metrics`. */
export const metricsOf = async (served: Served): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${served.port}/metrics`, {
    headers: { authorization: `Bearer ${token}` }
  })
  return answer.text()
}

/** The reading call that rows compare with: a page of ten domains. */
export const readingCall = { tool: "haproxy_list_domains", args: { limit: 10 } } as const

/** Adds a domain and sends it one request; answers the milliseconds until the call and until the request ended. */
export const addRouted = async (
  served: Served,
  connection: RawHttp,
  web: RawHttp,
  args: { readonly domain: string; readonly share_with: string }
): Promise<{ readonly added: number; readonly routed: number }> => {
  const began = performance.now()
  await served.call(connection, "haproxy_add_domain", args)
  const added = performance.now()
  const answer = await web.send(get(args.domain))
  const routed = performance.now()
  // Acknowledged means done: the very first request is routed.
  if (answer.status !== 200 || answer.body !== originText) {
    throw new Error(`${args.domain} is not routed: ${answer.status} ${answer.body.slice(0, 200)}`)
  }
  return { added: added - began, routed: routed - began }
}
