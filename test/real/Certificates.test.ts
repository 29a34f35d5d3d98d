/**
 * From nothing to HTTPS on a real CA: Pebble, the real acme.sh with a DNS hook, every line of HAProxy, and curl, which
 * checks the chain, as the visitor over HTTP/1.1, HTTP/2 and HTTP/3. Then a renewal, and the end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { deleteCert } from "../../src/program/certificates/Delete.ts"
import { issueCert } from "../../src/program/certificates/Issue.ts"
import { renewCert } from "../../src/program/certificates/Renew.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { compared, shown } from "../program/certificates/support/Issuer.ts"
import { curl, curlPath, type Fetched } from "../support/Curl.ts"
import { startOrigin } from "../support/Origin.ts"
import { acmeHome, startPebble } from "../support/Pebble.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { startVisitors } from "../support/Visitors.ts"
import { makeWorld } from "../support/World.ts"

/** HAProxy 3.0 loses some hellos of HTTP/3: short ones, and again when no answer comes. */
const overHttp3 = Effect.fnUntraced(function*(line: string, url: string, root: string) {
  const old = line === "3.0"
  let last: Fetched | undefined
  for (let attempt = 0; attempt < (old ? 12 : 1); attempt++) {
    last = yield* curl(url, {
      version: "3-only",
      root,
      args: old ? ["--curves", "X25519"] : [],
      limit: old ? 1_500 : 10_000
    })
    // 28: no answer in time.
    if (last.exit !== 28) break
  }
  return last!
})

describe.skipIf(curlPath === null)("a certificate of a real CA", () => {
  it.live("is issued, served, renewed and deleted on every line of HAProxy", () =>
    Effect.gen(function*() {
      const origin = yield* startOrigin("shop")
      const onLine = Effect.fnUntraced(function*(binary: (typeof realLines)[number]) {
        // A CA for each: all of them prove the same name by the same TXT record.
        const pebble = yield* startPebble()
        const home = yield* acmeHome(pebble)
        const root = home.write("pebble-root.pem", pebble.root)
        const world = yield* makeWorld({ binary, tls: { quic: true }, acme: () => home.options })
        yield* world.run(compared)
        const { site } = world
        const https = (host: string) => `https://${host}:${site.httpsPort}/`
        yield* world.run(addDomain({ domain: "example.test", ip: "127.0.0.1", http_port: origin.port }))
        const before = yield* curl(https("example.test"), { root })
        assert.notStrictEqual(before.exit, 0, "HTTPS before there is a certificate")

        const issued = yield* world.run(issueCert({ domain: "example.test" }))
        assert.deepInclude(issued, { changed: true, proved: true, domains: ["example.test", "*.example.test"] })
        assert.deepStrictEqual(issued.warnings, [])
        const visits = () =>
          Effect.all([
            curl(https("example.test"), { version: "1.1", root }),
            curl(https("a.example.test"), { version: "2", root }),
            overHttp3(binary.line, https("www.example.test"), root)
          ], { concurrency: 3 })
        const expected = ["1.1", "2", "3"].map((version) => [0, 200, version, "shop"])
        const seen = (answers: ReadonlyArray<Fetched>) =>
          answers.map(({ body, exit, status, version }) => [exit, status, version, body])
        assert.deepStrictEqual(seen(yield* visits()), expected, binary.line)

        // Visitors all the while, each request with a handshake of its own: none finds the site without a certificate.
        const visiting = startVisitors({
          port: site.httpsPort,
          host: "example.test",
          bodies: ["shop"],
          visitors: 1,
          keepAlive: false,
          trust: pebble.root
        })
        const renewed = yield* world.run(renewCert({ domain: "www.example.test", force: true }))
        const tally = yield* Effect.promise(() => visiting.stop())
        assert.deepStrictEqual(tally.failures, [])
        assert.isAbove(tally.requests, 10)
        assert.isTrue(renewed.changed)
        assert.notStrictEqual(renewed.fingerprint_sha256, issued.fingerprint_sha256)
        assert.strictEqual(yield* shown(world, "a.example.test"), renewed.fingerprint_sha256)
        assert.deepStrictEqual(seen(yield* visits()), expected, binary.line)
        assert.deepStrictEqual(readdirSync(site.certDir), ["example.test.pem"])

        const refused = yield* Effect.flip(world.run(deleteCert({ domain: "example.test" })))
        assert.strictEqual(refused.code, "CONFLICT")
        const deleted = yield* world.run(deleteCert({ domain: "example.test", force: true }))
        assert.deepStrictEqual(deleted.needed_by, ["*.example.test", "example.test"])
        assert.notStrictEqual((yield* curl(https("example.test"), { root })).exit, 0)
        assert.deepStrictEqual(readdirSync(site.certDir), [])
      })
      yield* Effect.forEach(realLines, (binary) => Effect.scoped(onLine(binary)), { concurrency: 3, discard: true })
    }), 180_000)
})
