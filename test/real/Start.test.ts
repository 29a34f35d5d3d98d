/**
 * `npm start` in the place of the predecessor: with nothing but its variables, beside a haproxy.cfg that was written by
 * hand and that others use too. What is not ours stays as it is, in the files and in HAProxy, whatever happens.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { readFile, readlink } from "node:fs/promises"
import { delimiter, join } from "node:path"
import { promisify } from "node:util"
import { type AnyClient, clients, connected, post } from "../mcp/harness.ts"
import { agreement, live } from "../support/Agreement.ts"
import { available } from "../support/Available.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { foreignRuntime } from "../support/Dump.ts"
import { callEveryTool } from "../support/EveryTool.ts"
import { type Origin, startOrigin } from "../support/Origin.ts"
import { becomes } from "../support/Poll.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { newestLine, type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"
import { startServer } from "../support/ServerProcess.ts"
import { placeAcme } from "../support/StandInAcme.ts"
import { startVisitors, type Tally } from "../support/Visitors.ts"

const shape = { pools: 100, slots: 10 }
const token = "a-token-of-the-predecessor"
const curl = available("the seed's curl itself; the same request is sent by fetch", "curl", "--version")

/** As people write map files. */
const foreignLines = [
  "# moved here in 2019, ask Ann",
  "legacy.example.net \t legacy_app",
  "  old.example.net    legacy_app   "
]
const foreignWildcards = ["# and all below", ".legacy.example.org   legacy_app"]
/** A certificate that people put there and renew themselves. */
const byHand = makeCertificate(["legacy.example.net"])
const foreign = { domains: ["legacy.example.net legacy_app", "old.example.net legacy_app"] }

/** Without our own `node_modules/.bin`, as in a shell: npm itself must find Node 24 for the script. */
const shellPath = (process.env["PATH"] ?? "").split(delimiter)
  .filter((folder) => !folder.includes(join("node_modules", ".bin"))).join(delimiter)

const initialize = (clientInfo: object) => ({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2024-11-05", capabilities: {}, clientInfo }
})

/** The request of the seed's documentation; answers the text that came back. */
const seedsCurl = async (url: string): Promise<string> => {
  const message = initialize({ name: "curl", version: "1" })
  if (!curl) return (await post(url, message, { authorization: `Bearer ${token}` })).text
  const headers = [
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    `Authorization: Bearer ${token}`
  ].flatMap((header) => ["-H", header])
  const args = ["-s", "-X", "POST", url, ...headers, "-d", JSON.stringify(message)]
  return (await promisify(execFile)("curl", args, { timeout: 20_000 })).stdout
}

/** What is not ours is there, byte by byte in the files and entry by entry in HAProxy. */
const assertForeign = Effect.fnUntraced(function*({ command, get, site }: RealHaproxy, when: string) {
  const text = (path: string) => Effect.promise(() => readFile(path, "utf8"))
  const domains = (yield* text(site.domainsMap)).split("\n")
  const wildcards = (yield* text(site.wildcardsMap)).split("\n")
  for (const line of foreignLines) assert.include(domains, line, when)
  for (const line of foreignWildcards) assert.include(wildcards, line, when)
  assert.deepStrictEqual(yield* foreignRuntime(site.runtimeSocket, site.runtimeDomainsMap), foreign.domains, when)
  assert.deepStrictEqual(yield* foreignRuntime(site.runtimeSocket, site.runtimeWildcardsMap), [
    ".legacy.example.org legacy_app"
  ], when)
  const servers = (yield* command("show servers state legacy_app")).split("\n").filter((line) => /app_1/.test(line))
  // be_id be_name srv_id srv_name srv_addr op_state admin_state uweight
  assert.match(servers.join(), /legacy_app \d+ app_1 127\.0\.0\.1 2 0 42 /, when)
  assert.deepStrictEqual(yield* get("a.legacy.example.org"), { status: 200, body: "legacy" }, when)
  assert.strictEqual(yield* text(join(site.certDir, "legacy.example.net.pem")), byHand.text, when)
  const certificate = yield* command(`show ssl cert ${site.runtimeCertDir}/legacy.example.net.pem`)
  assert.match(certificate, new RegExp(`^SHA1 FingerPrint: ${byHand.sha1}$`, "m"), when)
})

const fineClients = clients.map(([name, connect]) => [name.replaceAll(/[^a-z0-9]+/g, "-"), connect] as const)

describe("npm start with the predecessor's variables and a haproxy.cfg written by hand", () => {
  it.live("serves, and what is not ours never notices", () =>
    Effect.gen(function*() {
      const legacy = yield* startOrigin("legacy")
      const origins: readonly [Origin, Origin] = [yield* startOrigin("first"), yield* startOrigin("second")]
      const haproxy = yield* startHaproxy({
        binary: newestLine,
        ...shape,
        mapAlias: true,
        tls: true,
        certAlias: true,
        certificates: { "legacy.example.net.pem": byHand.text },
        // haproxy_reload is among the tools, and visitors keep their connections.
        frontend: ["option idle-close-on-response"],
        domains: foreignLines,
        wildcards: foreignWildcards,
        sections: ["backend legacy_app", `  server app_1 127.0.0.1:${legacy.port} weight 42`, ""]
      })
      const { site } = haproxy
      assert.notStrictEqual(site.runtimeDomainsMap, site.domainsMap)
      const port = yield* Effect.acquireRelease(
        Effect.promise(takePort),
        (taken) => Effect.sync(() => releasePort(taken))
      )
      const database = join(site.dir, "conf", "haproxy_mcp.db")
      const env = {
        PATH: shellPath,
        MCP_HOST: "127.0.0.1",
        MCP_PORT: String(port),
        MCP_TOKEN: token,
        HAPROXY_HOST: "127.0.0.1",
        HAPROXY_PORT: String(site.runtimePort),
        HAPROXY_MAP_FILE: site.domainsMap,
        HAPROXY_DB_FILE: database,
        HAPROXY_SERVERS_FILE: join(site.dir, "conf", "servers.json"),
        HAPROXY_CERTS_FILE: join(site.dir, "conf", "certificates.json"),
        HAPROXY_STATE_FILE: join(site.dir, "servers.state"),
        HAPROXY_MASTER_SOCKET: site.masterSocket,
        HAPROXY_CERT_DIR: site.certDir,
        ...placeAcme(site.dir).env,
        HAPROXY_POOL_COUNT: String(shape.pools),
        HAPROXY_MAX_SLOTS: String(shape.slots)
      }
      const npmStart = startServer({ env, command: ["npm", "start"], token })

      const tallies: Array<Tally> = []
      /** Somebody uses the foreign site, with kept and with fresh connections, while this runs. */
      const underTraffic = <A, E, R>(work: Effect.Effect<A, E, R>) =>
        Effect.gen(function*() {
          const visiting = [true, false].map((keepAlive) =>
            startVisitors({
              port: site.httpPort,
              host: keepAlive ? "legacy.example.net" : "x.legacy.example.org",
              bodies: ["legacy"],
              visitors: 2,
              keepAlive
            })
          )
          const answer = yield* Effect.ensuring(
            work,
            Effect.promise(async () => {
              for (const one of visiting) tallies.push(await one.stop())
            })
          )
          for (const { failures, requests } of tallies) {
            assert.deepStrictEqual(failures, [])
            assert.isAbove(requests, 0)
          }
          return answer
        })

      const first = yield* underTraffic(Effect.gen(function*() {
        const server = yield* npmStart
        assert.strictEqual(server.url, `http://127.0.0.1:${port}`)
        const node = yield* Effect.promise(() => readlink(`/proc/${server.pid}/exe`))
        assert.match(node, /node_modules\/node\/bin\/node$/, "the Node of the packages, not the machine's")
        yield* Effect.promise(() => server.ready())
        yield* assertForeign(haproxy, "after the start")

        const answered = JSON.parse(yield* Effect.promise(() => seedsCurl(`${server.url}/mcp`)))
        assert.deepInclude(answered, { jsonrpc: "2.0", id: 1 })
        assert.deepInclude(answered.result, { protocolVersion: "2024-11-05" })
        assert.deepInclude(answered.result.serverInfo, { name: "haproxy-mcp" })
        const stranger = yield* Effect.promise(() => post(`${server.url}/mcp`, initialize({ name: "x", version: "1" })))
        assert.strictEqual(stranger.status, 401)

        for (const [name, connect] of fineClients) {
          const client: AnyClient = yield* connected(connect, {
            url: `${server.url}/mcp`,
            headers: { authorization: `Bearer ${token}` }
          })
          yield* Effect.promise(() =>
            callEveryTool({
              call: client.call,
              name,
              first: origins[0].port,
              second: origins[1].port,
              visit: (host) => Effect.runPromise(Effect.map(haproxy.get(host), ({ body }) => body)),
              bodies: ["first", "second"],
              tls: { folder: site.certDir, port: site.httpsPort }
            })
          )
        }
        yield* assertForeign(haproxy, "after every tool")

        // Whoever tries to change what is not ours is told so.
        const client = server.client()
        yield* Effect.promise(async () => {
          const taken = await client.call("haproxy_add_domain", { domain: "legacy.example.net", ip: "10.0.0.1" })
          assert.strictEqual(taken.code, "CONFLICT", JSON.stringify(taken.data))
          const other = { backend: "legacy_app", server: "app_1" }
          const weight = await client.call("haproxy_set_server_weight", { ...other, weight: 1 })
          assert.strictEqual(weight.code, "FORBIDDEN", JSON.stringify(weight.data))
          const state = await client.call("haproxy_set_server_state", { ...other, state: "maint" })
          assert.strictEqual(state.code, "FORBIDDEN", JSON.stringify(state.data))
          const removed = await client.call("haproxy_remove_domain", { domain: "old.example.net" })
          assert.notStrictEqual(removed.data["changed"], true, JSON.stringify(removed.data))

          // 200 writes; 50 domains stay.
          let writes = 0
          const write = async (tool: string, args: Readonly<Record<string, unknown>>) => {
            assert.strictEqual((await client.good(tool, args))["changed"], true)
            writes++
          }
          for (let n = 0; writes < 200; n++) {
            const domain = `site${n}.example.com`
            await write("haproxy_add_domain", { domain, ip: "127.0.0.1", http_port: origins[0].port })
            await write("haproxy_add_server", { domain, slot: 0, ip: "127.0.0.2", http_port: origins[0].port })
            await write("haproxy_set_server_weight", { domain, slot: 2, weight: n + 2 })
            await write("haproxy_set_server_state", { domain, slot: 2, state: "maint" })
          }
        })
        yield* assertForeign(haproxy, "after 200 writes")
        return server
      }))
      const served = yield* live(site)

      yield* underTraffic(Effect.gen(function*() {
        const { code, stderr } = yield* Effect.promise(() => first.stop())
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(yield* agreement(site, { ...shape, database }), served)
        yield* assertForeign(haproxy, "without the control plane")
      }))

      const second = yield* underTraffic(Effect.gen(function*() {
        const server = yield* npmStart
        yield* Effect.promise(() => server.ready())
        assert.strictEqual(yield* live(site), served)
        yield* assertForeign(haproxy, "after a restart of the control plane")
        return server
      }))

      // A restart by force cuts everybody, so nobody is counted while it lasts.
      yield* haproxy.restart
      yield* Effect.promise(() =>
        becomes("HAProxy has it all again", async () => await Effect.runPromise(live(site)) === served)
      )
      yield* assertForeign(haproxy, "after a restart of HAProxy")
      assert.deepStrictEqual(yield* haproxy.get("site7.example.com"), { status: 200, body: "first" })

      yield* underTraffic(Effect.gen(function*() {
        const client = second.client()
        yield* Effect.promise(async () => {
          await second.ready()
          for (let n = 0; n < 50; n++) await client.good("haproxy_remove_domain", { domain: `site${n}.example.com` })
          const list = await client.good("haproxy_list_domains", { include_wildcards: true })
          assert.deepInclude(list, { total: 0, domains: [], foreign_entries: 3 })
          assert.strictEqual((await second.stop()).code, 0)
        })
        assert.strictEqual(yield* agreement(site, { ...shape, database }), "")
        yield* assertForeign(haproxy, "at the end")
      }))
      const requests = tallies.reduce((sum, tally) => sum + tally.requests, 0)
      console.log(
        `start: HAProxy ${newestLine.version}: ${requests} requests to the foreign site, 0 failed; ${
          curl ? "the seed's curl by curl" : "the seed's curl by FETCH, for there is no curl"
        }`
      )
    }).pipe(Effect.scoped), 120_000)
})
