/** haproxy_check_config on real HAProxy: what HAProxy says of its files, and what the control plane needs of them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Certificates } from "../../src/program/certificates/Certificates.ts"
import { checkConfig } from "../../src/program/ConfigCheck.ts"
import type { CheckConfigAnswer } from "../../src/program/ConfigurationShapes.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { FastAuthority } from "../support/FastAuthority.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"

const open = ({ needs }: CheckConfigAnswer) => needs.filter(({ ok }) => !ok).map(({ what }) => what)
const hintOf = ({ needs }: CheckConfigAnswer, part: string) => {
  const found = needs.find(({ what }) => what.includes(part))
  assert(found !== undefined, `no need named ${part}: ${JSON.stringify(needs)}`)
  return found.hint
}

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("a good setup has no open need; each thing that is missing is named", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, poolsFile: true, frontend: ["option idle-close-on-response"] })
      yield* world.run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
      const good = yield* world.run(checkConfig)
      assert.deepStrictEqual(open(good), [])
      assert.isTrue(good.valid)
      assert.match(good.summary, /accepts its configuration; nothing that the control plane needs is missing/)

      const text = readFileSync(world.site.configFile, "utf8")
      writeFileSync(
        world.site.configFile,
        text.replace("defaults haproxy_mcp_pools", "defaults other").replace(/option idle-close.*/, "")
          .replaceAll(`map_str(${world.site.runtimeWildcardsMap})`, `map_end(${world.site.runtimeWildcardsMap})`)
      )
      const poor = yield* world.run(checkConfig)
      assert.deepStrictEqual(open(poor), [
        "A reload cuts no kept connection",
        "haproxy.cfg has the section `defaults haproxy_mcp_pools`"
      ])
      assert.include(hintOf(poor, "looks hosts up in wildcards.map"), "map_end scans the whole map")

      writeFileSync(world.site.configFile, text)
      appendFileSync(world.site.configFile, "\nbackend x\n  bogus \u0001word\n  balance nonsense\n")
      const line = text.split("\n").length + 2
      const bad = yield* world.run(checkConfig)
      assert.isFalse(bad.valid)
      assert.include(bad.summary, "unknown keyword 'bogus'")
      assert.deepInclude(bad.messages[0], { level: "alert", file: world.site.configFile, line })
      assert.deepInclude(bad.messages[1], { level: "alert", file: world.site.configFile, line: line + 1 })
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(JSON.stringify(bad.messages), /\\u00/)
      yield* world.consistent()
    }), 20_000)
})

describe("the needs", () => {
  it.live("of a setup by hand: static slots serve, and what they cost is said", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: false, frontend: ["option idle-close-on-response"] })
      const answer = yield* world.run(checkConfig)
      assert.deepStrictEqual(open(answer), ["HAProxy, started alone, serves at once"])
      assert.include(hintOf(answer, "started alone"), "HAPROXY_POOLS_FILE")
    }))

  it.live("pools and slots that the settings name and HAProxy lacks", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 2, declared: { pools: 5, slots: 3 } })
      const answer = yield* world.run(checkConfig)
      assert.match(hintOf(answer, "pool_1 to pool_5"), /lacks 2 of these pools, and 3 more lack slots/)
    }))

  it.live("empty slots at 0.0.0.0, which would send requests anywhere until they are repaired", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 2, slots: 2 })
      const { configFile } = world.site
      const text = readFileSync(configFile, "utf8")
      writeFileSync(configFile, text.replace("server pool_2_1 192.0.2.1:1", "server pool_2_1 0.0.0.0:1"))
      const answer = yield* world.run(checkConfig)
      assert.isTrue(answer.valid)
      assert.match(hintOf(answer, "Empty slots"), /^1 slots, such as pool_2_1, are declared with an address that means/)
    }))

  it.live(
    "certificates: a note where there is no HTTPS, and what keeps one from being served",
    () =>
      Effect.gen(function*() {
        const compare = Effect.flatMap(Certificates, (certificates) => certificates.restore)
        const plain = yield* makeWorld({ poolsFile: true, frontend: ["option idle-close-on-response"] })
        yield* plain.run(compare)
        const without = yield* plain.run(checkConfig)
        assert.deepStrictEqual(open(without), [])
        assert.match(hintOf(without, "HTTPS with the certificates"), /^There is none: .* Only HTTPS needs it/)

        const world = yield* makeWorld({ tls: true, poolsFile: true, frontend: ["option idle-close-on-response"] })
        writeFileSync(join(world.site.certDir, "a.test.pem"), new FastAuthority().issue(["a.test"]).text)
        yield* world.run(compare)
        const good = yield* world.run(checkConfig)
        assert.deepStrictEqual(open(good), [])
        assert.strictEqual(hintOf(good, `HTTPS with the certificates of ${world.site.certDir}`), "")

        writeFileSync(join(world.site.certDir, "broken.pem"), "no certificate\n")
        yield* world.run(compare)
        const poor = yield* world.run(checkConfig)
        assert.deepStrictEqual(open(poor), [`HTTPS with the certificates of ${world.site.certDir}`])
        assert.match(hintOf(poor, "HTTPS with"), /^broken\.pem holds no PEM block/)
      }),
    20_000
  )

  it.live("while HAProxy is down, and where nothing can be checked", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: true, host: { masterSocket: null, isHere: false } })
      yield* world.haproxy.stop
      const answer = yield* world.run(checkConfig)
      assert.isNull(answer.valid)
      assert.match(answer.summary, /^The configuration could not be checked; 3 of 3 needs are open/)
      assert.include(hintOf(answer, "haproxy -c"), "HAPROXY_CONFIG_FILES")
      assert.include(hintOf(answer, "told to reload"), "HAPROXY_MASTER_SOCKET")
      yield* world.haproxy.start
    }))
})
