/** HAProxy brought to the folder of certificates, whatever came between: real HAProxy, real files, real handshakes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import { mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { issuingRow } from "../../../src/domain/Certificate.ts"
import { restore } from "../../../src/program/certificates/Restore.ts"
import { recover } from "../../../src/program/certificates/Rows.ts"
import { makeCertificate, mismatched } from "../../support/Certificates.ts"
import { becomes } from "../../support/Poll.ts"
import { newestLine, realLines } from "../../support/RealHaproxy.ts"
import { makeRestoreWorld, rowFor } from "./RestoreWorld.ts"

const test = (name: string, body: () => Effect.Effect<unknown, unknown, Scope.Scope>) =>
  it.live(name, () => Effect.provideService(body(), References.MinimumLogLevel, "None"), 60_000)

const until = (what: string, check: () => Effect.Effect<boolean>) =>
  Effect.promise(() => becomes(what, () => Effect.runPromise(check())))

for (const binary of realLines) {
  describe(`HAProxy ${binary.line}`, () => {
    test("gets what the folder holds: new files, others in their place, not the broken ones", () =>
      Effect.gen(function*() {
        const [a, a2, b, c] = ["a.test", "a.test", "b.test", "c.test"].map((name) => makeCertificate([name]))
        const world = yield* makeRestoreWorld({
          binary,
          certificates: { "a.test.pem": a!.text, "c.test.pem": c!.text }
        })
        yield* world.compare("ok", { "a.test": a!.sha1, "c.test": c!.sha1 })
        yield* world.put("a.test.pem", a2!.text)
        yield* world.put("b.test.pem", b!.text)
        yield* world.put("broken.pem", "no certificate\n")
        yield* world.put("mismatch.pem", mismatched(["m.test"]))
        const state = yield* world.compare("degraded", { "a.test": a2!.sha1, "b.test": b!.sha1, "c.test": c!.sha1 })
        assert.lengthOf(state.problems, 2)
        assert.match(state.problems[0]!, /^broken\.pem holds/)
        assert.match(state.problems[1]!, /^mismatch\.pem .*key/)
        for (const problem of state.problems) assert.notMatch(problem, /BEGIN|[A-Za-z0-9+/]{40}/)
        assert.strictEqual(yield* world.shown("a.test"), rowFor("a", a2!.text).facts.sha256)
        assert.strictEqual(yield* world.shown("b.test"), rowFor("b", b!.text).facts.sha256)
        assert.strictEqual(yield* world.shown("m.test"), "Refused")
        // Each stands in the list once, and a second look has nothing to do.
        const list = yield* world.haproxy.command(`show ssl crt-list ${world.site.certDir}`)
        assert.lengthOf(list.trim().split("\n").filter((line) => line.endsWith(".pem")), 3)
        yield* world.compare("degraded", { "a.test": a2!.sha1, "b.test": b!.sha1, "c.test": c!.sha1 })
        assert.strictEqual(yield* world.haproxy.command(`show ssl crt-list ${world.site.certDir}`), list)

        // A file that went away goes on being served, and said so, until HAProxy is restarted.
        yield* world.drop("broken.pem")
        yield* world.drop("mismatch.pem")
        yield* world.drop("b.test.pem")
        const still = yield* world.compare("degraded", { "a.test": a2!.sha1, "b.test": b!.sha1, "c.test": c!.sha1 })
        assert.match(still.reason, /neither there nor known here: b\.test$/)
        assert.strictEqual(yield* world.shown("b.test"), rowFor("b", b!.text).facts.sha256)
        yield* world.haproxy.restart
        yield* until("another connection", () => Effect.map(world.plane.runtime.link, ({ _tag }) => _tag === "Up"))
        yield* world.compare("ok", { "a.test": a2!.sha1, "c.test": c!.sha1 })
      }))

    test("is rid of a transaction that a killed writer left, ours or a stranger's", () =>
      Effect.gen(function*() {
        const [a, a2, other] = ["a.test", "a.test", "o.test"].map((name) => makeCertificate([name]))
        const world = yield* makeRestoreWorld({ binary, certificates: { "a.test.pem": a!.text } })
        const { haproxy, site } = world
        const open = () => Effect.map(haproxy.command("show ssl cert"), (list) => list.includes("# transaction"))
        const payload = (text: string) => ` <<\n${text}`
        yield* haproxy.command(`set ssl cert ${site.certDir}/a.test.pem${payload(a2!.text)}`)
        assert.isTrue(yield* open())
        yield* world.compare("ok", { "a.test": a!.sha1 })
        assert.isFalse(yield* open())

        yield* haproxy.command("new ssl cert /elsewhere/o.pem")
        yield* haproxy.command(`set ssl cert /elsewhere/o.pem${payload(other!.text)}`)
        assert.isTrue(yield* open())
        yield* world.put("a.test.pem", a2!.text)
        yield* world.compare("ok", { "a.test": a2!.sha1 })
        assert.isFalse(yield* open())
        // Else the stranger's is as it was.
        assert.include(yield* haproxy.command("show ssl cert"), "/elsewhere/o.pem")

        // A writer that died between `new` and `commit`, and one between `commit` and the list.
        const [n, m] = [makeCertificate(["n.test"]), makeCertificate(["m.test"])]
        yield* haproxy.command(`new ssl cert ${site.certDir}/n.test.pem`)
        yield* haproxy.command(`new ssl cert ${site.certDir}/m.test.pem`)
        yield* haproxy.command(`set ssl cert ${site.certDir}/m.test.pem${payload(m.text)}`)
        yield* haproxy.command(`commit ssl cert ${site.certDir}/m.test.pem`)
        yield* world.compare("ok", { "a.test": a2!.sha1 })
        yield* world.put("n.test.pem", n.text)
        yield* world.put("m.test.pem", m.text)
        yield* world.compare("ok", { "a.test": a2!.sha1, "m.test": m.sha1, "n.test": n.sha1 })
        assert.strictEqual(yield* world.shown("m.test"), rowFor("m", m.text).facts.sha256)
      }))
  })
}

describe("A comparison", () => {
  for (const binary of realLines) {
    test(`of a HAProxy ${binary.line} without any certificate finds nothing, and loads the first`, () =>
      Effect.gen(function*() {
        const world = yield* makeRestoreWorld({ binary })
        yield* world.compare("ok", {})
        const first = makeCertificate(["first.test"])
        yield* world.put("first.test.pem", first.text)
        yield* world.compare("ok", { "first.test": first.sha1 })
      }))
  }

  test("follows HAProxy through an alias, and to a new worker that loads another folder", () =>
    Effect.gen(function*() {
      const made = ["a.test", "b.test", "c.test"].map((name) => makeCertificate([name]))
      const files = Object.fromEntries(made.map(({ names, text }) => [`${names[0]}.pem`, text]))
      const loaded = Object.fromEntries(made.map(({ names, sha1 }) => [names[0]!, sha1]))
      const world = yield* makeRestoreWorld({ certAlias: true, certificates: files })
      const { haproxy, restorer, site } = world
      yield* Effect.forkChild(restorer.run)
      yield* until("compared", () => Effect.sync(() => world.seen.length > 0))
      yield* world.compare("ok", loaded)

      // A stale mount: HAProxy finds another folder at its path, with a certificate of ours that is an older one.
      const stale = join(site.dir, "stale", "certs")
      const old = makeCertificate(["a.test"])
      const strange = makeCertificate(["strange.test"])
      yield* Effect.promise(async () => {
        await mkdir(stale, { recursive: true })
        await rm(site.runtimeCertDir)
        await symlink(stale, site.runtimeCertDir)
        await writeFile(join(stale, "a.test.pem"), old.text)
        await writeFile(join(stale, "strange.test.pem"), strange.text)
      })
      let before = world.seen.length
      yield* haproxy.kill
      yield* until("unknown", () =>
        Effect.map(restorer.state, (state) => state.status === "unknown" && state.loaded === null))
      assert.strictEqual(restorer.loaded(), 0)
      yield* haproxy.start
      yield* until("compared again", () =>
        Effect.sync(() => world.seen.length > before))
      const state = yield* restorer.state
      assert.strictEqual(state.status, "degraded")
      assert.match(state.reason, /neither there nor known here: strange\.test/)
      for (const { names, text } of made) {
        assert.strictEqual(yield* world.shown(names[0]!), rowFor("x", text).facts.sha256)
      }
      assert.strictEqual(yield* world.shown("strange.test"), rowFor("x", strange.text).facts.sha256)

      // A reload reads that folder again.
      before = world.seen.length
      yield* haproxy.reload
      yield* until("compared after the reload", () => Effect.sync(() => world.seen.length > before))
      for (const { names, text } of made) {
        assert.strictEqual(yield* world.shown(names[0]!), rowFor("x", text).facts.sha256)
      }
    }))

  test("repeats by itself, and when somebody has a doubt", () =>
    Effect.gen(function*() {
      const a = makeCertificate(["a.test"])
      const b = makeCertificate(["b.test"])
      const world = yield* makeRestoreWorld({ certificates: { "a.test.pem": a.text }, every: 50 })
      yield* Effect.forkChild(world.restorer.run)
      yield* until("compared", () => Effect.sync(() => world.seen.length > 0))
      yield* world.put("b.test.pem", b.text)
      yield* until("b is served", () => Effect.map(world.shown("b.test"), (seen) => seen !== "Refused"))

      const calm = yield* makeRestoreWorld({ certificates: { "a.test.pem": a.text } })
      yield* Effect.forkChild(calm.restorer.run)
      yield* until("compared", () => Effect.sync(() => calm.seen.length > 0))
      yield* calm.put("b.test.pem", b.text)
      yield* calm.restorer.doubt
      yield* until("b is served", () => Effect.map(calm.shown("b.test"), (seen) => seen !== "Refused"))
      assert.strictEqual(calm.seen.length, 2)
    }))

  test("keeps to the list where a crt-list file is one: what has a row, and what stands in it", () =>
    Effect.gen(function*() {
      const [listed, ours, loose] = ["listed.test", "ours.test", "loose.test"].map((name) => makeCertificate([name]))
      const world = yield* makeRestoreWorld({
        tls: { list: "file" },
        certAlias: true,
        certificates: { "listed.test.pem": listed!.text }
      })
      const { site } = world
      yield* world.put("ours.test.pem", ours!.text)
      yield* world.put("loose.test.pem", loose!.text)
      yield* world.rows(rowFor("ours.test", ours!.text))
      yield* world.compare("ok", { "listed.test": listed!.sha1, "ours.test": ours!.sha1 })
      assert.strictEqual(yield* world.shown("loose.test"), "Refused")
      const text = yield* Effect.promise(() => readFile(site.crtListFile, "utf8"))
      assert.deepStrictEqual(text.trim().split("\n"), [
        `${site.runtimeCertDir}/listed.test.pem`,
        `${site.runtimeCertDir}/ours.test.pem`
      ])
      // What stands in the list is followed, row or not.
      const newer = makeCertificate(["listed.test"])
      yield* world.put("listed.test.pem", newer.text)
      yield* world.compare("ok", { "listed.test": newer.sha1, "ours.test": ours!.sha1 })
      assert.strictEqual(yield* Effect.promise(() => readFile(site.crtListFile, "utf8")), text)
    }))

  test("says so when HAProxy loads nothing of the folder", () =>
    Effect.gen(function*() {
      const world = yield* makeRestoreWorld({ certificates: { "a.test.pem": makeCertificate(["a.test"]).text } })
      const elsewhere = { ...world.plane, place: { ...world.plane.place, runtimeFolder: "/somewhere/else" } }
      const { repaired, state } = yield* restore(elsewhere, new Map(), [], Date.now() + 5_000)
      assert.strictEqual(state.status, "off")
      assert.match(state.reason, /does not load \/somewhere\/else/)
      assert.strictEqual(state.loaded!.size + repaired, 0)
    }))

  test("fails as unreachable while HAProxy is away, within its time", () =>
    Effect.gen(function*() {
      const world = yield* makeRestoreWorld({})
      yield* world.haproxy.kill
      yield* until("down", () => Effect.map(world.plane.runtime.link, ({ _tag }) => _tag === "Down"))
      const error = yield* Effect.flip(world.restorer.restore)
      assert.strictEqual(error.code, "HAPROXY_UNREACHABLE")
      assert.strictEqual((yield* world.restorer.state).status, "unknown")
    }))
})

describe("Rows", () => {
  test("follow their files: replaced, gone, broken, back again; the revision stays", () =>
    Effect.gen(function*() {
      const a = makeCertificate(["a.test"], { to: 30 })
      const newer = makeCertificate(["a.test", "www.a.test"], { to: 90 })
      const world = yield* makeRestoreWorld({ binary: newestLine, certificates: { "a.test.pem": a.text } })
      const row = rowFor("a.test", a.text)
      yield* world.rows({ ...row, failures: 3, lastError: "The CA is down", nextAttempt: Date.now() + 1_000 })
      yield* world.compare("ok", { "a.test": a.sha1 })
      assert.strictEqual((yield* world.row("a.test"))?.failures, 3)

      yield* world.put("a.test.pem", newer.text)
      yield* world.compare("ok", { "a.test": newer.sha1 })
      const followed = (yield* world.row("a.test"))!
      const { facts } = rowFor("a.test", newer.text)
      assert.deepStrictEqual(followed.facts, facts)
      assert.strictEqual(followed.failures, 0)
      assert.isNull(followed.lastError)
      assert.isAbove(followed.renewAt!, row.renewAt!)
      assert.isBelow(followed.renewAt!, facts.notAfter)

      yield* world.drop("a.test.pem")
      const gone = yield* world.compare("degraded", { "a.test": newer.sha1 })
      assert.match(gone.reason, /still serves certificates whose files are gone.*: a\.test$/)
      assert.match((yield* world.row("a.test"))!.lastError!, /gone/)
      assert.deepStrictEqual((yield* world.row("a.test"))!.facts, facts)

      yield* world.put("a.test.pem", "broken\n")
      yield* world.compare("degraded", { "a.test": newer.sha1 })
      assert.match((yield* world.row("a.test"))!.lastError!, /cannot be used/)

      yield* world.put("a.test.pem", newer.text)
      yield* world.compare("ok", { "a.test": newer.sha1 })
      assert.deepStrictEqual(yield* world.row("a.test"), followed)
      assert.strictEqual(yield* world.store.revision, 0)

      // HAProxy starts without it: the row stays, and it is named.
      yield* world.drop("a.test.pem")
      yield* world.haproxy.restart
      yield* until("up", () => Effect.map(world.plane.runtime.link, ({ _tag }) => _tag === "Up"))
      const lost = yield* world.compare("degraded", {})
      assert.match(lost.reason, /files of these certificates are gone: a\.test$/)
      assert.isNotNull(yield* world.row("a.test"))
    }))

  test("keep the CA's words about an issue when the file is gone as well", () =>
    Effect.gen(function*() {
      const a = makeCertificate(["a.test"])
      const world = yield* makeRestoreWorld({})
      yield* world.rows({ ...rowFor("a.test", a.text), failures: 1, lastError: "The CA is down" })
      yield* world.compare("degraded", {})
      assert.strictEqual((yield* world.row("a.test"))?.lastError, "The CA is down")
    }))

  test("whose issue a crash ended become active where the file came, and go where it did not", () =>
    Effect.gen(function*() {
      const came = makeCertificate(["came.test", "*.came.test"])
      const world = yield* makeRestoreWorld({
        certificates: { "came.test.pem": came.text, "other.test.pem": makeCertificate(["other.test"]).text }
      })
      yield* world.put("half.test.pem", came.chain)
      yield* world.rows(
        issuingRow("came.test"),
        issuingRow("never.test"),
        issuingRow("half.test"),
        rowFor("other.test", makeCertificate(["other.test"]).text)
      )
      const other = yield* world.row("other.test")
      yield* recover(world.plane)
      const row = (yield* world.row("came.test"))!
      assert.strictEqual(row.state, "active")
      assert.deepStrictEqual(row.facts, rowFor("came.test", came.text).facts)
      assert.isAbove(row.renewAt!, Date.now() + 50 * 86_400_000)
      assert.isNull(yield* world.row("never.test"))
      assert.isNull(yield* world.row("half.test"))
      assert.deepStrictEqual(yield* world.row("other.test"), other)
      yield* recover(world.plane)
      assert.deepStrictEqual(yield* world.row("came.test"), row)
      assert.strictEqual(yield* world.store.revision, 0)
    }))
})
