import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listChanges, showChange } from "../../src/program/ChangeList.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { adoptForeign, listForeign } from "../../src/program/Foreign.ts"
import { within } from "../support/ControlPlane.ts"
import { dumpDesired, dumpRuntime, foreignRuntime } from "../support/Dump.ts"
import { makeWorld } from "../support/World.ts"

const domains = [
  "site.example.com be_site",
  "far.example.com pool_99",
  "Shop.example.com pool_2",
  "bad_name.example.com pool_3",
  ".wild.example.com pool_2",
  "A.com pool_1"
]

describe("foreign entries", () => {
  it.live("are listed with their reason, and adopted where they lead to a pool of ours", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ domains })
      const { haproxy, run, site } = world
      // The pools that they lead to are nobody else's.
      yield* run(addDomain({ domain: "a.com", ip: "10.0.0.1" }))
      assert.strictEqual((yield* run(addDomain({ domain: "b.com" }))).backend, "pool_5")
      yield* haproxy.command(`add map ${site.runtimeDomainsMap} live.example.com be_live`)
      const { entries, summary, warnings } = yield* run(listForeign({}))
      assert.deepStrictEqual(
        entries.map(({ adopt_as, key, where, why }) => `${key} | ${where} | ${why} | ${adopt_as}`),
        [
          ".wild.example.com | both | a wildcard belongs into wildcards.map | *.wild.example.com",
          "A.com | both | the name is not written as a.com; a.com is a domain of ours, too | null",
          "Shop.example.com | both | the name is not written as shop.example.com | shop.example.com",
          "bad_name.example.com | both | the name contains an underscore | null",
          "far.example.com | both | it leads to pool_99, and HAPROXY_POOL_COUNT is 5 | null",
          "live.example.com | haproxy | it leads to be_live, which is none of our pools | null",
          "site.example.com | both | it leads to be_site, which is none of our pools | null"
        ]
      )
      assert.strictEqual(summary, "7 foreign entries, 2 of them can be adopted")
      assert.deepStrictEqual(warnings, [])

      const dry = yield* run(adoptForeign({ all: true, dry_run: true }))
      assert.deepInclude(dry, { changed: false, dry_run: true })
      assert.deepStrictEqual(dry.adopted, [
        { domain: "*.wild.example.com", backend: "pool_2" },
        { domain: "shop.example.com", backend: "pool_2" }
      ])
      const refused = yield* run(adoptForeign({ names: ["site.example.com", "bad_name.example.com"] }))
      assert.deepStrictEqual(refused.refused.map(({ key }) => key), ["site.example.com", "bad_name.example.com"])
      assert.deepInclude(refused, { changed: false, adopted: [] })
      assert.strictEqual((yield* Effect.flip(run(adoptForeign({ names: ["nobody.com"] })))).code, "NOT_FOUND")
      assert.strictEqual((yield* Effect.flip(run(adoptForeign({})))).code, "INVALID_INPUT")

      const before = yield* foreignRuntime(site.runtimeSocket, site.runtimeDomainsMap)
      const one = yield* run(adoptForeign({ names: ["Shop.example.com"] }))
      assert.deepInclude(one, { changed: true, adopted: [{ domain: "shop.example.com", backend: "pool_2" }] })
      assert.match(yield* haproxy.command(`get map ${site.runtimeDomainsMap} shop.example.com`), /value="pool_2"/)
      assert.match(yield* haproxy.command(`get map ${site.runtimeDomainsMap} Shop.example.com`), /value="pool_2"/)
      yield* run(adoptForeign({ all: true }))
      assert.match(yield* haproxy.command(`get map ${site.runtimeWildcardsMap} .wild.example.com`), /value="pool_2"/)
      assert.deepStrictEqual(yield* foreignRuntime(site.runtimeSocket, site.runtimeDomainsMap), before)
      assert.deepInclude(yield* run(adoptForeign({ all: true })), { changed: false, adopted: [] })

      // Who changed what.
      const { changes } = yield* run(listChanges({ domain: "shop.example.com" }))
      assert.deepStrictEqual(changes.map(({ change_id, outcome }) => [change_id, outcome]), [[
        one.change_id,
        "applied"
      ]])
      const shown = yield* run(showChange({ change_id: one.change_id! }))
      assert.deepStrictEqual(shown.edits, [
        { what: "owner of pool_2", before: null, after: "shop.example.com" },
        { what: "shop.example.com", before: null, after: "pool_2" }
      ])
      assert.strictEqual((yield* Effect.flip(run(showChange({ change_id: "chg_none" })))).code, "NOT_FOUND")
    }))

  it.live("are read from the files alone while HAProxy is away", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ domains: ["site.example.com be_site"] })
      yield* world.haproxy.stop
      const { entries, warnings } = yield* world.run(within(500)(listForeign({})))
      assert.deepStrictEqual(entries.map(({ key, where }) => [key, where]), [["site.example.com", "file"]])
      assert.match(warnings.join(), /Only the files were read/)
      yield* world.haproxy.start
    }))

  it.live("beside an empty database: all that HAProxy runs becomes the desired state, and HAProxy stays as it is", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({
        domains: ["shop.example.com pool_1", "example.org pool_2", "site.example.com be_site"],
        wildcards: [".example.org pool_2"]
      })
      const { haproxy, run, site } = world
      yield* haproxy.command("set server pool_1/pool_1_1 addr 10.0.0.1 port 8080")
      yield* haproxy.command("set server pool_1/pool_1_1 state ready")
      yield* haproxy.command("set server pool_1/pool_1_1 weight 9")
      const runtime = dumpRuntime(site.runtimeSocket, [site.runtimeDomainsMap, site.runtimeWildcardsMap])
      const before = yield* runtime
      const blocked = yield* Effect.flip(run(within(700)(addDomain({ domain: "a.com" }))))
      assert.match(`${blocked.message} ${blocked.hint}`, /database is empty.*foreign adopt --all/)
      assert.deepInclude(yield* run(adoptForeign({ all: true, dry_run: true })), { changed: false })
      const taken = yield* run(adoptForeign({ all: true }))
      assert.match(taken.summary, /^2 domains, 1 wildcard and 1 server /)
      assert.strictEqual(yield* runtime, before)
      yield* world.consistent()
      assert.include(yield* run(Effect.orDie(dumpDesired)), "owner pool_2 example.org")
      assert.strictEqual((yield* run(addDomain({ domain: "a.com" }))).backend, "pool_3")
    }))
})
