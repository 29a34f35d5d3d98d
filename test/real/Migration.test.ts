/**
 * In the place of the Python version, with what it left: its database, its maps and what HAProxy runs. The sites of
 * before are used all the while; nobody notices.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, mkdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs"
import { join } from "node:path"
import { live, stored } from "../support/Agreement.ts"
import { makeCertificate } from "../support/Certificates.ts"
import { startOrigin } from "../support/Origin.ts"
import { becomes } from "../support/Poll.ts"
import { leaveDatabase, snapshot } from "../support/Predecessor.ts"
import { startCommand } from "../support/Process.ts"
import { newestLine, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { databaseOf, haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"
import { startVisitors } from "../support/Visitors.ts"

const shape = { pools: 20, slots: 3 }
const kept = /^haproxy_mcp\.db\.predecessor/

const domains = [
  "# kept by hand",
  "shop.example.com pool_1",
  "legacy.example.net \t legacy_app",
  "www.shop.example.com pool_1",
  "example.org pool_2",
  "bad_name.example.net pool_3",
  "Loud.example.net pool_1",
  "far.example.net pool_21",
  "example.org pool_2",
  "bare.example.com pool_5"
]
const wildcards = [".example.org pool_2", ".apps.example.com pool_1", ".old.example.net legacy_app"]

describe.each([realLines[0]!, newestLine])("in the place of the Python version, on HAProxy $line", (binary) => {
  it.live("takes everything over, and no visitor notices", () =>
    Effect.gen(function*() {
      const [shop, org, bad, bare, legacy] = yield* Effect.all(
        ["shop", "org", "bad", "bare", "legacy"].map(startOrigin)
      )
      const haproxy = yield* startHaproxy({
        binary,
        ...shape,
        domains,
        wildcards,
        sections: ["backend legacy_app", `  server app_1 127.0.0.1:${legacy!.port}`, ""]
      })
      const { command, site } = haproxy
      const ports = { 1: shop!.port, 2: org!.port, 3: bad!.port, 5: bare!.port }
      for (const [pool, port] of Object.entries(ports)) {
        yield* command(`set server pool_${pool}/pool_${pool}_1 addr 127.0.0.1 port ${port}`)
        yield* command(`set server pool_${pool}/pool_${pool}_1 state ready`)
      }
      // Set by hand since, and known to HAProxy alone.
      yield* command("set server pool_1/pool_1_1 weight 7")
      yield* command(`set server pool_2/pool_2_2 addr 127.0.0.2 port ${org!.port}`)
      yield* command("set server pool_2/pool_2_2 state drain")
      const database = databaseOf(site)
      leaveDatabase(database, {
        domains: [
          { domain: "shop.example.com", pool: "pool_1" },
          { domain: "example.org", pool: "pool_2" },
          { domain: ".example.org", pool: "pool_2", isWildcard: true },
          { domain: "www.shop.example.com", pool: "pool_1", sharesWith: "shop.example.com" },
          { domain: "bare.example.com", pool: "pool_6" },
          { domain: "bad_name.example.net", pool: "pool_3" }
        ],
        servers: [
          { domain: "shop.example.com", slot: 1, ip: "127.0.0.1", port: shop!.port },
          { domain: "shop.example.com", slot: 9, ip: "127.0.0.1", port: shop!.port },
          { domain: "shop.example.com", slot: 2, ip: "0.0.0.0", port: 0 },
          { domain: "example.org", slot: 1, ip: "127.0.0.1", port: org!.port },
          { domain: "bad_name.example.net", slot: 1, ip: "127.0.0.1", port: bad!.port },
          { domain: "gone.example.net", slot: 1, ip: "10.0.0.9", port: 80 }
        ]
      })
      // Stale: the database is newer.
      writeFileSync(join(site.dir, "conf", "servers.json"), "{\"example.org\": {\"3\": {\"ip\": \"10.9.9.9\"}}}")
      const certificates = join(site.dir, "certs")
      mkdirSync(certificates)
      writeFileSync(join(certificates, "shop.example.com.pem"), makeCertificate(["shop.example.com"]).text)
      const pems = snapshot(certificates, /./)
      const before = snapshot(site.dir, /^haproxy_mcp\.db/)
      const json = snapshot(join(site.dir, "conf"), /json$/)
      const hosts = {
        "shop.example.com": "shop",
        "www.shop.example.com": "shop",
        "x.apps.example.com": "shop",
        "x.example.org": "org",
        "bad_name.example.net": "bad",
        "bare.example.com": "bare",
        "legacy.example.net": "legacy",
        "x.old.example.net": "legacy"
      }
      const visiting = Object.entries(hosts).map(([host, body]) =>
        startVisitors({ port: site.httpPort, host, bodies: [body], visitors: 1, keepAlive: host.length % 2 === 0 })
      )
      const env = settingsOf(site, { ...shape, env: { HAPROXY_CERT_DIR: certificates } })
      const first = yield* startServer({ env })
      yield* Effect.promise(() => first.ready())
      const client = first.client()
      yield* Effect.promise(async () => {
        const list = await client.good("haproxy_list_domains", { include_wildcards: true })
        assert.deepStrictEqual(
          (list["domains"] as Array<Record<string, unknown>>).map((one) =>
            `${one["domain"]} ${one["backend"]} ${one["shares_with"]} ${one["implicit"] ?? ""}`.trim()
          ),
          [
            "*.apps.example.com pool_1 shop.example.com false",
            "*.example.org pool_2 example.org true",
            "bare.example.com pool_5 null",
            "example.org pool_2 null",
            "shop.example.com pool_1 null",
            "www.shop.example.com pool_1 shop.example.com"
          ]
        )
        const certs = await client.good("haproxy_list_certs", {})
        assert.deepStrictEqual(
          (certs["certificates"] as Array<Record<string, unknown>>).map((
            { certificate, last_error, source, status }
          ) => [
            certificate,
            source,
            status,
            last_error
          ]),
          [["shop.example.com", "acme", "valid", null]]
        )
        // A new domain does not get the pool that the refused name uses.
        for (let n = 0; n < 3; n++) {
          const added = await client.good("haproxy_add_domain", { domain: `new${n}.example.net` })
          assert.strictEqual(added["backend"], ["pool_4", "pool_6", "pool_7"][n])
        }
        for (let n = 0; n < 3; n++) await client.good("haproxy_remove_domain", { domain: `new${n}.example.net` })
      })
      for (const one of visiting) {
        const { failures, requests } = yield* Effect.promise(() => one.stop())
        assert.deepStrictEqual(failures, [])
        assert.isAbove(requests, 0)
      }
      const served = yield* live(site)
      assert.include(served, `server pool_1_1 127.0.0.1:${shop!.port} ready 7`)
      assert.include(served, `server pool_2_2 127.0.0.2:${org!.port} drain 1`)
      assert.include(served, `server pool_3_1 127.0.0.1:${bad!.port} ready 1`)
      assert.include(served, "map bad_name.example.net pool_3")
      assert.include(served, "map Loud.example.net pool_1")

      // The predecessor's files: as they were, under another name or the same.
      const after = snapshot(site.dir, kept)
      assert.deepStrictEqual([...after.values()], [...before.values()])
      assert.deepStrictEqual(snapshot(join(site.dir, "conf"), /json$/), json)
      assert.deepStrictEqual(snapshot(certificates, /./), pems)
      const lines = readFileSync(site.domainsMap, "utf8").split("\n")
      const foreign = [domains[0]!, domains[2]!, domains[5]!, domains[6]!, domains[7]!]
      for (const line of foreign) assert.include(lines, line)
      assert.strictEqual(lines.filter((line) => line.startsWith("example.org")).length, 1)
      assert.include(readFileSync(site.wildcardsMap, "utf8").split("\n"), wildcards[2])

      const report = readFileSync(`${database}.migration.txt`, "utf8")
      for (
        const said of [
          /4 domains, 2 wildcards and 3 servers in 3 pools, and 1 certificate\n/,
          /legacy\.example\.net .*leads to legacy_app/,
          /far\.example\.net .*HAPROXY_POOL_COUNT is 20/,
          /bad_name\.example\.net .*contains an underscore/,
          /Loud\.example\.net .*not written as loud\.example\.net/,
          /shop\.example\.com slot 9 .*slots 1 to 3/,
          /gone\.example\.net slot 1 .*no domain or pool/,
          /example\.org .*an entry before it leads to pool_2/,
          /bare\.example\.com .*the database to pool_6: the map counts/,
          /servers\.json .*the database is newer/,
          /6 names, 6 servers, 1 certificate\n/
        ]
      ) assert.match(report, said)
      assert.strictEqual(
        report.match(/./g)!.length > 0 && first.logs().filter(({ msg }) => /took over/.test(msg)).length,
        1
      )

      // Once is enough: a second start changes nothing, and HAProxy gets everything back after a restart.
      assert.strictEqual((yield* Effect.promise(() => first.stop())).code, 0)
      const second = yield* startServer({ env })
      yield* Effect.promise(() => second.ready())
      assert.deepStrictEqual(second.logs().filter(({ msg }) => /took|Took/.test(msg)), [])
      yield* haproxy.restart
      yield* Effect.promise(() =>
        becomes("HAProxy has it all again", async () => await Effect.runPromise(live(site)) === served)
      )
      for (const [host, body] of Object.entries(hosts)) {
        assert.deepStrictEqual(yield* haproxy.get(host), { status: 200, body }, host)
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("without the Python version's database", () => {
  it.live(
    "takes servers.json, and what HAProxy runs as soon as it answers; a lost database is another matter",
    () =>
      Effect.gen(function*() {
        const [one, two] = yield* Effect.all(["one", "two"].map(startOrigin))
        const haproxy = yield* startHaproxy({
          binary: newestLine,
          ...shape,
          domains: ["one.example.com pool_1", "two.example.com pool_2"]
        })
        const { command, site } = haproxy
        for (const [pool, port] of [[1, one!.port], [2, two!.port]]) {
          yield* command(`set server pool_${pool}/pool_${pool}_1 addr 127.0.0.1 port ${port}`)
          yield* command(`set server pool_${pool}/pool_${pool}_1 state ready`)
        }
        // A name that was added since the file was written.
        yield* command(`add map ${site.runtimeDomainsMap} late.example.com pool_2`)
        const before = yield* live(site)
        const env = settingsOf(site, shape)
        const json = join(site.dir, "conf", "servers.json")
        writeFileSync(json, "{\"one.example.com\": {\"1\": {\"ip\": \"127.0.0.1\", ")
        const broken = yield* Effect.promise(() => startCommand(haproxyMcp[0], [haproxyMcp[1], "serve"], { env }).ended)
        assert.strictEqual(broken.code, 2, broken.stderr)
        assert.match(broken.stderr, /servers\.json is not JSON.*\n.*move it away/)

        writeFileSync(json, JSON.stringify({ "one.example.com": { 1: { ip: "127.0.0.1", http_port: one!.port } } }))
        yield* haproxy.pause
        const first = yield* startServer({ env })
        yield* Effect.promise(async () => {
          await becomes("the sources are taken", () =>
            first.logs().some(({ msg }) => msg.startsWith("took over 2 domains")))
          await first.kill()
        })
        yield* haproxy.resume
        const second = yield* startServer({ env })
        yield* Effect.promise(() =>
          second.ready()
        )
        assert.strictEqual(yield* live(site), before)
        assert.deepStrictEqual(
          second.logs().map(({ msg }) => msg).filter((msg) => /took|Took/.test(msg)),
          ["Took over 1 name and 1 server as HAProxy runs them"]
        )
        assert.strictEqual((yield* Effect.promise(() => second.stop())).code, 0)

        // The maps are this program's own by now: without their database nothing is touched until somebody decides.
        for (const end of ["", "-wal"]) rmSync(databaseOf(site) + end, { force: true })
        const third = yield* startServer({ env })
        yield* Effect.promise(async () => {
          await becomes("it says why", () => third.output().includes("The database is empty"))
          assert.strictEqual(await third.probe("/readyz"), 503)
          const adopt = await startCommand(haproxyMcp[0], [haproxyMcp[1], "foreign", "adopt", "--all"], { env }).ended
          assert.strictEqual(adopt.code, 0, adopt.stderr)
          assert.match(adopt.stdout, /^3 domains, 0 wildcards and 2 servers are taken over/)
          await third.ready()
          assert.strictEqual((await third.stop()).code, 0)
        })
        assert.strictEqual(yield* live(site), before)
        assert.strictEqual(yield* stored(databaseOf(site), shape), before)
      }).pipe(Effect.scoped),
    60_000
  )
})

describe("kill -9 while 10,000 domains are taken over", () => {
  it.live("ends as an undisturbed start does", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 10_000 }, (_, n) => `d${n}.example.com pool_${n % 20 + 1}`)
      const servers = Object.fromEntries(
        Array.from({ length: 20 }, (_, n) => [`d${n}.example.com`, { 1: { ip: `10.0.0.${n + 1}`, http_port: 80 } }])
      )
      const result = Effect.fnUntraced(function*(kills: ReadonlyArray<number>) {
        const haproxy = yield* startHaproxy({ binary: newestLine, ...shape, domains: many })
        const { site } = haproxy
        const database = databaseOf(site)
        const env = settingsOf(site, shape)
        leaveDatabase(database, { domains: [{ domain: "only.example.net", pool: "pool_1" }], servers: [] })
        writeFileSync(join(site.dir, "conf", "servers.json"), JSON.stringify(servers))
        for (const event of kills) {
          // At the n-th thing that happens to the database's folder.
          const running = startCommand(haproxyMcp[0], [haproxyMcp[1], "serve"], { env })
          let seen = 0
          const watcher = watch(site.dir, (_, name) => {
            if (name?.startsWith("haproxy_mcp.db") === true && ++seen === event) running.signal("SIGKILL")
          })
          const listening = running.until("HAProxy runs the desired state").then(
            () => running.signal("SIGKILL"),
            () => {}
          )
          yield* Effect.promise(() => running.ended)
          yield* Effect.promise(() => listening)
          watcher.close()
        }
        const server = yield* startServer({ env })
        yield* Effect.promise(() => server.ready())
        assert.strictEqual((yield* Effect.promise(() => server.stop())).code, 0)
        assert.isTrue(existsSync(`${database}.predecessor`))
        const state = yield* stored(database, shape)
        assert.strictEqual(yield* live(site), state)
        return state
      }, Effect.scoped)
      const undisturbed = yield* result([])
      assert.strictEqual(undisturbed.split("\n").length, 10_001)
      assert.strictEqual(yield* result([1, 2, 4, 9, 12, 15, 20]), undisturbed)
    }), 60_000)
})
