/** Many certificates at once: on a HAProxy that lost them, with bad ones among them, and how long it takes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { pathIn } from "../../src/haproxy/certificates/Place.ts"
import { installMany, loaded, readBack, type RestoreItem } from "../../src/haproxy/certificates/Restore.ts"
import { authority, bundleOf, makeBundle, makeCertificate, mismatched } from "../support/Certificates.ts"
import { newestLine, realLines } from "../support/RealHaproxy.ts"
import { bundleFrom, deadline, inHaproxy } from "./CertificateHarness.ts"

const item = (file: string, bundle = makeBundle([file.slice(0, -4)]), known = false): RestoreItem => ({
  file,
  bundle,
  known
})

for (const binary of realLines) {
  for (const list of ["folder", "file"] as const) {
    it.live(
      `HAProxy ${binary.line} gets what it lacks into its ${list}, whatever is refused in between`,
      () =>
        inHaproxy(
          { binary, tls: { list }, certificates: { "old.test.pem": makeCertificate(["old.test"]).text } },
          ({ api, haproxy, place, shown, site, state }) =>
            Effect.gen(function*() {
              const loose = `${place.folder}/loose.test.pem`
              yield* haproxy.command(`new ssl cert ${loose}`)
              yield* haproxy.command(`set ssl cert ${loose} <<\n${makeCertificate(["loose.test"]).text}`)
              yield* haproxy.command(`commit ssl cert ${loose}`)
              const good = makeBundle(["bad.test"])
              const big = bundleFrom(makeCertificate(["big.test"]).text.repeat(100), good)
              const items = [
                item("a.test.pem"),
                item("mismatch.pem", bundleFrom(mismatched(["m.test"]), good)),
                item("b.test.pem"),
                item("old.test.pem", makeBundle(["old.test"]), true),
                item("garbage.pem", bundleFrom("garbage\n", good)),
                item("loose.test.pem", makeBundle(["loose.test"]), true),
                item("big.pem", big),
                item("nobody.pem", good, true),
                // HAProxy has it, and the caller did not know.
                item("old.test.pem", bundleFrom(mismatched(["old.test"]), good)),
                item("c.test.pem")
              ]
              const done = yield* installMany(api, place, items, deadline())
              assert.deepStrictEqual(done.map(({ error }) => error?._tag ?? "loaded"), [
                "loaded",
                "HaproxyRefused",
                "loaded",
                "loaded",
                "HaproxyRefused",
                "loaded",
                "ConfigInvalid",
                "HaproxyRefused",
                "HaproxyRefused",
                "loaded"
              ])
              for (const index of [0, 2, 3, 5, 9]) {
                const { bundle, file } = items[index]!
                assert.strictEqual(yield* shown(file.slice(0, -4)), bundle.facts.sha256, file)
              }
              const { paths, transaction } = yield* loaded(api, deadline())
              assert.isNull(transaction)
              const expected = ["a", "b", "c", "loose", "old"].map((name) => `${place.folder}/${name}.test.pem`)
              assert.sameMembers([...paths], expected)
              // Each stands once in the list, and in its file.
              const entries = (yield* haproxy.command(`show ssl crt-list ${place.list}`)).split("\n").filter((line) =>
                line.startsWith("/")
              )
              assert.sameMembers(entries, expected)
              if (list === "file") {
                const text = yield* Effect.promise(() => readFile(site.crtListFile, "utf8"))
                assert.sameMembers(text.trim().split("\n"), expected)
              }
              const before = yield* state
              yield* installMany(api, place, items.slice(0, 1).map((one) => ({ ...one, known: true })), deadline())
              assert.strictEqual(yield* state, before)
            })
        ),
      60_000
    )
  }
}

describe("a restore of 1,000", () => {
  it.live(
    "costs little more than its bytes",
    () =>
      inHaproxy({ binary: newestLine, statsTimeout: "1m" }, ({ api, haproxy, place }) =>
        Effect.gen(function*() {
          const names = Array.from({ length: 1_000 }, (_, n) => `site-${n}.test`)
          const items = authority().issueMany(names).map((one, n) => item(`${names[n]}.pem`, bundleOf(one.text)))
          const began = performance.now()
          const done = yield* installMany(api, place, items, Date.now() + 30_000)
          const took = performance.now() - began
          assert.isTrue(done.every(({ error }) => error === null))
          const look = performance.now()
          const found = yield* readBack(api, items.map(({ file }) => pathIn(place, file)), deadline())
          const looked = performance.now() - look
          assert.isTrue(items.every(({ bundle, file }) => found.get(pathIn(place, file))?.sha1 === bundle.facts.sha1))
          // The same as plain bytes, on a HAProxy that has none of them.
          yield* haproxy.restart
          const raw = items.map(({ bundle, file }) => {
            const path = pathIn(place, file)
            const pem = Redacted.value(bundle.lines).join("\n")
            return `new ssl cert ${path}\nset ssl cert ${path} <<END\n${pem}\nEND\ncommit ssl cert ${path}\n`
              + `add ssl crt-list ${place.list} ${path}\n`
          })
          const start = performance.now()
          yield* haproxy.command(`prompt i\n${raw.join("")}quit`)
          const floor = performance.now() - start
          process.stdout.write(
            `1,000 certificates: ${took.toFixed()} ms, raw ${floor.toFixed()} ms, read back ${looked.toFixed()} ms\n`
          )
          const kept = yield* haproxy.command("show ssl cert")
          assert.strictEqual(kept.split("\n").filter((line) => line.startsWith("/")).length, 1_000)
          // The bench has the target, twice the raw bytes; here other tests share the machine.
          assert.isBelow(took, 20_000)
        })),
    60_000
  )
})
