/**
 * From nothing to HTTPS on a real CA: Pebble, the real acme.sh with a DNS hook, every line of HAProxy, and curl, which
 * checks the chain, as the visitor over HTTP/1.1, HTTP/2 and HTTP/3. Then a renewal, and the end.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { deleteCert } from "../../src/program/certificates/Delete.ts"
import { issueCert } from "../../src/program/certificates/Issue.ts"
import { loadCert } from "../../src/program/certificates/Load.ts"
import { renewCert } from "../../src/program/certificates/Renew.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { LongestCall } from "../../src/program/Operations.ts"
import { compared, shown } from "../program/certificates/support/Issuer.ts"
import { curl, curlPath, type Fetched } from "../support/Curl.ts"
import { startOrigin } from "../support/Origin.ts"
import { acmeHome, startPebble } from "../support/Pebble.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { startVisitors } from "../support/Visitors.ts"
import { makeWorld } from "../support/World.ts"

/** On a loaded machine a CA takes longer than a call may. */
const patiently = Effect.provideService(LongestCall, 120_000)

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
      const pebble = yield* startPebble()
      const home = yield* acmeHome(pebble)
      const origin = yield* startOrigin("shop")
      const root = home.write("pebble-root.pem", pebble.root)

      const worldOn = Effect.fnUntraced(function*(binary: (typeof realLines)[number]) {
        const world = yield* makeWorld({ binary, tls: { quic: true }, acme: () => home.options })
        yield* world.run(compared)
        yield* world.run(addDomain({ domain: "example.test", ip: "127.0.0.1", http_port: origin.port }))
        return { world, line: binary.line, file: join(world.site.certDir, "example.test.pem") }
      })
      type Here = Effect.Success<ReturnType<typeof worldOn>>
      const https = ({ world }: Here, host: string) => `https://${host}:${world.site.httpsPort}/`
      /** Three visitors, each by another version of HTTP, who trust the CA's root alone. */
      const visited = Effect.fnUntraced(function*(here: Here) {
        const answers = yield* Effect.all([
          curl(https(here, "example.test"), { version: "1.1", root }),
          curl(https(here, "a.example.test"), { version: "2", root }),
          overHttp3(here.line, https(here, "www.example.test"), root)
        ], { concurrency: 3 })
        assert.deepStrictEqual(
          answers.map(({ body, exit, status, version }) => [exit, status, version, body]),
          ["1.1", "2", "3"].map((version) => [0, 200, version, "shop"]),
          here.line
        )
      })

      const all = yield* Effect.forEach(realLines, worldOn)
      const issuer = all.at(-1)!
      const others = all.slice(0, -1)
      /** The certificate of the one that issues, on the others, as an operator would bring it there. */
      const bringTo = Effect.fnUntraced(function*(here: Here, expected: string) {
        writeFileSync(here.file, readFileSync(issuer.file), { mode: 0o600 })
        const loaded = yield* here.world.run(loadCert({ domain: "example.test" }))
        assert.deepInclude(loaded, { changed: true, proved: true, fingerprint_sha256: expected })
        yield* visited(here)
      })

      const before = yield* curl(https(issuer, "example.test"), { root })
      assert.notStrictEqual(before.exit, 0, "HTTPS before there is a certificate")
      const issued = yield* issuer.world.run(patiently(issueCert({ domain: "example.test" })))
      assert.deepInclude(issued, { changed: true, proved: true, domains: ["example.test", "*.example.test"] })
      assert.deepStrictEqual(issued.warnings, [])
      yield* visited(issuer)
      yield* Effect.forEach(others, (here) => bringTo(here, issued.fingerprint_sha256), { discard: true })

      // A visitor all the while, each request with a handshake of its own: never is the site without a certificate.
      const visiting = startVisitors({
        port: issuer.world.site.httpsPort,
        host: "example.test",
        bodies: ["shop"],
        visitors: 1,
        keepAlive: false,
        trust: pebble.root
      })
      const renewed = yield* issuer.world.run(patiently(renewCert({ domain: "www.example.test", force: true })))
      const tally = yield* Effect.promise(() => visiting.stop())
      assert.deepStrictEqual(tally.failures, [])
      assert.isAbove(tally.requests, 10)
      assert.isTrue(renewed.changed)
      assert.notStrictEqual(renewed.fingerprint_sha256, issued.fingerprint_sha256)
      assert.strictEqual(yield* shown(issuer.world, "a.example.test"), renewed.fingerprint_sha256)
      yield* visited(issuer)
      yield* Effect.forEach(others, (here) => bringTo(here, renewed.fingerprint_sha256), { discard: true })

      yield* Effect.forEach(all, ({ file, world }) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(readdirSync(world.site.certDir), [basename(file)])
          const refused = yield* Effect.flip(world.run(deleteCert({ domain: "example.test" })))
          assert.strictEqual(refused.code, "CONFLICT")
          const deleted = yield* world.run(deleteCert({ domain: "example.test", force: true }))
          assert.deepStrictEqual(deleted.needed_by, ["*.example.test", "example.test"])
          assert.strictEqual(yield* shown(world, "example.test"), "Refused")
          assert.deepStrictEqual(readdirSync(world.site.certDir), [])
        }), { discard: true })
    }), 180_000)
})
