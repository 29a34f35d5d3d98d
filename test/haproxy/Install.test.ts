/** Certificates in HAProxy's memory, on every line at hand: put there, replaced, taken away, and refused at each step. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { StorageFailed } from "../../src/domain/Errors.ts"
import { install, revert, uninstall } from "../../src/haproxy/certificates/Install.ts"
import { pathIn } from "../../src/haproxy/certificates/Place.ts"
import { abortOpen, readBack } from "../../src/haproxy/certificates/Restore.ts"
import { bundleOf, makeBundle, makeCertificate, mismatched } from "../support/Certificates.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { bundleFrom, deadline, inHaproxy, options, refusedInVain } from "./CertificateHarness.ts"

for (const binary of realLines) {
  describe(`HAProxy ${binary.line}`, () => {
    it.live(
      "takes a new certificate, another in its place, and gives it up again",
      () =>
        inHaproxy(
          { binary, tls: { quic: binary.line !== "3.0" } },
          ({ api, place, shown, site, state }) =>
            Effect.gen(function*() {
              assert.deepStrictEqual(place, { folder: site.certDir, list: site.certDir, listFile: null })
              const empty = yield* state
              assert.strictEqual(yield* shown("a.example.com"), "Refused")
              const first = makeBundle(["example.com", "*.example.com"])
              const file = "example.com.pem"
              const steps: Array<string> = []
              const publish = Effect.map(shown("a.example.com"), (seen) => void steps.push(seen))
              assert.deepStrictEqual(yield* install(api, place, file, first, options({ publish })), {
                isNew: true,
                replaced: null
              })
              assert.deepStrictEqual(steps, ["Refused"])
              assert.strictEqual(yield* shown("a.example.com"), first.facts.sha256)
              // The same again: one entry, nothing else.
              const once = yield* state
              const again = yield* install(api, place, file, first, options())
              assert.deepStrictEqual(again, { isNew: false, replaced: first.facts.sha1 })
              assert.strictEqual(yield* state, once)

              const second = makeBundle(["example.com"], { chain: 3, key: "RSA2048" })
              yield* install(api, place, file, second, options({ before: first }))
              assert.strictEqual(yield* shown("example.com"), second.facts.sha256)
              assert.strictEqual(yield* shown("a.example.com"), "Refused")
              const found = (yield* readBack(api, [pathIn(place, file), "/no/such.pem"], deadline())).get(
                pathIn(place, file)
              )
              assert.deepInclude(found, {
                status: "Used",
                sha1: second.facts.sha1,
                serial: second.facts.serial,
                notAfter: second.facts.notAfter,
                names: ["example.com"],
                chain: 3
              })
              yield* revert(api, place, file, first, deadline())
              assert.strictEqual(yield* shown("example.com"), first.facts.sha256)
              assert.strictEqual(yield* state, once)

              assert.isTrue(yield* uninstall(api, place, file, deadline()))
              assert.strictEqual(yield* state, empty)
              assert.strictEqual(yield* shown("example.com"), "Refused")
              assert.isFalse(yield* uninstall(api, place, file, deadline()))
            })
        ),
      60_000
    )

    it.live(
      "keeps what it has when any step is refused",
      () =>
        inHaproxy(
          { binary, certificates: { "old.pem": makeCertificate(["old.test"]).text } },
          (here) =>
            Effect.gen(function*() {
              const { api, haproxy, place, shown, site, state } = here
              const before = bundleOf(
                yield* Effect.promise(() => readFile(join(site.certDir, "old.pem"), "utf8"))
              )
              const good = makeBundle(["old.test"])
              const wrongKey = bundleFrom(mismatched(["old.test"]), good)
              const garbage = bundleFrom("garbage\n", good)
              const failing = Effect.fail(new StorageFailed({ message: "full", hint: "" }))
              for (const file of ["old.pem", "new.pem"]) {
                const notPem = yield* refusedInVain(here, install(api, place, file, garbage, options({ before })))
                assert.strictEqual(notPem._tag, "HaproxyRefused")
                const other = yield* refusedInVain(here, install(api, place, file, wrongKey, options({ before })))
                assert.strictEqual(other._tag, "HaproxyRefused")
                assert.include((other as { hint: string }).hint, "another certificate's")
                const unpublished = yield* refusedInVain(
                  here,
                  install(api, place, file, good, options({ before, publish: failing }))
                )
                assert.strictEqual(unpublished._tag, "StorageFailed")
                // HAProxy holds something else than what was sent: whoever else changes it.
                const lied = { ...good, facts: { ...good.facts, sha1: "0".repeat(40) } }
                const different = yield* refusedInVain(here, install(api, place, file, lied, options({ before })))
                assert.include(String((different as Error).message), "as it was sent")
                // A list that is not there.
                const nowhere = { ...place, list: "/no/list" }
                const unlisted = yield* refusedInVain(here, install(api, nowhere, file, good, options({ before })))
                assert.strictEqual(unlisted._tag, "HaproxyRefused")
                const secrets = [good, wrongKey].flatMap(({ lines }) => Redacted.value(lines))
                for (const error of [notPem, other, different, unlisted]) {
                  const said = JSON.stringify(error)
                  assert.deepStrictEqual(secrets.filter((line) => said.includes(line)), [])
                }
              }
              assert.strictEqual(yield* shown("old.test"), before.facts.sha256)

              // Somebody's transaction on a certificate of theirs is not touched; a left-over one of ours is given up.
              yield* haproxy.command("new ssl cert /theirs.pem")
              const begin = (path: string) =>
                haproxy.command(`set ssl cert ${path} <<\n${makeCertificate(["x.test"]).text}`)
              yield* begin("/theirs.pem")
              const open = yield* refusedInVain(here, install(api, place, "new.pem", good, options()))
              assert.include((open as { hint: string }).hint, "/theirs.pem")
              assert.strictEqual(yield* abortOpen(api, deadline()), "/theirs.pem")
              assert.isNull(yield* abortOpen(api, deadline()))
              yield* begin(pathIn(place, "old.pem"))
              assert.include(yield* state, "# transaction")
              yield* install(api, place, "new.pem", good, options())
              assert.notInclude(yield* state, "# transaction")
            })
        ),
      60_000
    )
  })
}
