/** A site whose haproxy.cfg is the generated one, for what that file promises to visitors. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createServer, type IncomingHttpHeaders, type Server as HttpServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import type { Route } from "../../src/domain/Change.ts"
import type { PoolNumber, Server, SlotNumber, Weight } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import * as HaproxyConfig from "../../src/haproxy/HaproxyConfig.ts"
import { type FileState, MapFiles } from "../../src/haproxy/MapFiles.ts"
import { releasePort, takePort } from "./Ports.ts"
import type { Site } from "./RealHaproxy.ts"

const limits = { pools: 8, slots: 2 }

/** One web server per pool; it answers its pool's name and the headers it saw. */
export const webServer = (name: string, host = "127.0.0.1") =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<HttpServer>((resolve, reject) => {
        const server = createServer((asked, answer) => answer.end(JSON.stringify({ name, headers: asked.headers })))
        server.once("error", reject)
        server.listen(0, host, () => resolve(server))
      })
    ),
    (server) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  ).pipe(Effect.map((server) => (server.address() as AddressInfo).port))

/** What a server of {@link webServer} answered. */
export const seen = (body: string) =>
  JSON.parse(body) as { readonly name: string; readonly headers: IncomingHttpHeaders }

export const route = (name: string, pool: number): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq: 1
})
export const server = (pool: number, port: number, more: Partial<Server> = {}): Server => ({
  pool: pool as PoolNumber,
  slot: 1 as SlotNumber,
  ip: "127.0.0.1" as ServerIp,
  port: port as Port,
  weight: 1 as Weight,
  state: "ready",
  ...more
})

/** Options for a site of its own, over HTTP. */
export const optionsFor = (site: Site): HaproxyConfig.HaproxyConfigOptions => ({
  ...HaproxyConfig.defaultOptions,
  limits,
  maps: { domains: site.runtimeDomainsMap, wildcards: site.runtimeWildcardsMap },
  poolsFile: site.poolsFile,
  addresses: ["127.0.0.1"],
  httpPort: site.httpPort,
  runtime: { socket: { path: site.runtimeSocket, group: null }, tcp: { ip: "127.0.0.1", port: site.runtimePort } },
  masterSocket: site.masterSocket,
  log: null
})

/** The maps and pools.cfg that HAProxy starts from. */
export const writeFiles = Effect.fnUntraced(function*(site: Site, state: FileState) {
  const layer = MapFiles.layer({ domains: site.domainsMap, pools: site.poolsFile, limits })
  const context = yield* Layer.build(layer)
  yield* Effect.flatMap(MapFiles, (files) => files.reset(state)).pipe(Effect.provideContext(context))
})

/** A free port, given back with the scope. */
export const freePort = Effect.acquireRelease(
  Effect.promise(takePort),
  (taken) => Effect.sync(() => releasePort(taken))
)
