import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createConnection } from "node:net"
import { join } from "node:path"
import type { ServerIp } from "../../src/domain/Address.ts"
import type { Weight } from "../../src/domain/Pool.ts"
import * as HaproxyConfig from "../../src/haproxy/HaproxyConfig.ts"
import type { HttpsOptions } from "../../src/haproxy/HttpsConfig.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { optionsFor, route, seen, server, webServer, writeFiles } from "../support/GeneratedSite.ts"
import { makeSite, realLines, startIn } from "../support/RealHaproxy.ts"

/** A golden file; with UPDATE_GOLDEN=1 it is written first. */
const golden = (name: string, text: string): string => {
  const file = join(import.meta.dirname, "..", "golden", name)
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, text)
  return readFileSync(file, "utf8")
}

const options: HaproxyConfig.HaproxyConfigOptions = {
  ...HaproxyConfig.defaultOptions,
  limits: { pools: 2, slots: 2 },
  maps: { domains: "/opt/haproxy/conf/domains.map", wildcards: "/opt/haproxy/conf/wildcards.map" },
  poolsFile: null
}
const everything: HaproxyConfig.HaproxyConfigOptions = {
  ...options,
  poolsFile: "/opt/haproxy/conf/pools.cfg",
  addresses: ["0.0.0.0", "::"],
  tls: { certificates: { folder: "/opt/haproxy/certs" }, strictSni: true, http3: true, redirect: true },
  runtime: {
    socket: { path: "/run/haproxy/admin.sock", group: "haproxy-mcp" },
    tcp: { ip: "127.0.0.1", port: 9999 }
  },
  mcp: { host: "mcp.example.com", ip: "127.0.0.1", port: 8000 }
}

describe("the printed configuration", () => {
  it("is the golden one", () => {
    for (const [name, wanted] of [["haproxy-small.cfg", options], ["haproxy-everything.cfg", everything]] as const) {
      const text = HaproxyConfig.render(wanted)
      assert.strictEqual(text, golden(name, text))
    }
  })

  it("refuses a path that it could not write", () => {
    for (const path of ["/a\nb", "/a\"b", "/a$b", "/a'b"]) {
      assert.throws(() => HaproxyConfig.render({ ...options, maps: { ...options.maps, domains: path } }), RangeError)
    }
  })

  it("refuses a map that no Runtime API command can name", () => {
    for (const path of ["/srv/my maps/domains.map", "/srv/a;b.map", "/srv/#1.map", "/srv/käse.map"]) {
      for (const maps of [{ ...options.maps, domains: path }, { ...options.maps, wildcards: path }]) {
        assert.throws(() => HaproxyConfig.render({ ...options, maps }), /The Runtime API cannot name the map/, path)
      }
    }
    assert.include(
      HaproxyConfig.render({ ...options, poolsFile: "/srv/my pools/pools.cfg" }),
      "-f \"/srv/my pools/pools.cfg\""
    )
  })
})

/** Bytes in, bytes out, for requests that no client library writes. */
const raw = (to: number, text: string) =>
  Effect.promise(() =>
    new Promise<string>((resolve, reject) => {
      const connection = createConnection(to, "127.0.0.1")
      let answer = ""
      connection.on("data", (part: Buffer) => {
        answer += part.toString("latin1")
      })
      connection.once("error", reject)
      connection.once("close", () => resolve(answer))
      connection.write(text)
    })
  )

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.effect("every variant passes HAProxy's own check without a warning", () =>
    Effect.gen(function*() {
      const site = yield* makeSite({ poolsFile: false })
      yield* writeFiles(site, {
        routes: [],
        servers: [
          server(1, 80, { ip: "2001:db8::5" as ServerIp }),
          server(2, 80, { state: "drain", weight: 7 as Weight }),
          server(3, 80, { state: "maint" })
        ]
      })
      const folder = join(site.dir, "certs")
      mkdirSync(folder)
      const file = join(folder, "a.example.com.pem")
      writeFileSync(file, new FastAuthority().issue(["a.example.com"]).text)
      const list = join(site.dir, "crt-list.txt")
      writeFileSync(list, `${file}\n`)
      const base = optionsFor(site)
      const tls: HttpsOptions = { certificates: { folder }, strictSni: true, http3: true, redirect: false }
      const odd = join(site.dir, "odd-(name),no-blanks.map")
      writeFileSync(odd, "")
      const variants: ReadonlyArray<Partial<HaproxyConfig.HaproxyConfigOptions>> = [
        {},
        { poolsFile: null },
        { healthChecks: false, log: "stdout format raw daemon" },
        { tls: { ...tls, http3: false }, addresses: ["0.0.0.0", "::"] },
        { tls: { ...tls, certificates: { list }, strictSni: false, redirect: true } },
        { tls, addresses: ["127.0.0.1", "::1", "::"], mcp: { host: "mcp.example.com", ip: "::1", port: 8000 } },
        { maps: { domains: odd, wildcards: odd } },
        { runtime: { socket: null, tcp: { ip: "::1", port: 9999 } } }
      ]
      for (const variant of variants) {
        const all = { ...base, ...variant }
        writeFileSync(site.configFile, HaproxyConfig.render(all))
        const files = ["-f", site.configFile, ...(all.poolsFile === null ? [] : ["-f", all.poolsFile])]
        const checked = spawnSync(binary.path, ["-c", ...files], { encoding: "utf8" })
        const output = checked.stdout + checked.stderr
        assert.strictEqual(checked.status, 0, output)
        assert.notMatch(output, /WARNING|ALERT/)
      }
    }))

  it.effect("routes: exact before wildcard, the nearest wildcard, four levels, nothing else", () =>
    Effect.gen(function*() {
      const web = yield* Effect.forEach(["one", "two", "three", "four"], (name) => webServer(name))
      const site = yield* makeSite({ config: (made) => HaproxyConfig.render(optionsFor(made)) })
      yield* writeFiles(site, {
        routes: [
          route("shop.example.com", 1),
          route("*.example.com", 2),
          route("*.eu.example.com", 3),
          route("empty.test", 5),
          route("drained.test", 6),
          route("missing.test", 7)
        ],
        servers: [
          ...web.map((at, index) => server(index + 1, at)),
          server(6, web[0]!, { state: "drain" }),
          server(7, web[0]!, { state: "maint" })
        ]
      })
      const haproxy = yield* startIn(site, binary, true)
      const reached = (host: string) =>
        Effect.map(
          haproxy.get(host),
          ({ status, body }) => status === 200 ? seen(body).name : `${status} ${body.trim()}`
        )

      const expected: ReadonlyArray<readonly [host: string, answer: string]> = [
        ["shop.example.com", "one"],
        ["shop.example.com:8080", "one"],
        ["SHOP.Example.COM", "one"],
        ["SHOP.Example.COM.:80", "one"],
        ["shop.example.com.", "one"],
        ["a.example.com", "two"],
        ["b.a.example.com", "two"],
        ["c.b.a.example.com", "two"],
        ["d.c.b.a.example.com", "two"],
        ["e.d.c.b.a.example.com", "404 No site has this name here."],
        ["x.shop.example.com", "two"],
        ["eu.example.com", "two"],
        ["a.eu.example.com", "three"],
        ["d.c.b.a.eu.example.com", "three"],
        ["example.com", "404 No site has this name here."],
        ["notexample.com", "404 No site has this name here."],
        ["nobody.test", "404 No site has this name here."],
        ["localhost", "404 No site has this name here."],
        ["127.0.0.1:80", "404 No site has this name here."],
        ["[::1]:80", "404 No site has this name here."],
        ["[::1]", "404 No site has this name here."],
        ["empty.test", "503 No server of this site is ready. Try again soon."],
        ["drained.test", "503 No server of this site is ready. Try again soon."],
        ["missing.test", "503 No server of this site is ready. Try again soon."]
      ]
      for (const [host, answer] of expected) assert.strictEqual(yield* reached(host), answer, host)

      assert.match(yield* raw(site.httpPort, "GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 404 /)
      assert.match(
        yield* raw(site.httpPort, "GET / HTTP/1.1\r\nhost:\r\nconnection: close\r\n\r\n"),
        /^HTTP\/1\.1 404 /
      )
      const absolute = "GET http://shop.example.com/ HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n"
      assert.match(yield* raw(site.httpPort, absolute), /"name":"one"/)
    }))

  it.effect("has what pools made at run time need", () =>
    Effect.gen(function*() {
      const web = yield* webServer("made")
      const site = yield* makeSite({ config: (made) => HaproxyConfig.render(optionsFor(made)) })
      yield* writeFiles(site, { routes: [], servers: [] })
      const haproxy = yield* startIn(site, binary, true)
      const added = yield* haproxy.command("add backend pool_9 from haproxy_mcp_pools mode http")
      if (!added.includes("New backend registered")) {
        // Below 3.4 the command does not exist.
        assert.match(added, /Unknown command/i)
        assert.isBelow(Number(binary.line), 3.4)
        return
      }
      for (
        const line of [
          `add server pool_9/pool_9_1 127.0.0.1:${web}`,
          "enable server pool_9/pool_9_1",
          "publish backend pool_9",
          `add map ${site.runtimeDomainsMap} made.test pool_9`
        ]
      ) assert.notMatch(yield* haproxy.command(line), /Unknown|not found|Can't|No such/i, line)
      assert.strictEqual(seen((yield* haproxy.get("made.test")).body).name, "made")
    }))
})
