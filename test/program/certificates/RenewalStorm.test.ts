/**
 * 200 renewals due at once, on the real engine and a real HAProxy: a few at a time, all of them, and at no moment does a
 * client see anything but a valid certificate of the name that it asks for.
 */
import { assert, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { connect } from "node:tls"
import { Acme } from "../../../src/acme/Acme.ts"
import { AcmeFailed } from "../../../src/domain/Errors.ts"
import { health } from "../../../src/program/Health.ts"
import { Store } from "../../../src/store/Store.ts"
import { FastAuthority } from "../../support/FastAuthority.ts"
import { poll } from "../../support/Poll.ts"
import { newestLine } from "../../support/RealHaproxy.ts"
import { makeWorld } from "../../support/World.ts"
import { rowFor } from "./RestoreWorld.ts"
import { compared } from "./support/Issuer.ts"

const count = 200
const day = 86_400_000

/** A handshake as a browser does it: name, times and chain are checked. Answers the SHA-1 of what was shown. */
const visit = (port: number, host: string, root: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, servername: host, ca: root }, () => {
      const shown = socket.getPeerCertificate().fingerprint.replaceAll(":", "")
      socket.destroy()
      resolve(shown)
    })
    socket.once("error", reject)
  })

it.live(
  "200 renewals due at once end, four at a time, and no client sees anything but a valid certificate",
  () =>
    Effect.gen(function*() {
      const authority = new FastAuthority()
      const names = Array.from({ length: count }, (_, index) => `n${index}.example.com`)
      const now = Date.now()
      const old = names.map((name, index) =>
        authority.issueMany([name], { notBefore: now - 70 * day, notAfter: now + (index + 60) * 3_600_000 })[0]!
      )
      const byName = new Map(old.map((one) => [one.names[0]!, one.sha1]))
      const issued = new Map<string, string>()
      const four = yield* Deferred.make<void>()
      let running = 0
      let most = 0
      let runs = 0
      const order: Array<string> = []
      const ca = Acme.of({
        server: "https://ca.example/directory",
        issue: ([name]) =>
          Effect.gen(function*() {
            runs++
            order.push(name!)
            most = Math.max(most, ++running)
            // The first four wait for each other: however slow the machine is, they are seen at once.
            if (running === 4) yield* Deferred.succeed(four, undefined)
            yield* Deferred.await(four)
            yield* Effect.sleep(15)
            // One name in fifty is refused.
            if (Number(/\d+/.exec(name!)![0]) % 50 === 7) {
              return yield* new AcmeFailed({ message: "The CA refuses the name", hint: "Ask it.", retryable: false })
            }
            const made = authority.issue([name!], { notBefore: Date.now() - 3_600_000 })
            issued.set(name!, made.sha1)
            return { chain: made.chain, key: Redacted.make(made.key) }
          }).pipe(Effect.ensuring(Effect.sync(() => running--))),
        renewalWindow: () => Effect.succeed(null),
        state: Effect.succeed({ program: null, problem: null, warnings: [] })
      })
      const world = yield* makeWorld({
        binary: newestLine,
        tls: true,
        certificates: Object.fromEntries(old.map(({ names, text }) => [`${names[0]}.pem`, text])),
        plane: { ca }
      })
      const { httpsPort } = world.site
      yield* world.run(compared)
      // They become due with the next start.
      yield* world.run(Effect.flatMap(Store, (store) =>
        store.commit(
          Effect.forEach(old, ({ names, text }) => store.putCertificate(rowFor(names[0]!, text)), { discard: true })
        )))
      assert.strictEqual(runs, 0)

      let stopped = false
      let visits = 0
      let fresh = 0
      const trouble: Array<string> = []
      const visitor = async (from: number) => {
        for (let at = from; !stopped; at = (at + 7) % count) {
          const name = names[at]!
          try {
            const shown = await visit(httpsPort, name, authority.root)
            visits++
            if (shown === issued.get(name)) fresh++
            else if (shown !== byName.get(name)) trouble.push(`${name} shows ${shown}`)
          } catch (error) {
            trouble.push(`${name}: ${String(error)}`)
          }
          await new Promise((resolve) => setTimeout(resolve, 25))
        }
      }
      const visitors = Promise.all([visitor(0), visitor(100)])
      yield* Effect.addFinalizer(() => Effect.sync(() => void (stopped = true)))
      yield* world.restartPlane
      const rows = world.run(Effect.flatMap(Store, (store) => store.certificates))
      const ended = yield* Effect.promise(() =>
        poll("all renewals end", async () => {
          if (runs < count) return undefined
          const all = await Effect.runPromise(rows)
          const done = all.filter(({ facts, failures, name }) => facts.sha1 !== byName.get(name) || failures > 0)
          return done.length === count ? all : undefined
        }, 150_000)
      )
      stopped = true
      yield* Effect.promise(() => visitors)

      assert.deepStrictEqual(trouble, [])
      assert.isAbove(visits, 100)
      assert.isAbove(fresh, 0)
      assert.strictEqual(runs, count)
      assert.strictEqual(most, 4)
      // What ends first came first.
      assert.deepStrictEqual(order.slice(0, 4).sort(), [
        "n0.example.com",
        "n1.example.com",
        "n2.example.com",
        "n3.example.com"
      ])
      const failed = ended.filter(({ failures }) => failures > 0)
      assert.deepStrictEqual(
        failed.map(({ name }) => name).sort(),
        ["n107", "n157", "n57", "n7"].map((n) => `${n}.example.com`)
      )
      for (const row of failed) {
        assert.strictEqual(row.facts.sha1, byName.get(row.name))
        assert.strictEqual(row.lastError, "The CA refuses the name")
        assert.isAbove(row.nextAttempt!, Date.now() + 10 * 60_000)
      }
      // HAProxy, files and rows say the same.
      const state = yield* world.run(compared)
      assert.strictEqual(state.status, "ok", state.problems.join())
      for (const { facts, name } of ended) assert.strictEqual(state.loaded!.get(name), facts.sha1)
      assert.strictEqual(
        yield* Effect.promise(() => visit(httpsPort, names[5]!, authority.root)),
        issued.get(names[5]!)
      )
      const { certificates } = (yield* world.run(health)).components
      assert.deepInclude(certificates, { total: count, loaded: count, failing: 4 })
    }),
  90_000
)
