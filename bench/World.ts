/**
 * What the rows measure in: a populated database, a HAProxy for the control plane, and a second HAProxy that is the
 * origin behind every server and, loaded with the same maps, what the floor talks to.
 */
import * as Effect from "effect/Effect"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { releasePort, takePort } from "../test/support/Ports.ts"
import { makeSite, type RealHaproxy, type Site, startHaproxy, startIn } from "../test/support/RealHaproxy.ts"
import { limits, populate } from "./Population.ts"
import type { Bench } from "./Row.ts"

/** The text that every origin answers. */
export const originText = "origin"

/** A port of ours for the time of a scope. */
export const ownPort = Effect.acquireRelease(Effect.promise(takePort), (port) => Effect.sync(() => releasePort(port)))

export interface World {
  /** The HAProxy under control; its maps are empty until the control plane fills them. */
  readonly haproxy: RealHaproxy
  readonly database: string
  /** Of all servers. */
  readonly originPort: number
}

const originSection = (port: number) => [
  "frontend origin from base",
  `  bind 127.0.0.1:${port}`,
  `  http-request return status 200 content-type text/plain string "${originText}"`
]

/** An origin alone. */
export const startOrigin = Effect.fnUntraced(function*(bench: Bench) {
  const port = yield* ownPort
  yield* startHaproxy({ binary: bench.haproxy, pools: 1, slots: 1, sections: originSection(port) })
  return port
})

/** A database of `domains` domains and a HAProxy to fill. */
export const makeWorld = Effect.fnUntraced(function*(
  bench: Bench,
  options: { readonly domains: number; readonly originPort: number; readonly poolsFile?: boolean }
) {
  const haproxy = yield* startHaproxy({
    binary: bench.haproxy,
    ...limits,
    poolsFile: options.poolsFile ?? false
  })
  const database = join(haproxy.site.dir, "haproxy_mcp.db")
  yield* populate(database, options.domains, options.originPort)
  const world: World = { haproxy, database, originPort: options.originPort }
  return world
})

/** A HAProxy with the same maps and pools in files of its own, which no control plane looks after. */
export const startTwin = Effect.fnUntraced(function*(bench: Bench, of: Site) {
  const site = yield* makeSite({ ...limits, statsTimeout: "1h" })
  copyFileSync(of.domainsMap, site.domainsMap)
  copyFileSync(of.wildcardsMap, site.wildcardsMap)
  return yield* startIn(site, bench.haproxy)
})
