/** A HAProxy with something of everything that is not ours, and a control plane whose commands are recorded. */
import * as Effect from "effect/Effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createConnection } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HaproxyBinary } from "../../../scripts/haproxy.ts"
import { makeCertificate } from "../../support/Certificates.ts"
import { startHeldOrigin } from "../../support/HeldOrigin.ts"
import { startOrigin } from "../../support/Origin.ts"
import { bad, type Data, good } from "../../support/ToolCalls.ts"
import { makeWatchedWorld } from "../../support/WatchedWorld.ts"

/** A folder with a map of networks and an ACL of paths. */
const makeLists = Effect.acquireRelease(
  Effect.promise(async () => {
    const dir = await mkdtemp(join(tmpdir(), "lists-"))
    const [geo, paths] = [join(dir, "geo.map"), join(dir, "paths.acl")]
    await writeFile(geo, "10.0.0.0/8 inside\n192.0.2.0/24 docs\n")
    await writeFile(paths, "/wp-login.php\n/xmlrpc.php\n")
    return { dir, geo, paths }
  }),
  ({ dir }) => Effect.promise(() => rm(dir, { recursive: true }))
)

/** A request that breaks the rules of HTTP. */
const sendInvalid = (port: number): Promise<void> =>
  new Promise((resolve) => {
    const socket = createConnection(port, "127.0.0.1")
    socket.on("error", () => {}).on("data", () => {}).once("close", () => resolve())
    socket.write("GET /\u0001evil HTTP/1.1\r\nHost: e\r\n\r\n")
  })

export const makeRuntimeSite = Effect.fnUntraced(function*(binary: HaproxyBinary) {
  const [one, two, held] = [yield* startOrigin("one"), yield* startOrigin("two"), yield* startHeldOrigin]
  const lists = yield* makeLists
  const world = yield* makeWatchedWorld({
    binary,
    pools: 3,
    slots: 2,
    tls: { list: "file" },
    certificates: { "a.pem": makeCertificate(["a.example.com", "*.a.example.com"]).text },
    domains: ["app.example.com app", "held.example.com held"],
    frontend: [
      `http-request set-header x-where %[src,map_ip(${lists.geo})]`,
      `http-request deny if { path -f ${lists.paths} }`,
      "http-request track-sc0 src table clients"
    ],
    sections: [
      "backend app from base",
      "  balance roundrobin",
      `  server s1 127.0.0.1:${one.port} check inter 200ms agent-check agent-addr 127.0.0.1 agent-port 9 agent-inter 10s`,
      "",
      "backend held from base",
      "  balance roundrobin",
      `  server h1 127.0.0.1:${held.port}`,
      "",
      "frontend other from base",
      `  bind unix@${lists.dir}/other.sock`,
      "  default_backend app",
      "",
      "backend clients from base",
      "  stick-table type ip size 10k expire 10m store gpc0,http_req_rate(10s),http_req_cnt",
      ""
    ]
  })
  yield* Effect.promise(() => sendInvalid(world.haproxy.site.httpPort))
  /** What each tool sent. */
  const sent = new Map<string, Array<string>>()
  const use = Effect.fnUntraced(function*(tool: string, args: Data = {}) {
    const from = world.sent.length
    const answer = yield* good(world, tool, args)
    sent.set(tool, [...sent.get(tool) ?? [], ...world.sent.slice(from)])
    return answer
  })
  /** A refusal that sends nothing which may change anything. */
  const refuse = (tool: string, args: Data, code: string) => bad(world, tool, args, code)
  return { world, use, refuse, sent, one, two, held, lists }
})

export type RuntimeSite = Effect.Success<ReturnType<typeof makeRuntimeSite>>
