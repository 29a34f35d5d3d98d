/**
 * One canonical text of "what is routed where", read independently from the database, the files and HAProxy, so that
 * a test can say `database = files = runtime` by comparing strings. Shares no code with the parsers of src/.
 */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { Store } from "../../src/store/Store.ts"
import { ask } from "./RealHaproxy.ts"

const ours = /^pool_\d+$/

const lines = (entries: Iterable<string>) => [...entries].sort().join("\n")

/** Routes and servers of the database: `map example.com pool_1`, `server pool_1_1 10.0.0.1:80 ready 1`. */
export const dumpDatabase = Effect.gen(function*() {
  const store = yield* Store
  const out: Array<string> = []
  for (const route of yield* store.allRoutes) {
    out.push(`map ${route.name.startsWith("*") ? route.name.slice(1) : route.name} pool_${route.pool}`)
  }
  for (const s of yield* store.allServers) {
    out.push(`server pool_${s.pool}_${s.slot} ${s.ip}:${s.port} ${s.state} ${s.weight}`)
  }
  return lines(out)
})

/** All that the database desires, owners, kinds of routes and certificates included; for "is it as before?". */
export const dumpDesired = Effect.gen(function*() {
  const store = yield* Store
  const routes = yield* store.allRoutes
  const owners = yield* store.owners([...new Set(routes.map((route) => route.pool))])
  return lines([
    ...routes.map((route) => JSON.stringify(route)),
    ...[...owners].map(([pool, owner]) => `owner pool_${pool} ${owner}`),
    ...(yield* store.allServers).map((server) => JSON.stringify(server)),
    ...(yield* store.certificates).map((certificate) => `certificate ${JSON.stringify(certificate)}`)
  ])
})

const mapEntries = (text: string) =>
  text.split("\n").map((line) => line.trim()).filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/\s+/)).filter((words) => words.length >= 2)

/** The same from the map files (and pools.cfg, when there is one): drain stands there as weight 0. */
export const dumpFiles = (
  paths: { readonly domains: string; readonly wildcards: string; readonly pools?: string | null }
) =>
  Effect.promise(async () => {
    const out: Array<string> = []
    for (const path of [paths.domains, paths.wildcards]) {
      for (const [key, value] of mapEntries(await readFile(path, "latin1"))) {
        if (ours.test(value!)) out.push(`map ${key} ${value}`)
      }
    }
    if (typeof paths.pools === "string") {
      for (const line of (await readFile(paths.pools, "latin1")).split("\n")) {
        const match = /^\s*server (pool_\d+_\d+) (\S+)(.*)$/.exec(line)
        if (match === null || match[2] === "192.0.2.1:1") continue
        const options = match[3]!.split("#")[0]!
        const weight = /\bweight (\d+)/.exec(options)?.[1] ?? "1"
        const state = /\bdisabled\b/.test(options) ? "maint" : /#.*drain/.test(match[3]!) ? "drain" : "ready"
        out.push(`server ${match[1]} ${match[2]!.replace(/[[\]]/g, "")} ${state} ${state === "drain" ? "?" : weight}`)
      }
    }
    return lines(out)
  })

/** The same from a running HAProxy, over a fresh connection of its own. Duplicates show up as repeated lines. */
export const dumpRuntime = (socket: string, maps: ReadonlyArray<string>) =>
  dumpRuntimeBy((command) => ask(socket, command), maps)

/** The same from whoever answers commands. */
export const dumpRuntimeBy = (answer: (command: string) => Promise<string>, maps: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const out: Array<string> = []
    for (const map of maps) {
      for (const words of mapEntries(await answer(`show map ${map}`))) {
        if (words[0]!.startsWith("0x") && words.length >= 3 && ours.test(words[2]!)) {
          out.push(`map ${words[1]} ${words[2]}`)
        }
      }
    }
    // management.txt, "show servers state": be_id be_name srv_id srv_name srv_addr op_state admin_state uweight …
    for (const line of (await answer("show servers state")).split("\n")) {
      const f = line.split(" ")
      if (f.length < 20 || !ours.test(f[1]!) || !f[3]!.startsWith(`${f[1]}_`)) continue
      const admin = Number(f[6])
      // Bit 0x04 says "disabled in the configuration" and stays after "state ready".
      const state = (admin & 0x23) !== 0 ? "maint" : (admin & 0x18) !== 0 ? "drain" : "ready"
      const port = f[18]
      if (f[4] === "192.0.2.1" && state === "maint") continue
      out.push(`server ${f[3]} ${f[4]}:${port} ${state} ${f[7]}`)
    }
    return lines(out)
  })

/** Foreign entries of a map in HAProxy: `key value`, in order. */
export const foreignRuntime = (socket: string, map: string) =>
  Effect.promise(async () =>
    mapEntries(await ask(socket, `show map ${map}`)).filter((w) => w[0]!.startsWith("0x") && !ours.test(w[2] ?? ""))
      .map((w) => `${w[1]} ${w[2]}`)
  )
