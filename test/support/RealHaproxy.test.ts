import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { realLines, startHaproxy } from "./RealHaproxy.ts"

describe.each(realLines)("a real HAProxy $line", (binary) => {
  it.effect("starts, routes, restarts, reloads and pauses", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({
        binary,
        domains: ["a.example.com pool_1"],
        wildcards: [".example.com pool_2"],
        mapAlias: true
      })
      assert.strictEqual((yield* haproxy.get("nobody.test")).status, 404)
      assert.strictEqual((yield* haproxy.get("A.example.com:80")).status, 503)
      for (const host of ["b.example.com", "1.b.example.com", "2.1.b.example.com", "3.2.1.b.example.com"]) {
        assert.strictEqual((yield* haproxy.get(host)).status, 503, host)
      }
      assert.strictEqual((yield* haproxy.get("4.3.2.1.b.example.com")).status, 404)
      const maps = yield* haproxy.command("show map")
      assert.include(maps, haproxy.site.runtimeDomainsMap)
      assert.notStrictEqual(haproxy.site.runtimeDomainsMap, haproxy.site.domainsMap)

      const first = yield* haproxy.workerPid
      yield* haproxy.restart
      const second = yield* haproxy.workerPid
      assert.notStrictEqual(second, first)
      assert.match(yield* haproxy.reload, /^Success=1/)
      assert.notStrictEqual(yield* haproxy.workerPid, second)
      yield* haproxy.pause
      yield* haproxy.resume
      yield* haproxy.stop
      yield* haproxy.start
      assert.strictEqual((yield* haproxy.get("b.example.com")).status, 503)
    }))
})

describe("a second configuration file", () => {
  it.effect("brings the pools", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ poolsFile: true, pools: 2, slots: 2, domains: ["a.test pool_2"] })
      assert.include(yield* haproxy.command("show servers state pool_2"), "pool_2_2")
      assert.strictEqual((yield* haproxy.get("a.test")).status, 503)
    }))
})
