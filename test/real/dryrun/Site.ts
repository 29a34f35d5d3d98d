/** What dry runs are tried on, and everything that one of them might have changed. */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readFile, stat } from "node:fs/promises"
import type { HaproxyBinary } from "../../../scripts/haproxy.ts"
import { Store } from "../../../src/store/Store.ts"
import { makeCertificate } from "../../support/Certificates.ts"
import { placeAcme } from "../../support/StandInAcme.ts"
import { type Data, good } from "../../support/ToolCalls.ts"
import { makeWatchedWorld, type WatchedWorld } from "../../support/WatchedWorld.ts"
import { makeRuntimeSite } from "../runtime/Site.ts"

/** The database as it is on the disk: not a byte of it or of its log is to change. */
const bytesOf = (file: string): Promise<ReadonlyArray<string>> =>
  Promise.all([file, `${file}-wal`].map(async (path) => {
    const bytes = await readFile(path).catch(() => Buffer.alloc(0))
    return `${path} ${bytes.length} ${createHash("sha256").update(bytes).digest("hex")}`
  }))

/** A file's content, place and time: one that was written again shows, though it says the same. */
const trace = async (path: string): Promise<string> => {
  const found = await stat(path, { bigint: true }).catch(() => null)
  return found === null ? `${path} -` : `${path} ${found.ino} ${found.mtimeNs} ${found.size}`
}

/** HAProxy's servers without what passes by itself: times, and what checks found. */
const settled = (state: string): string =>
  state.split("\n").map((line) => {
    const words = line.split(" ")
    return words.length < 20 ? line : [...words.slice(0, 5), words[6], words[7], ...words.slice(15)].join(" ")
  }).join("\n")

/** Frontends: whether they listen, and their maxconn. */
const frontends = (stat: string): string =>
  stat.split("\n").map((line) => line.split(",")).map((field) => [field[0], field[6], field[17]].join(" ")).join("\n")

/** All that a call may change, in the database, in files and in HAProxy. */
export const canonicalOf = (world: WatchedWorld): Effect.Effect<string> =>
  Effect.gen(function*() {
    // Outcomes of earlier changes come with the next commit: let them be written first.
    yield* world.run(Effect.orDie(Effect.flatMap(Store, (store) => store.flush)))
    const { command, site } = world.haproxy
    const files = [site.domainsMap, site.wildcardsMap, site.poolsFile, world.plane.host!.stateFile!]
    const lists = ["map", "acl"].map((kind) => Effect.map(command(`show ${kind}`), (text) => [kind, text] as const))
    const contents: Array<string> = []
    for (const [kind, text] of yield* Effect.all(lists)) {
      contents.push(text)
      for (const [, path] of text.matchAll(/^\d+ \(([^)]+)\)/gm)) contents.push(yield* command(`show ${kind} ${path}`))
    }
    return [
      yield* world.everything,
      ...yield* Effect.promise(() => bytesOf(world.plane.database)),
      ...yield* Effect.promise(() => Promise.all(files.map(trace))),
      settled(yield* command("show servers state")),
      ...contents,
      yield* command("show ssl cert"),
      frontends(yield* command("show stat -1 1 -1")),
      (yield* command("show table clients")).replace(/ exp=\d+/g, "")
    ].join("\n--\n")
  })

export const makeDrySite = Effect.fnUntraced(function*(binary: HaproxyBinary) {
  const world = yield* makeWatchedWorld({
    binary,
    slots: 6,
    tls: true,
    certificates: { "fresh.pem": makeCertificate(["b.org"]).text },
    // Nothing is renewed but what a test asks for.
    renewAfter: 3_600_000,
    acme: (site) => placeAcme(site.dir).options
  })
  const call = (tool: string, args: Data = {}) => good(world, tool, args)
  yield* call("haproxy_add_domain", { domain: "a.com", ip: "10.0.0.1" })
  yield* call("haproxy_add_servers", { domain: "a.com", servers: [{ ip: "10.0.0.2" }, { ip: "10.0.0.3" }] })
  yield* call("haproxy_add_domain", { domain: "b.org", share_with: "a.com" })
  yield* call("haproxy_add_domain", { domain: "c.net", ip: "10.0.0.4" })
  return { world, call, canonical: canonicalOf(world) }
})

/** What every test of a dry run needs. */
export type Watched = Pick<DrySite, "world" | "call" | "canonical">

/** A HAProxy with something of everything that is not ours. */
export const makeDryRuntimeSite = Effect.fnUntraced(function*(binary: HaproxyBinary) {
  const site = yield* makeRuntimeSite(binary)
  const { world } = site
  yield* world.consistent
  const call = (tool: string, args: Data = {}) => good(world, tool, args)
  return { ...site, call, canonical: canonicalOf(world) }
})

export type DrySite = Effect.Success<ReturnType<typeof makeDrySite>>
