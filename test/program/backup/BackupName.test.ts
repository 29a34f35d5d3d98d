/** What backups are called, and which of them go. */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  type BackupName,
  least,
  nameOf,
  newestFirst,
  parseName,
  prune
} from "../../../src/program/backup/BackupName.ts"

const whole = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const day = 86_400_000
const now = Date.parse("2026-11-28T13:45:00Z")
const named = (ago: number, revision = 1): BackupName =>
  parseName("haproxy_mcp", nameOf("haproxy_mcp", now - ago * day, revision, 1))!

describe("a backup's name", () => {
  it("says when and of which revision it is", () => {
    assert.strictEqual(nameOf("haproxy_mcp", now, 17, 1), "haproxy_mcp-20261128T134500Z-r17.db")
    assert.strictEqual(nameOf("haproxy_mcp", now, 17, 3), "haproxy_mcp-20261128T134500Z-r17-3.db")
    assert.deepStrictEqual(parseName("haproxy_mcp", "haproxy_mcp-20261128T134500Z-r17-3.db"), {
      name: "haproxy_mcp-20261128T134500Z-r17-3.db",
      at: now,
      revision: 17,
      index: 3
    })
  })

  it.each([
    "haproxy_mcp.db",
    "haproxy_mcp-20261128T134500Z-r17.db.sha256",
    "haproxy_mcp-20261128T134500Z-r17.db-wal",
    "haproxy_mcp-20261128T134500Z-r.db",
    "haproxy_mcp-20261328T134500Z-r1.db",
    "haproxy_mcp-20261128T134500Z-r1.db.old",
    "old-haproxy_mcp-20261128T134500Z-r1.db",
    "other-20261128T134500Z-r1.db"
  ])("%s is none", (name) => assert.isNull(parseName("haproxy_mcp", name)))
})

describe("pruning", () => {
  const made = named(0)

  it("keeps so many, of so many days, and the newest three whatever their age", () => {
    const found = [0, 1, 2, 3, 4, 5].map((ago) => named(ago))
    const removed = (keep: number, days: number) => prune(found, made.name, now, { keep, days }).remove
    assert.deepStrictEqual(removed(0, 0), [])
    assert.deepStrictEqual(removed(4, 0), [4, 5].map((ago) => named(ago).name))
    assert.deepStrictEqual(removed(1, 0), [1, 2, 3, 4, 5].map((ago) => named(ago).name))
    assert.deepStrictEqual(removed(0, 3), [4, 5].map((ago) => named(ago).name))
    assert.deepStrictEqual(removed(0, 1), [3, 4, 5].map((ago) => named(ago).name))
    const old = [made, named(200), named(201), named(202)]
    assert.deepStrictEqual(prune(old, made.name, now, { keep: 30, days: 90 }).remove, [named(202).name])
  })

  it("leaves what is from the future alone and does not count it", () => {
    const found = [made, named(1), named(2), named(-400), named(-401)]
    assert.deepStrictEqual(prune(found, made.name, now, { keep: 2, days: 0 }), {
      remove: [named(2).name],
      future: [named(-401).name, named(-400).name]
    })
  })

  it.effect.prop(
    "never takes the one that was just made, keeps the newest, and gives nothing away that is not there",
    [
      Arbitrary.schema(Schema.Array(whole(-500, 500))),
      Arbitrary.schema(whole(0, 12)),
      Arbitrary.schema(whole(0, 12))
    ],
    ([ages, keep, days]) =>
      Effect.sync(() => {
        const found = [...new Map(ages.map((ago) => [named(ago).name, named(ago)])).values()]
        const all = [...found.filter(({ name }) => name !== made.name), made]
        const { future, remove } = prune(all, made.name, now, { keep, days })
        assert.notInclude(remove, made.name)
        const names = all.map(({ name }) => name)
        for (const name of [...remove, ...future]) assert.include(names, name)
        const left = all.filter(({ name }) => !remove.includes(name) && !future.includes(name)).sort(newestFirst)
        if (keep > 0) assert.isAtMost(left.length, keep)
        // What is left is newer than what went.
        const newest = Math.max(-Infinity, ...remove.map((name) => parseName("haproxy_mcp", name)!.at))
        for (const { at, name } of left) if (name !== made.name) assert.isAtLeast(at, newest)
        if (keep === 0) assert.isAtLeast(left.length, Math.min(least, all.length - future.length))
      })
  )
})
