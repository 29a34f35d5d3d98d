/** Imports and exports over a real HAProxy: what is taken, what is refused and in which words, and the way back. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { readCsv } from "../../src/cli/rows/CsvRows.ts"
import { Unreadable } from "../../src/cli/rows/Rows.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { exportDomains } from "../../src/program/Export.ts"
import { importDomains } from "../../src/program/Import.ts"
import type { ImportAnswer } from "../../src/program/import/Shapes.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { addServer, setServerState, setServerWeight } from "../../src/program/Servers.ts"
import { makeWorld } from "../support/World.ts"

/** Rows as they come from a file, numbered from line 2. */
const lines = (...rows: ReadonlyArray<unknown>) => rows.map((row, index) => [index + 2, row] as const)

const told = ({ problems }: ImportAnswer) => problems.map(({ field, line, message }) => `${line} ${field}: ${message}`)

const shares = (name: string, owner: string) => ({ domain: name, shares_with: owner })

describe("an import", () => {
  it.live("takes a share before its owner, and a share of a share; repeating it changes nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const rows = lines(
        shares("c.shop.example.com", "b.shop.example.com"),
        shares("b.shop.example.com", "example.com"),
        { domain: "Example.com", servers: "10.0.0.1:80 weight 5; 10.0.0.2:80 slot 1 drain" },
        { domain: "*.wild.example.org", pool: "pool_4", servers: [{ ip: "10.0.0.3", port: 8080 }] },
        { domain: "empty.example.net" },
        shares("c.shop.example.com", "b.shop.example.com")
      )
      const first = yield* world.run(importDomains({ rows }))
      assert.deepInclude(first, { outcome: "imported", changed: true, rows: 6, added: 5, bad: 0, wildcards: 1 })
      assert.deepInclude(first, { pools: 3, servers: 3, revision: 1, unchanged: 0 })
      assert.deepStrictEqual(first.warnings, [
        "1 rows say what an earlier row says (the first on line 7); each counts once"
      ])
      const dump = yield* world.consistent("after the import")
      for (
        const line of [
          "map b.shop.example.com pool_1",
          "map c.shop.example.com pool_1",
          "map .example.com pool_1",
          "map .wild.example.org pool_4",
          "map empty.example.net pool_2"
        ]
      ) assert.include(dump, line)
      const again = yield* world.run(importDomains({ rows }))
      assert.deepInclude(again, { outcome: "unchanged", changed: false, unchanged: 5, revision: 1 })
      assert.strictEqual(yield* world.consistent(), dump)
    }).pipe(Effect.scoped))

  it.live("takes the file that the documentation shows", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 8 })
      const manual = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8")
      const file = readCsv(/```csv\n([^`]*)```/.exec(manual)![1]!, 100)
      assert(!(file instanceof Unreadable))
      const answer = yield* world.run(importDomains({ rows: file.rows, problems: file.problems }))
      assert.deepInclude(answer, { outcome: "imported", added: 4, bad: 0, servers: 3, wildcards: 1 })
      yield* world.consistent()
    }).pipe(Effect.scoped))

  it.live("tells everything that is wrong at once, and writes nothing", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 2 })
      yield* world.run(addDomain({ domain: "there.example.com", ip: "10.9.9.9" }))
      const dump = yield* world.consistent()
      const rows = lines(
        { domain: "good.example.com", servers: "10.0.0.1" },
        { domain: "bad_name.example.com" },
        { domain: "other.example.com", servers: "127.1:80" },
        { domain: "third.example.com", servers: "10.0.0.1; 10.0.0.2; 10.0.0.3" },
        shares("lost.example.com", "nowhere.example.com"),
        shares("a.example.com", "b.example.com"),
        shares("b.example.com", "a.example.com"),
        shares("after.example.com", "bad-port.example.com"),
        { domain: "bad-port.example.com", servers: "10.0.0.1:99999" },
        { domain: "twice.example.com", servers: "10.0.0.1" },
        { domain: "twice.example.com", servers: "10.0.0.2" },
        { domain: "there.example.com", servers: "10.0.0.1" },
        shares("there.example.com", "good.example.com"),
        { domain: "pool.example.com", pool: "pool_9" },
        { domain: "used.example.com", pool: "pool_1" },
        { domain: "both.example.com", shares_with: "good.example.com", servers: "10.0.0.1" },
        { domain: "more.example.com" },
        { domain: "most.example.com" },
        { domain: "x.example.com", colour: "red" },
        "text",
        { domain: 7 }
      )
      const answer = yield* world.run(importDomains({ rows }))
      assert.deepInclude(answer, { outcome: "refused", changed: false, added: 0, pools: 0, bad: 19, problem_count: 19 })
      const all = told(answer).join("\n")
      for (
        const text of [
          "3 domain: domain \"bad_name.example.com\" contains an underscore",
          "4 servers[0].ip: servers[0].ip \"127.1\" is not an IP address",
          "5 servers: servers has 3, and a pool has 2 slots",
          "6 shares_with: shares_with nowhere.example.com is neither in the file nor routed here",
          "7 shares_with: a.example.com shares with itself through others",
          "8 shares_with: b.example.com shares with itself through others",
          "9 shares_with: shares_with bad-port.example.com is itself refused",
          "10 servers[0].http_port: servers[0].http_port 99999 is not a port",
          "11 domain: twice.example.com stands on line 12 too, with other content",
          "12 domain: twice.example.com stands on line 11 too, with other content",
          "13 domain: there.example.com stands on line 14 too",
          "15 pool: pool \"pool_9\" is not one of pool_1 to pool_3",
          "16 pool: pool_1 is in use by there.example.com",
          "17 servers: A domain that shares a pool has no servers and no pool of its own",
          "19 domain: Every pool that HAProxy has is in use",
          "20 colour: \"colour\" is not a field",
          "21 : This is not a row",
          "22 domain: domain is not a text"
        ]
      ) assert.include(all, text)
      assert.deepStrictEqual(
        answer.problems.map(({ line }) => line),
        answer.problems.map(({ line }) => line).sort((a, b) => a - b)
      )
      assert.strictEqual(yield* world.consistent(), dump)

      const dry = yield* world.run(importDomains({ rows, skip_bad: true, dry_run: true }))
      assert.deepInclude(dry, { outcome: "checked", changed: false, added: 2, bad: 19 })
      assert.strictEqual(yield* world.consistent(), dump)
    }).pipe(Effect.scoped))

  it.live("leaves bad rows out when told to, and says of what exists when it is not as the file says", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      yield* world.run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      yield* world.run(addDomain({ domain: "www.example.com", share_with: "example.com" }))
      const rows = lines(
        { domain: "example.com", servers: "10.0.0.2:80" },
        { domain: "www.example.com", servers: "10.0.0.2:80" },
        shares("new.example.com", "example.com"),
        shares("other.example.com", "www.example.com"),
        { domain: "fine.example.org", servers: "10.0.0.4:80 maint" }
      )
      const answer = yield* world.run(
        importDomains({
          rows,
          problems: [{ line: 9, field: "", message: "This is not JSON", hint: "" }],
          skip_bad: true
        })
      )
      assert.deepInclude(answer, { outcome: "imported", added: 1, bad: 5, problem_count: 5, rows: 6 })
      assert.deepStrictEqual(told(answer), [
        "2 servers: example.com exists and has other servers",
        "3 domain: www.example.com shares pool_1 with example.com",
        "4 shares_with: shares_with example.com is itself refused",
        "5 shares_with: shares_with www.example.com is itself refused",
        "9 : This is not JSON"
      ])
      assert.include(yield* world.consistent(), "map fine.example.org pool_2")
    }).pipe(Effect.scoped))

  it.live("leaves entries of others alone", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ domains: ["mine.example.com legacy"], wildcards: [".example.org legacy"] })
      const rows = lines({ domain: "mine.example.com" }, { domain: "example.org", servers: "10.0.0.1" })
      assert.deepStrictEqual(told(yield* world.run(importDomains({ rows }))), [
        "2 domain: mine.example.com is routed by an entry that is not managed here"
      ])
      const answer = yield* world.run(importDomains({ rows: rows.slice(1) }))
      assert.deepInclude(answer, { outcome: "imported", wildcards: 0 })
      assert.match(answer.warnings.join(), /such as \*\.example\.org/)
      const both = lines({ domain: "*.example.com" }, { domain: "example.com" })
      assert.deepInclude(yield* world.run(importDomains({ rows: both })), {
        outcome: "imported",
        added: 2,
        wildcards: 0
      })
      const { foreign } = yield* world.run(Effect.flatMap(PoolAllocator, ({ reconcile }) => reconcile))
      assert.strictEqual(foreign, 2)
    }).pipe(Effect.scoped))

  it.live("is refused whole when it is no list or too long", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      for (const rows of [undefined, "domain", [{ domain: "a.com" }], Array.from({ length: 200_001 }, () => [1, {}])]) {
        const error = yield* Effect.flip(world.run(importDomains({ rows })))
        assert.strictEqual(error._tag, "InvalidInput")
      }
    }).pipe(Effect.scoped))
})

describe("an export", () => {
  it.live("imported into an empty database gives the same state, and the same export", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: true, pools: 8 })
      const { run } = world
      yield* run(addDomain({ domain: "gone.example.net", ip: "10.0.0.9" }))
      yield* run(addDomain({ domain: "example.com", ip: "10.0.0.1" }))
      yield* run(addServer({ domain: "example.com", slot: 3, ip: "2001:db8::5", http_port: 8080 }))
      yield* run(setServerWeight({ domain: "example.com", slot: 3, weight: 42 }))
      yield* run(setServerState({ domain: "example.com", slot: 1, state: "drain" }))
      yield* run(addDomain({ domain: "www.example.com", share_with: "example.com" }))
      // An own pool for the wildcard, a wildcard taken away, an explicit one in its domain's pool.
      yield* run(addDomain({ domain: "*.example.com", ip: "10.0.0.2" }))
      yield* run(addDomain({ domain: "example.org", ip: "10.0.0.3" }))
      yield* run(removeDomain({ domain: "*.example.org" }))
      yield* run(addDomain({ domain: "example.edu" }))
      yield* run(addDomain({ domain: "*.example.edu" }))
      yield* run(addDomain({ domain: "a.example.edu", share_with: "example.edu" }))
      // The heir of a pool is younger than another share of it.
      yield* run(removeDomain({ domain: "gone.example.net" }))
      yield* run(addDomain({ domain: "late.example.net", share_with: "*.example.com" }))
      const dump = yield* world.consistent()
      const { rows } = yield* run(exportDomains({}))

      const other = yield* makeWorld({ poolsFile: true, pools: 8 })
      const answer = yield* other.run(importDomains({ rows: rows.map((row, index) => [index + 1, row] as const) }))
      assert.deepInclude(answer, { outcome: "imported", bad: 0, rows: rows.length })
      assert.strictEqual(yield* other.consistent(), dump)
      const back = yield* other.run(exportDomains({}))
      assert.deepStrictEqual(back.rows, rows)
      // Onto itself it changes nothing.
      const same = yield* run(importDomains({ rows: rows.map((row, index) => [index + 1, row] as const) }))
      assert.deepInclude(same, { outcome: "unchanged", changed: false, problem_count: 0 })
    }).pipe(Effect.scoped))
})
