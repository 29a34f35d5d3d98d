/** RFC 9773 against Pebble, which looks a certificate up by the name that is made for it here. */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { Acme } from "../../src/acme/Acme.ts"
import { certificateId, make, waitOf } from "../../src/acme/RenewalInfo.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { acmeHome, startPebble } from "../support/Pebble.ts"
import { releasePort, takePort } from "../support/Ports.ts"

// acme.sh takes some seconds of a processor for each certificate, and other tests take theirs.
vi.setConfig({ testTimeout: 180_000 })

const selfSigned = (...words: ReadonlyArray<string>): string => {
  const made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=a.test"
  const all = [...made.split(" "), ...words]
  return execFileSync("openssl", all, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
}

describe("the name of a certificate", () => {
  it("is the issuer's key and the serial number as DER has them, a zero before its high bit", () => {
    // The serial number of the RFC's own example (4.1).
    const pem = selfSigned("-set_serial", "0x87654321", "-addext", "authorityKeyIdentifier=keyid:always")
    const text = execFileSync("openssl", ["x509", "-noout", "-ext", "authorityKeyIdentifier"], {
      input: pem,
      encoding: "utf8"
    })
    const [issuer, serial] = certificateId(pem)!.split(".")
    assert.strictEqual(serial, "AIdlQyE")
    assert.strictEqual(
      Buffer.from(issuer!, "base64url").toString("hex").toUpperCase(),
      text.split("\n")[1]!.replaceAll(/keyid|[:\s]/g, "")
    )
  })

  it("is null for one that does not name its issuer's key", () => {
    assert.isNull(certificateId(selfSigned("-addext", "authorityKeyIdentifier=none")))
  })
})

describe("Retry-After", () => {
  it("is seconds or a date, and stays within limits", () => {
    const now = Date.parse("2026-11-21T00:00:00Z")
    const cases: ReadonlyArray<readonly [string | undefined, number]> = [
      ["3600", 3_600_000],
      ["1", 60_000],
      ["999999999", 86_400_000],
      ["Sat, 21 Nov 2026 02:00:00 GMT", 7_200_000],
      ["nonsense", 21_600_000],
      [undefined, 21_600_000]
    ]
    for (const [text, wait] of cases) assert.strictEqual(waitOf(text, now), wait, text)
  })
})

describe("the window", () => {
  it.live("of a short-lived certificate; and what the CA says when it wants it replaced", () =>
    Effect.gen(function*() {
      const ca = yield* startPebble({ badNonces: 0, profiles: { default: 518_400 } })
      const home = yield* acmeHome(ca)
      yield* Effect.gen(function*() {
        const acme = yield* Acme
        const { chain } = yield* acme.issue(["window.test"], () => Effect.void)
        const { validFromDate, validToDate } = new X509Certificate(chain)
        const window = (yield* acme.renewalWindow(chain))!
        assert.isAbove(window.start, validFromDate.getTime())
        assert.isAbove(window.end, window.start)
        assert.isBelow(window.end, validToDate.getTime())
        assert.isAtLeast(window.askAgain, 60_000)
        const own = chain.slice(0, chain.indexOf("-----END CERTIFICATE-----") + 26)
        yield* Effect.promise(() =>
          ca.setRenewalInfo(own, { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" })
        )
        const now = (yield* acme.renewalWindow(chain))!
        assert.deepStrictEqual([now.start, now.end], [
          Date.parse("2026-01-01T00:00:00Z"),
          Date.parse("2026-01-02T00:00:00Z")
        ])
        assert.isNull(yield* acme.renewalWindow(new FastAuthority().issue(["foreign.test"]).chain))
        assert.isNull(yield* acme.renewalWindow("no certificate"))
        const untrusting = make({ server: ca.directory, caBundle: async () => null })
        assert.isNull(yield* untrusting(chain))
      }).pipe(Effect.provide(Acme.layer(home.options)))
    }))

  it.live("is null while the CA is down", () =>
    Effect.gen(function*() {
      const port = yield* Effect.acquireRelease(Effect.promise(takePort), (one) => Effect.sync(() => releasePort(one)))
      const ask = make({ server: `https://localhost:${port}/dir`, caBundle: async () => null })
      assert.isNull(yield* ask(new FastAuthority().issue(["a.test"]).chain))
    }))
})
