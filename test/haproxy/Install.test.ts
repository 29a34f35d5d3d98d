/** Certificates in HAProxy's memory, on every line at hand: put there, replaced, taken away, and refused at each step. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { connect } from "node:tls"
import { StorageFailed } from "../../src/domain/Errors.ts"
import type { CertificateBundle } from "../../src/haproxy/certificates/Bundle.ts"
import { install, revert, uninstall } from "../../src/haproxy/certificates/Install.ts"
import { pathIn } from "../../src/haproxy/certificates/Place.ts"
import { abortOpen, readBack } from "../../src/haproxy/certificates/Restore.ts"
import { localDisk } from "../../src/haproxy/files/LocalDisk.ts"
import { bundleOf, makeBundle, makeCertificate, mismatched } from "../support/Certificates.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { bundleFrom, deadline, inHaproxy, options, refusedInVain } from "./CertificateHarness.ts"
import { isUp, linkState } from "./contract/Harness.ts"

for (const binary of realLines) {
  describe(`HAProxy ${binary.line}`, () => {
    it.live(
      "takes a new certificate, another in its place, and gives it up again",
      () =>
        inHaproxy(
          { binary, tls: { quic: binary.line !== "3.0" } },
          ({ api, place, shown, site, state }) =>
            Effect.gen(function*() {
              assert.deepStrictEqual(place, {
                folder: site.certDir,
                list: site.certDir,
                listFile: null,
                disk: localDisk
              })
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

              // One that no list has, and whose commit is refused: the entry, sent with the commit, goes again.
              yield* haproxy.command(`del ssl crt-list ${place.list} ${pathIn(place, "new.pem")}`)
              assert.include(yield* state, "Status: Unused")
              const still = yield* refusedInVain(
                here,
                install(api, place, "new.pem", wrongKey, options({ before: good }))
              )
              assert.include((still as { hint: string }).hint, "another certificate's")
              yield* install(api, place, "new.pem", good, options({ before: good }))
              assert.notInclude(yield* state, "Status: Unused")
            })
        ),
      60_000
    )

    it.live(
      "takes a long chain where HAProxy does, and says before anything else where it does not",
      () =>
        inHaproxy({ binary }, (here) =>
          Effect.gen(function*() {
            const { api, place, shown } = here
            const names = (count: number) => Array.from({ length: count }, (_, n) => `n${n}.long-name.example.com`)
            const size = (bundle: CertificateBundle) => Redacted.value(bundle.text).length
            // Beyond the 12 KB of other payloads, within one buffer.
            const one = makeBundle(names(300))
            assert.isAbove(size(one), 12_500)
            yield* install(api, place, "one.pem", one, options())
            assert.strictEqual(yield* shown("n1.long-name.example.com"), one.facts.sha256)
            const more = makeBundle(names(370), { chain: 3 })
            assert.isAbove(size(more), 16_500)
            let published = 0
            const publish = Effect.sync(() => void published++)
            if (binary.line === "3.4") {
              yield* install(api, place, "one.pem", more, options({ publish }))
              assert.strictEqual(yield* shown("n1.long-name.example.com"), more.facts.sha256)
              return
            }
            for (const file of ["one.pem", "new.pem", "new name.pem"]) {
              const error = yield* refusedInVain(here, install(api, place, file, more, options({ publish })))
              assert.strictEqual(error._tag, "ConfigInvalid")
            }
            assert.strictEqual(published, 0)
            assert.strictEqual(yield* shown("n1.long-name.example.com"), one.facts.sha256)
          })),
      60_000
    )

    it.live("says what to do about a default certificate, and deletes others", () =>
      inHaproxy(
        { binary, tls: { strict: false }, certificates: { "a.pem": makeCertificate(["a.test"]).text } },
        (here) =>
          Effect.gen(function*() {
            const { api, place, shown } = here
            const b = makeBundle(["b.test"])
            yield* install(api, place, "b.pem", b, options())
            assert.strictEqual(yield* shown("b.test"), b.facts.sha256)
            const error = yield* refusedInVain(here, uninstall(api, place, "a.pem", deadline()))
            assert.strictEqual(error._tag, "HaproxyRefused")
            assert.include((error as { hint: string }).hint, "strict-sni")
            assert.isTrue(yield* uninstall(api, place, "b.pem", deadline()))
            assert.notStrictEqual(yield* shown("b.test"), b.facts.sha256)
          })
      ), 60_000)

    it.live("knows the folder and the list under another path, and keeps the list's file", () =>
      inHaproxy(
        {
          binary,
          tls: { list: "file" },
          certAlias: true,
          certificates: { "a.pem": makeCertificate(["a.test"]).text, "z.pem": makeCertificate(["z.test"]).text }
        },
        (here) =>
          Effect.gen(function*() {
            const { api, haproxy, place, shown, site } = here
            assert.deepStrictEqual(place, {
              folder: site.runtimeCertDir,
              list: site.runtimeCrtListFile,
              listFile: site.crtListFile,
              disk: localDisk
            })
            const read = Effect.promise(() => readFile(site.crtListFile, "utf8"))
            const start = yield* read
            const foreign = `# mine\n\n${place.folder}/a.pem [alpn h2] a.test !x.a.test\n\n${place.folder}/z.pem`
            yield* Effect.promise(() => writeFile(site.crtListFile, foreign))
            const b = makeBundle(["b.test"])
            for (let times = 0; times < 2; times++) {
              yield* install(api, place, "b.pem", b, options())
              assert.strictEqual(yield* read, `${foreign}\n${place.folder}/b.pem\n`)
            }
            const entries = yield* haproxy.command(`show ssl crt-list ${place.list}`)
            assert.strictEqual(entries.split("/b.pem").length, 2)
            assert.strictEqual(yield* shown("b.test"), b.facts.sha256)
            // Twice, by somebody else, with filters: all lines go, and come back when HAProxy keeps the certificate.
            const path = pathIn(place, "b.pem")
            yield* haproxy.command(`add ssl crt-list ${place.list} <<\n${path} [alpn h2] *.b.test !x.b.test\n`)
            yield* install(api, place, "b.pem", b, options())
            const other = { ...place, list: site.runtimeCertDir, listFile: null }
            assert.strictEqual((yield* Effect.flip(uninstall(api, other, "b.pem", deadline())))._tag, "HaproxyRefused")
            assert.isTrue(yield* uninstall(api, place, "b.pem", deadline()))
            assert.strictEqual(yield* read, `${foreign}\n`)
            assert.strictEqual(yield* shown("b.test"), "Refused")
            assert.strictEqual(yield* shown("x.b.test"), "Refused")
            // A file that cannot be kept: nothing of it happened.
            yield* Effect.promise(() => writeFile(site.crtListFile, start))
            const missing = { ...place, listFile: `${site.crtListFile}.not` }
            const error = yield* refusedInVain(here, install(api, missing, "b.pem", b, options()))
            assert.strictEqual(error._tag, "StorageFailed")
            yield* refusedInVain(here, uninstall(api, missing, "a.pem", deadline()))
          })
      ), 60_000)

    it.live(
      "keeps connections while certificates change, and says that a restarted HAProxy is lost",
      () =>
        inHaproxy(
          { binary, certificates: { "a.pem": makeCertificate(["a.test"]).text } },
          (here) =>
            Effect.gen(function*() {
              const { api, haproxy, place, site } = here
              const socket = yield* Effect.acquireRelease(
                Effect.promise(() => keepAlive(site.httpsPort, "a.test")),
                ({ close }) => Effect.sync(close)
              )
              const before = yield* Effect.promise(() => socket.ask())
              yield* install(api, place, "a.pem", makeBundle(["a.test"]), options())
              yield* uninstall(api, place, "a.pem", deadline())
              assert.strictEqual(yield* Effect.promise(() => socket.ask()), before)

              // Gone between `set` and `commit`, when the file is written.
              const lost = yield* Effect.flip(
                install(api, place, "a.pem", makeBundle(["a.test"]), options({ publish: haproxy.kill }))
              )
              assert.strictEqual(lost._tag, "LinkLost")
              yield* haproxy.start
              yield* linkState(api, isUp)
              const [shown] = [...(yield* readBack(api, [pathIn(place, "a.pem")], deadline())).values()]
              assert.strictEqual(shown?.status, "Used")
            })
        ),
      60_000
    )
  })
}

/** A TLS connection that stays: one request and its status line at a time. */
const keepAlive = (port: number, servername: string) =>
  new Promise<{ readonly ask: () => Promise<string>; readonly close: () => void }>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false })
    const ask = () =>
      new Promise<string>((answer, fail) => {
        socket.once("data", (data: Buffer) => answer(data.toString().split("\r\n")[0]!))
        socket.once("close", () => fail(new Error("the connection was closed")))
        socket.write(`GET / HTTP/1.1\r\nhost: ${servername}\r\n\r\n`)
      })
    socket.once("error", reject)
    socket.once("secureConnect", () => resolve({ ask, close: () => socket.destroy() }))
  })
