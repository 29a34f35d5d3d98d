/**
 * The default path as its users have it: acme.sh's own dns_cf with a token from a file, against a stand-in of
 * Cloudflare's API and a real CA, without a network.
 */
import { assert, layer, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { X509Certificate } from "node:crypto"
import { Acme } from "../../src/acme/Acme.ts"
import { startCloudflare } from "../support/Cloudflare.ts"
import { acmeHome, type Pebble, startPebble } from "../support/Pebble.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs.
vi.setConfig({ testTimeout: 180_000 })

class Ca extends Context.Service<Ca, Pebble>()("test/Ca") {
  static readonly layer = Layer.effect(Ca, startPebble())
}

const token = "canary-token-5up3r53cr3t"

const cloudHome = Effect.fnUntraced(function*(zones: ReadonlyArray<string>) {
  const ca = yield* Ca
  const cloud = yield* startCloudflare(ca, { zones, token })
  const home = yield* acmeHome(ca, { acmeDns: "dns_cf" })
  home.write(".curlrc", cloud.curlrc)
  return { ca, cloud, home }
})

const silent = () => Effect.void

layer(Ca.layer, { excludeTestServices: true, concurrent: true })("dns_cf", (it) => {
  it.effect("a token in certbot's cloudflare.ini gives a certificate and is seen nowhere", () =>
    Effect.gen(function*() {
      const { cloud, home } = yield* cloudHome(["cloud.test"])
      home.write("credentials.ini", `# certbot\ndns_cloudflare_api_token = ${token}\n`)
      const { argumentLists, options } = home.recording()
      const issued = yield* Effect.flatMap(Acme, (acme) => acme.issue(["cloud.test", "*.cloud.test"], silent)).pipe(
        Effect.provide(Acme.layer(options))
      )
      assert.deepStrictEqual(cloud.seen, [], "nobody could see the token while a request was answered")
      assert.notInclude(argumentLists(), token)
      const certificate = new X509Certificate(issued.chain)
      assert.strictEqual(certificate.subjectAltName, "DNS:cloud.test, DNS:*.cloud.test")
      assert.deepStrictEqual(cloud.records(), [], "the records are gone again")
      const kinds = cloud.requests.map((request) => request.replace(/ .* /, " "))
      assert.strictEqual(kinds.filter((kind) => kind === "POST 200").length, 2)
      assert.strictEqual(kinds.filter((kind) => kind === "DELETE 200").length, 2)
    }))

  it.effect("a wrong token fails with words of ours, and is in none of them", () =>
    Effect.gen(function*() {
      const { cloud, home } = yield* cloudHome(["wrong.test"])
      const wrong = "canary-wrong-t0k3n"
      home.write("credentials.ini", `CF_Token='${wrong}'\n`)
      const { argumentLists, options } = home.recording()
      const failed = yield* Effect.flatMap(Acme, (acme) => acme.issue(["wrong.test"], silent)).pipe(
        Effect.provide(Acme.layer(options)),
        Effect.flip
      )
      assert.notInclude(argumentLists(), wrong)
      assert.strictEqual(failed._tag, "AcmeFailed")
      assert.match(failed.message, /^The DNS hook dns_cf found no zone/)
      assert.isFalse(failed.code === "ACME_FAILED" && failed.retryable)
      assert.notInclude(JSON.stringify(failed), "canary")
      assert.isTrue(cloud.requests.every((request) => request.endsWith(" 403")))
    }))

  it.effect("without credentials nothing is tried", () =>
    Effect.gen(function*() {
      const { cloud, home } = yield* cloudHome(["none.test"])
      const failed = yield* Effect.flatMap(Acme, (acme) => acme.issue(["none.test"], silent)).pipe(
        Effect.provide(Acme.layer(home.options)),
        Effect.flip
      )
      assert.strictEqual(failed.code, "CONFIG_INVALID")
      assert.include(failed.message, "CF_Token")
      assert.deepStrictEqual(cloud.requests, [])
    }))
})
