/** Map entries that are not ours: refused by name, kept verbatim in the files and in HAProxy, through everything. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"
import { foreignRuntime } from "../support/Dump.ts"
import { makeWatchedWorld, quiet, type WatchedWorld } from "../support/WatchedWorld.ts"

const domains = ["# by hand", "foreign.net web_backend", "Upper.Case.net web_backend", "beyond.net pool_999"]
const wildcards = [".foreign.org web_backend"]

/** As Dump reads them: what is not pool_N. */
const runtimeForeign = (world: WatchedWorld) =>
  Effect.gen(function*() {
    const { runtimeDomainsMap, runtimeSocket, runtimeWildcardsMap } = world.haproxy.site
    return [
      ...(yield* foreignRuntime(runtimeSocket, runtimeDomainsMap)),
      ...(yield* foreignRuntime(runtimeSocket, runtimeWildcardsMap)),
      ...(yield* world.haproxy.command(`show map ${runtimeDomainsMap}`)).split("\n").filter((line) =>
        line.endsWith(" pool_999")
      ).map((line) => line.split(" ").slice(1).join(" "))
    ]
  })

const fileLines = (path: string) => Effect.promise(async () => (await readFile(path, "utf8")).split("\n"))

describe("entries that are not ours", () => {
  it.live("are refused by name and survive everything", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({
        domains,
        wildcards,
        pools: 6,
        sections: [
          "backend web_backend from base",
          "  http-request return status 200 content-type text/plain string foreign",
          ""
        ]
      })
      const { site } = world.haproxy
      const expected = [
        "foreign.net web_backend",
        "Upper.Case.net web_backend",
        ".foreign.org web_backend",
        "beyond.net pool_999"
      ]
      const check = Effect.fnUntraced(function*(when: string) {
        assert.deepStrictEqual(yield* runtimeForeign(world), expected, `in HAProxy, ${when}`)
        const inFile = [...(yield* fileLines(site.domainsMap)), ...(yield* fileLines(site.wildcardsMap))]
        for (const line of [...domains, ...wildcards]) assert.include(inFile, line, `in the files, ${when}`)
        for (const line of expected) assert.lengthOf(inFile.filter((one) => one === line), 1, `${line}, ${when}`)
        assert.strictEqual((yield* world.haproxy.get("foreign.net")).body, "foreign", when)
        assert.strictEqual((yield* world.haproxy.get("any.foreign.org")).body, "foreign", when)
        const list = yield* world.good("haproxy_list_domains", { include_wildcards: true })
        assert.strictEqual(list["foreign_entries"], 4, when)
      })
      yield* world.consistent
      yield* check("at the start")

      for (const domain of ["foreign.net", "FOREIGN.net", "beyond.net", "*.foreign.org"]) {
        for (const args of [{ domain }, { domain, ip: "10.0.0.1" }]) {
          const { field, hint, message } = yield* world.bad("haproxy_add_domain", args, "CONFLICT")
          assert.deepEqual({ field }, { field: "domain" })
          assert.include(message, domain.toLowerCase())
          assert.match(hint, /Remove that entry/)
        }
        const { hint } = yield* world.bad("haproxy_remove_domain", { domain }, "FORBIDDEN")
        assert.match(hint, /where it was made/)
        yield* world.bad("haproxy_list_servers", { domain }, "NOT_FOUND")
      }
      // The registrable domain beside a foreign wildcard: added without its own.
      const beside = yield* world.good("haproxy_add_domain", { domain: "foreign.org", ip: "10.0.0.1" })
      assert.isNull(beside["wildcard"])
      assert.match(String(beside["warnings"]), /\*\.foreign\.org was there already/)
      yield* check("after the refusals")

      for (let n = 0; n < 30; n++) {
        const domain = `d${n % 3}.com`
        yield* world.good("haproxy_add_domain", { domain, ip: `10.0.1.${n % 3}` })
        yield* world.good("haproxy_add_server", { domain, ip: "10.0.2.1" })
        yield* world.good("haproxy_set_domain_state", { domain, state: n % 2 === 0 ? "drain" : "maint" })
        if (n % 4 !== 3) yield* world.good("haproxy_remove_domain", { domain })
      }
      yield* world.good("haproxy_remove_domain", { domain: "foreign.org" })
      yield* world.good("haproxy_cleanup_wildcards", {})
      yield* check("after many writes")
      yield* world.consistent

      yield* world.haproxy.restart
      yield* world.consistent
      yield* check("after a restart of HAProxy")
      yield* world.restartPlane()
      yield* world.good("haproxy_add_domain", { domain: "late.com", ip: "10.0.0.1" })
      yield* world.consistent
      yield* check("after a restart of the control plane")
    })))

  it.live("that somebody adds while we run are found when the same name is added, and stay", () =>
    quiet(Effect.gen(function*() {
      const world = yield* makeWatchedWorld({
        sections: [
          "backend web_backend from base",
          "  http-request return status 200 content-type text/plain string foreign",
          ""
        ]
      })
      const { runtimeDomainsMap } = world.haproxy.site
      yield* world.good("haproxy_add_domain", { domain: "a.example", ip: "10.0.0.1" })
      yield* world.haproxy.command(`add map ${runtimeDomainsMap} new.example web_backend`)
      // Not seen yet when it is decided: HAProxy is asked before the entry is added.
      const refused = yield* world.bad(
        "haproxy_add_domain",
        { domain: "new.example", ip: "10.0.0.2" },
        "HAPROXY_REFUSED"
      )
      assert.match(refused.message, /the map leads new\.example to web_backend already/)
      const entries = (yield* world.haproxy.command(`show map ${runtimeDomainsMap}`)).match(/new\.example.*/g)
      assert.deepStrictEqual(entries, ["new.example web_backend"])
      assert.strictEqual((yield* world.haproxy.get("new.example")).body, "foreign")
      // From then on it is known.
      yield* world.bad("haproxy_add_domain", { domain: "new.example", ip: "10.0.0.2" }, "CONFLICT")
      yield* world.bad("haproxy_remove_domain", { domain: "new.example" }, "FORBIDDEN")
      const list = yield* world.good("haproxy_list_domains", {})
      assert.deepInclude(list, { total: 1 })
    })))
})
