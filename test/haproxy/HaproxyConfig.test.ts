import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type IncomingHttpHeaders, type Server as HttpServer } from "node:http"
import { request } from "node:https"
import { type AddressInfo, createConnection } from "node:net"
import { join } from "node:path"
import type { Port, ServerIp } from "../../src/domain/Address.ts"
import type { Route } from "../../src/domain/Change.ts"
import type { PoolNumber, Server, SlotNumber, Weight } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import * as HaproxyConfig from "../../src/haproxy/HaproxyConfig.ts"
import { type FileState, MapFiles } from "../../src/haproxy/MapFiles.ts"
import { releasePort, takePort } from "../support/Ports.ts"
import { makeSite, realLines, type Site, startIn } from "../support/RealHaproxy.ts"

const limits = { pools: 8, slots: 2 }

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
  tls: { certificates: "/opt/haproxy/certs", quic: true },
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

/** One web server per pool; it answers its pool's name and the headers it saw. */
const webServer = (name: string, host = "127.0.0.1") =>
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

const seen = (body: string) => JSON.parse(body) as { readonly name: string; readonly headers: IncomingHttpHeaders }

const route = (name: string, pool: number): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq: 1
})
const server = (pool: number, port: number, more: Partial<Server> = {}): Server => ({
  pool: pool as PoolNumber,
  slot: 1 as SlotNumber,
  ip: "127.0.0.1" as ServerIp,
  port: port as Port,
  weight: 1 as Weight,
  state: "ready",
  ...more
})

const optionsFor = (site: Site): HaproxyConfig.HaproxyConfigOptions => ({
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

const writeFiles = Effect.fnUntraced(function*(site: Site, state: FileState) {
  const layer = MapFiles.layer({ domains: site.domainsMap, pools: site.poolsFile, limits })
  const context = yield* Layer.build(layer)
  yield* Effect.flatMap(MapFiles, (files) => files.reset(state)).pipe(Effect.provideContext(context))
})

const port = Effect.acquireRelease(Effect.promise(takePort), (taken) => Effect.sync(() => releasePort(taken)))

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

const certificateFor = (dir: string, name: string) => {
  mkdirSync(dir, { recursive: true })
  const args = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
  execFileSync("openssl", [
    ...args,
    "-subj",
    `/CN=${name}`,
    "-keyout",
    join(dir, "..", "key"),
    "-out",
    join(dir, "..", "crt")
  ], {
    stdio: "ignore"
  })
  writeFileSync(
    join(dir, `${name}.pem`),
    readFileSync(join(dir, "..", "crt")).toString() + readFileSync(join(dir, "..", "key"))
  )
}

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
      const certificates = join(site.dir, "certs")
      certificateFor(certificates, "a.example.com")
      const base = optionsFor(site)
      const tls = { certificates, quic: true }
      const odd = join(site.dir, "odd-(name),no-blanks.map")
      writeFileSync(odd, "")
      const variants: ReadonlyArray<Partial<HaproxyConfig.HaproxyConfigOptions>> = [
        {},
        { poolsFile: null },
        { healthChecks: false, log: "stdout format raw daemon" },
        { tls: { certificates, quic: false }, addresses: ["0.0.0.0", "::"] },
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

  it.effect("speaks HTTPS, HTTP/3 and for the control plane, and says itself who asks", () =>
    Effect.gen(function*() {
      const shop = yield* webServer("shop")
      const control = yield* webServer("control")
      const https = yield* port
      const site = yield* makeSite({
        config: (made) =>
          HaproxyConfig.render({
            ...optionsFor(made),
            httpsPort: https,
            tls: { certificates: join(made.dir, "certs"), quic: true },
            mcp: { host: "mcp.example.com", ip: "127.0.0.1", port: control }
          })
      })
      certificateFor(join(site.dir, "certs"), "shop.example.com")
      certificateFor(join(site.dir, "certs"), "mcp.example.com")
      yield* writeFiles(site, { routes: [route("shop.example.com", 1)], servers: [server(1, shop)] })
      const haproxy = yield* startIn(site, binary, true)
      const ask = (name: string) =>
        Effect.result(Effect.tryPromise(() =>
          new Promise<{ readonly body: string; readonly headers: IncomingHttpHeaders }>((resolve, reject) => {
            const sent = request({
              host: "127.0.0.1",
              port: https,
              servername: name,
              rejectUnauthorized: false,
              agent: false,
              headers: {
                host: name,
                "x-forwarded-for": "6.6.6.6",
                forwarded: "for=6.6.6.6",
                "x-forwarded-proto": "http"
              }
            }, (response) => {
              let body = ""
              response.on("data", (part: Buffer) => {
                body += part.toString()
              })
              response.once("end", () => resolve({ body, headers: response.headers }))
            })
            sent.once("error", reject)
            sent.end()
          })
        ))
      for (const [host, name] of [["shop.example.com", "shop"], ["mcp.example.com", "control"]] as const) {
        const answer = yield* Effect.flatMap(ask(host), Effect.fromResult)
        assert.strictEqual(seen(answer.body).name, name)
        assert.strictEqual(answer.headers["alt-svc"], `h3=":${https}"; ma=86400`)
        const { headers } = seen(answer.body)
        assert.strictEqual(headers["x-forwarded-for"], "127.0.0.1")
        assert.strictEqual(headers["x-forwarded-proto"], "https")
        assert.isUndefined(headers["forwarded"])
      }
      // No certificate for a name: no answer, rather than another site's certificate.
      assert.strictEqual((yield* ask("other.example.com"))._tag, "Failure")
      assert.strictEqual((yield* haproxy.get("mcp.example.com")).status, 308)
      assert.strictEqual(seen((yield* haproxy.get("shop.example.com")).body).headers["x-forwarded-proto"], "http")
      const udp = `:${https.toString(16).toUpperCase().padStart(4, "0")} `
      assert.include(readFileSync("/proc/net/udp", "utf8"), udp)
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
