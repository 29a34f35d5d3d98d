/** A CA that gives accounts only with an external account binding (RFC 8555, 7.3.4). */
import { assert, layer, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Acme, type AcmeOptions } from "../../src/acme/Acme.ts"
import { acmeHome, type Pebble, startPebble } from "../support/Pebble.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs.
vi.setConfig({ testTimeout: 180_000 })

const binding = { kid: "kid-1", hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" }
const hex = Buffer.from(binding.hmacKey, "base64url").toString("hex")

class Ca extends Context.Service<Ca, Pebble>()("test/Ca") {
  static readonly layer = Layer.effect(Ca, startPebble({ binding, badNonces: 0 }))
}

const issue = (options: AcmeOptions) =>
  Effect.flatMap(Acme, (acme) => acme.issue(["bound.test"], () => Effect.void)).pipe(
    Effect.provide(Acme.layer(options))
  )

layer(Ca.layer, { excludeTestServices: true, concurrent: true })("external account binding", (it) => {
  it.effect("from the file of credentials: the key is in ca.conf alone, not in an argument", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(yield* Ca)
      home.write("credentials.ini", `ACME_EAB_KID=${binding.kid}\nACME_EAB_HMAC_KEY="${binding.hmacKey}"\n`)
      const { argumentLists, options } = home.recording()
      const issued = yield* issue(options)
      for (const secret of [binding.hmacKey, hex]) assert.notInclude(argumentLists(), secret)
      assert.include(issued.chain, "BEGIN CERTIFICATE")
      const file = join(home.folder, "ca/localhost/dir/ca.conf")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.include(readFileSync(file, "utf8"), `CA_EAB_HMAC_KEY='${binding.hmacKey}'`)
    }))

  it.effect("none, and a wrong one", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(yield* Ca)
      const none = yield* Effect.flip(issue(home.options))
      assert.match(none.message, /an external account binding is needed/)
      const canary = "Y2FuYXJ5LWhtYWMta2V5LWNhbmFyeS1obWFjLWtleQ"
      const wrong = yield* Effect.flip(
        issue({ ...home.options, acmeEabKid: binding.kid, acmeEabHmacKey: Redacted.make(canary) })
      )
      assert.strictEqual(wrong.code, "ACME_FAILED")
      assert.notInclude(JSON.stringify(wrong), canary)
      assert.match(wrong.message, /account|refuses/)
    }))

  it.effect("a CA that is known to want one is not even asked", () =>
    Effect.gen(function*() {
      const home = yield* acmeHome(yield* Ca, { acmeServer: "google" })
      const refused = yield* Effect.flip(issue(home.options))
      assert.deepStrictEqual([refused.code, home.has("ca")], ["CONFIG_INVALID", false])
      assert.include(refused.hint, "ACME_EAB_KID")
    }))
})
