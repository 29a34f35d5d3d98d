/**
 * The real acme.sh on another host, over a real sshd, against a real CA that wants an external account binding: the
 * account is made over there, and no secret of it is in an argument list of any program that it runs.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Acme } from "../../../src/acme/Acme.ts"
import { farHost } from "../../../src/HostAccess.ts"
import { Ssh } from "../../../src/remote/Ssh.ts"
import { acmeHome, startPebble } from "../../support/Pebble.ts"
import { sshdReason, startSshd } from "../../support/Sshd.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs.
vi.setConfig({ testTimeout: 180_000 })

const binding = { kid: "kid-1", hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" }
const token = "canary-far-t0k3n"

describe.skipIf(sshdReason !== null)("the real acme.sh over SSH", () => {
  it.live("account, certificate and key; secrets stay out of sight; the CA's bundle is the one of that host", () =>
    Effect.gen(function*() {
      const ca = yield* startPebble({ binding, badNonces: 0 })
      const home = yield* acmeHome(ca)
      home.write("credentials.ini", `TEST_Token=${token}\n`)
      const { argumentLists, options } = home.recording()
      const sshd = yield* startSshd({ config: [`SetEnv HOME=${home.folder} SHLVL=2 PATH=${options.env!["PATH"]}`] })
      const ssh = Context.get(yield* Layer.build(Ssh.layer({ firstWait: 30_000, ...sshd.options })), Ssh)
      const far = {
        ...options,
        acmeCredentialsFile: "~/credentials.ini",
        acmeEabKid: binding.kid,
        acmeEabHmacKey: Redacted.make(binding.hmacKey),
        // Nothing of this process is of use there.
        env: {}
      }
      const layer = Acme.layer(far, farHost(ssh, sshd.options))
      const acme = Context.get(yield* Layer.build(layer), Acme)
      const heard: Array<number> = []
      const issued = yield* acme.issue(
        ["far.test"],
        (done) => Effect.sync(() => heard.push(done))
      )
      const [own, ...issuers] = issued.chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!
        .map((pem) => new X509Certificate(pem))
      assert.strictEqual(own!.subjectAltName, "DNS:far.test")
      assert.isTrue(own!.checkPrivateKey(createPrivateKey(Redacted.value(issued.key))))
      assert.isTrue(own!.verify(issuers[0]!.publicKey))
      assert.deepStrictEqual(heard.at(-1), 7)

      assert.include(argumentLists(), "curl -K -")
      assert.include(argumentLists(), "openssl dgst -sha256 -binary", "the HMAC of the binding was made")
      for (const secret of [token, binding.hmacKey, Buffer.from(binding.hmacKey, "base64url").toString("hex")]) {
        assert.notInclude(argumentLists(), secret)
      }
      const conf = join(home.folder, "ca/localhost/dir/ca.conf")
      assert.strictEqual(statSync(conf).mode & 0o777, 0o600)
      assert.include(readFileSync(conf, "utf8"), "ACCOUNT_URL=")
      assert.deepStrictEqual(readdirSync(join(home.folder, "haproxy-mcp-runs")), [])
      assert.isFalse(existsSync(join(home.folder, "account.conf")))
      assert.isNotNull(yield* acme.renewalWindow(issued.chain), "with the bundle of that host")
    }))
})
