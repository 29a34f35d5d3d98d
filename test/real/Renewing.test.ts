/**
 * Never a moment without a valid certificate where there was one: renewals by the real process while HAProxy is reloaded
 * or restarted, and while the folder's disk is full; with somebody who makes handshakes all the time.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, watch } from "node:fs"
import { join } from "node:path"
import { inDatabase, inFolder, inHaproxy, textOf } from "../campaign/certificates/Holdings.ts"
import { Prober } from "../campaign/certificates/Prober.ts"
import { available } from "../support/Available.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { becomes, poll } from "../support/Poll.ts"
import { realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { databaseOf, haproxyMcp, settingsOf, startServer } from "../support/ServerProcess.ts"
import { fillWhole, makeRoom, seenBy, withSmallDisk } from "../support/SmallDisk.ts"
import { placeAcme } from "../support/StandInAcme.ts"

const shape = { pools: 4, slots: 2 }
const domain = "shop.example.org"
const limit = 90_000
/** A renewal is disturbed while acme.sh runs (0), and at each change that it makes in the folder. */
const moments = [0, 1, 2, 3, 4]

const namespaces = available(
  "a full disk under the certificates",
  "unshare",
  "-Urm",
  "sh",
  "-c",
  "mount -t tmpfs -o size=1m none /mnt && command -v nsenter"
)

/** A HAProxy with HTTPS, an ACME client that issues at once, and a prober that trusts its CA alone. */
const stage = Effect.fnUntraced(function*(binary: (typeof realLines)[number]) {
  const haproxy = yield* startHaproxy({ ...shape, binary, tls: true })
  const { site } = haproxy
  const authority = new FastAuthority("Renewing")
  const acme = placeAcme(site.dir)
  acme.signBy(authority)
  const env = settingsOf(site, { ...shape, env: { HAPROXY_CERT_DIR: site.certDir, ...acme.env } })
  const prober = yield* Effect.acquireRelease(
    Effect.sync(() => new Prober(site.httpsPort, authority.root)),
    (one) => Effect.promise(() => one.stop())
  )
  return { acme, env, haproxy, prober, site }
})

/** The n-th change of a folder from now on, or, for 0, the start of the next run of acme.sh. */
const reached = async (nth: number, folder: string, runs: () => number): Promise<void> => {
  const before = runs()
  if (nth === 0) return becomes("acme.sh runs", () => runs() > before)
  let seen = 0
  const watcher = watch(folder, () => void seen++)
  await poll("the folder changes", () => seen >= nth ? true : undefined).finally(() => watcher.close())
}

/** HAProxy, file and row are the same one certificate. */
const agree = Effect.fnUntraced(
  function*({ site }: Pick<Effect.Success<ReturnType<typeof stage>>, "site">, note: string) {
    const files = inFolder(site.certDir, note, true)
    assert.strictEqual(textOf(yield* Effect.promise(() => inHaproxy(site, note))), textOf(files), note)
    assert.strictEqual(textOf((yield* inDatabase(databaseOf(site), shape)).active), textOf(files), note)
    return files.get(domain)!
  }
)

describe.each(realLines)("a renewal on HAProxy $line", (binary) => {
  it.live("goes through a reload at any step, and nobody sees anything", () =>
    Effect.gen(function*() {
      const world = yield* stage(binary)
      const { acme, env, haproxy, prober, site } = world
      const server = yield* startServer({ env })
      const client = server.client()
      yield* Effect.promise(async () => {
        await server.ready()
        await client.good("haproxy_add_domain", { domain, ip: "127.0.0.1" })
        await client.good("haproxy_issue_cert", { domain, wildcard: false })
      })
      prober.watch(domain)
      const seen = new Set<string>()
      for (const moment of moments) {
        const note = `reload at ${moment}`
        acme.plan({ takes: moment === 0 ? 600 : 0 })
        const moved = reached(moment, site.certDir, () => acme.runs().length)
        const renewal = client.call("haproxy_renew_cert", { domain, force: true })
        yield* Effect.promise(() => moved)
        assert.match(yield* haproxy.reload, /^Success=1/)
        const { code, data } = yield* Effect.promise(() => renewal)
        assert.strictEqual(code, "OK", `${note}: ${JSON.stringify(data)}`)
        // A worker that had read the folder before the renewal, and took over after it, is brought to the same.
        yield* Effect.promise(() =>
          becomes(`all is the same, ${note}`, () => Effect.runPromise(Effect.as(agree(world, note), true)))
        )
        const sha1 = yield* agree(world, note)
        assert.isFalse(seen.has(sha1), note)
        seen.add(sha1)
        assert.deepInclude(yield* Effect.promise(() => prober.look(domain)), { sha1 }, note)
      }
      yield* Effect.promise(() => prober.stop())
      assert.deepStrictEqual(prober.failures, [])
      assert.isAbove(prober.handshakes, 20)
    }), limit)

  it.live(
    "survives a restart at any step: what is there afterwards is valid, and the same everywhere",
    () =>
      Effect.gen(function*() {
        const world = yield* stage(binary)
        const { acme, env, haproxy, prober, site } = world
        const server = yield* startServer({ env })
        const client = server.client()
        yield* Effect.promise(async () => {
          await server.ready()
          await client.good("haproxy_add_domain", { domain, ip: "127.0.0.1" })
          await client.good("haproxy_issue_cert", { domain, wildcard: false })
        })
        prober.watch(domain)
        for (const moment of moments) {
          const note = `restart at ${moment}`
          acme.plan({ takes: moment === 0 ? 600 : 0 })
          const moved = reached(moment, site.certDir, () => acme.runs().length)
          const renewal = client.call("haproxy_renew_cert", { domain, force: true })
          yield* Effect.promise(() => moved)
          yield* haproxy.restart
          // From its first moment on it has a certificate: the folder's.
          assert.property(yield* Effect.promise(() => prober.look(domain)), "sha1", note)
          const { code, data } = yield* Effect.promise(() => renewal)
          assert.include(["OK", "OUTCOME_UNKNOWN", "HAPROXY_UNREACHABLE"], code, `${note}: ${JSON.stringify(data)}`)
          yield* Effect.promise(() =>
            becomes(`all is the same again, ${note}`, () => Effect.runPromise(Effect.as(agree(world, note), true)))
          )
        }
        yield* Effect.promise(() => prober.stop())
        // While nobody listens there is no handshake; but whoever answers has the right certificate.
        const others = prober.failures.filter((failure) => !/ECONNREFUSED|ECONNRESET|EPIPE/.test(failure))
        assert.deepStrictEqual(others, [])
      }),
    limit
  )
})

describe("a renewal into a folder on a full disk", () => {
  it.live.skipIf(!namespaces)(
    "is refused, the old one serves on, and it goes through when there is room",
    () =>
      Effect.gen(function*() {
        const { acme, env, prober, site } = yield* stage(realLines.at(-1)!)
        const command = withSmallDisk(site.certDir, 64, [...haproxyMcp, "serve"])
        const server = yield* startServer({ env, command })
        const client = server.client()
        const inside = seenBy(server.pid, site.certDir)
        yield* Effect.promise(async () => {
          await server.ready()
          await client.good("haproxy_add_domain", { domain, ip: "127.0.0.1" })
          await client.good("haproxy_issue_cert", { domain, wildcard: false })
          prober.watch(domain)
          const before = readFileSync(join(inside, `${domain}.pem`), "utf8")
          const seen = await prober.look(domain)
          for (let round = 0; round < 3; round++) {
            await fillWhole(inside)
            const refused = await client.call("haproxy_renew_cert", { domain, force: true })
            assert.strictEqual(refused.code, "STORAGE_FAILED", JSON.stringify(refused.data))
            assert.strictEqual(readFileSync(join(inside, `${domain}.pem`), "utf8"), before)
            assert.deepStrictEqual(await prober.look(domain), seen)
            makeRoom(inside)
            assert.deepStrictEqual([...inFolder(inside, `round ${round}`, true).keys()], [domain])
          }
          const renewed = await client.good("haproxy_renew_cert", { domain, force: true })
          assert.strictEqual(renewed["changed"], true)
          assert.notDeepEqual(await prober.look(domain), seen)
          assert.deepInclude(await client.good("haproxy_health"), { status: "healthy" })
          await prober.stop()
        })
        assert.deepStrictEqual(prober.failures, [])
        assert.lengthOf(acme.runs(), 5)
      }),
    limit
  )
})
