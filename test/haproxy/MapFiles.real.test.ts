import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { writeFileSync } from "node:fs"
import type { Route } from "../../src/domain/Change.ts"
import type { PoolNumber } from "../../src/domain/Pool.ts"
import type { RouteName } from "../../src/domain/RouteName.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { makeSite, realLines, startIn } from "../support/RealHaproxy.ts"

const route = (name: string, pool: number): Route => ({
  name: name as RouteName,
  pool: pool as PoolNumber,
  implicit: false,
  seq: 1
})

/** Everything that HAProxy reads in a way of its own. */
const odd = [
  "# comment",
  " #key of one value",
  "",
  "  indented.com\tbe_a \t",
  "novalue.com",
  "crlf.com be_b\r",
  "words.com be_c # no comment",
  "l\xe4tin.com be_d",
  "cr.com be_e\rdropped",
  "twice.com be_f",
  "twice.com be_g",
  "ours.com be_h",
  "stray.com pool_2",
  "\r",
  "last.com be_i"
].join("\n")

describe.each(realLines)("HAProxy $line", (binary) => {
  it.effect("loads as many entries as we count, with the values that we list, and ours first", () =>
    Effect.gen(function*() {
      const site = yield* makeSite()
      writeFileSync(site.domainsMap, odd, "latin1")
      const context = yield* Layer.build(MapFiles.layer({ domains: site.domainsMap, limits: { pools: 4, slots: 3 } }))
      const files = yield* Effect.provideContext(MapFiles, context)
      yield* files.reset({ routes: [route("ours.com", 1), route("other.com", 2)], servers: [] })
      const haproxy = yield* startIn(site, binary)
      const list = yield* haproxy.command("show map")
      const counted = /domains\.map' .*entry_cnt=(\d+)/.exec(list)?.[1]
      assert.strictEqual(Number(counted), (yield* files.counts).domains)
      const loaded = (yield* haproxy.command(`show map ${site.domainsMap}`)).split("\n").filter(Boolean)
        .map((line) => line.replace(/^0x[0-9a-f]+ /, ""))
      const utf8 = (text: string) => Buffer.from(text, "latin1").toString("utf8")
      const listed = (yield* files.foreign).map(({ key, value }) => utf8(`${key} ${value}`))
      assert.deepStrictEqual(loaded.toSorted(), [...listed, "ours.com pool_1", "other.com pool_2"].toSorted())
      assert.match(yield* haproxy.command(`get map ${site.domainsMap} ours.com`), /value="pool_1"/)
      const first = yield* files.foreignEntry("domains", "twice.com")
      assert.match(
        yield* haproxy.command(`get map ${site.domainsMap} twice.com`),
        new RegExp(`value="${first?.value}"`)
      )
    }))
})
