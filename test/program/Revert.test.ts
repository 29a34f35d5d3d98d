/** Changes that are taken back, over a real HAProxy: database, files and HAProxy are as before, or it is said what stands in the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { ControlError } from "../../src/domain/Errors.ts"
import { listChanges } from "../../src/program/ChangeList.ts"
import { addDomain, cleanupWildcards, removeDomain } from "../../src/program/Domains.ts"
import { importDomains } from "../../src/program/Import.ts"
import { revert } from "../../src/program/Revert.ts"
import {
  addServer,
  addServers,
  removeServer,
  setDomainState,
  setServerState,
  setServerWeight
} from "../../src/program/Servers.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Store } from "../../src/store/Store.ts"
import { dumpDesired } from "../support/Dump.ts"
import { makeWorld } from "../support/World.ts"

type Verb = readonly [
  what: string,
  verb: Effect.Effect<{ readonly change_id?: string; readonly changed: boolean }, ControlError, ProgramServices>
]

const verbs: ReadonlyArray<Verb> = [
  ["a domain that came", addDomain({ domain: "new.example.net", ip: "10.0.1.1" })],
  ["a registrable domain that came with its wildcard", addDomain({ domain: "example.org", ip: "10.0.1.2" })],
  ["a share that came", addDomain({ domain: "share.example.net", share_with: "example.com" })],
  ["a share that left", removeDomain({ domain: "b.example.net" })],
  ["the owner of a shared pool that left", removeDomain({ domain: "example.com" })],
  ["the last domain of a pool that left", removeDomain({ domain: "alone.example.net" })],
  ["a server that came", addServer({ domain: "alone.example.net", ip: "10.0.1.3" })],
  [
    "servers that came",
    addServers({ domain: "alone.example.net", servers: [{ ip: "10.0.1.4" }, { ip: "10.0.1.5", http_port: 8080 }] })
  ],
  ["a server that left", removeServer({ domain: "example.com", slot: 1 })],
  ["a state", setServerState({ domain: "example.com", slot: 2, state: "drain" })],
  ["the states of a domain", setDomainState({ domain: "example.com", state: "maint" })],
  ["a weight", setServerWeight({ domain: "example.com", slot: 1, weight: 77 })],
  ["wildcards that were cleaned up", cleanupWildcards({})],
  [
    "an import",
    importDomains({
      rows: Array.from({ length: 300 }, (_, index) => [index + 2, {
        domain: `i${index}.example.info`,
        ...(index === 0 ? { servers: "10.0.2.1:80" } : { shares_with: "i0.example.info" })
      }])
    })
  ]
]

describe("a change", () => {
  it.live(
    "of every kind is taken back: rows, files and HAProxy are as before; repeating it changes nothing",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ pools: 6, poolsFile: true })
        yield* world.run(importDomains({
          rows: [
            [2, { domain: "example.com", servers: "10.0.0.1:80 weight 5; 10.0.0.2:80" }],
            [3, { domain: "b.example.net", shares_with: "example.com" }],
            [4, { domain: "alone.example.net", servers: "10.0.0.3:80 drain" }],
            [5, { domain: "app.example.net", servers: "10.0.0.4:80", wildcard: true }]
          ]
        }))
        const before = yield* world.run(dumpDesired)
        const dump = yield* world.same()
        for (const [what, verb] of verbs) {
          const done = yield* world.run(verb)
          assert.isTrue(done.changed, what)
          assert.notStrictEqual(yield* world.run(dumpDesired), before, what)
          const back = yield* world.run(revert({ change_id: done.change_id! }))
          assert.deepInclude(back, { changed: true, reverted: done.change_id! }, what)
          assert.strictEqual(yield* world.run(dumpDesired), before, what)
          assert.strictEqual(yield* world.same(what), dump, what)
          assert.isFalse((yield* world.run(revert({ change_id: done.change_id! }))).changed, what)
          // And forth again, and back.
          const forth = yield* world.run(revert({ change_id: back.change_id! }))
          yield* world.run(revert({ change_id: forth.change_id! }))
          assert.strictEqual(yield* world.run(dumpDesired), before, what)
        }
        assert.strictEqual(yield* world.consistent(), dump)
        const report = yield* world.run(Effect.flatMap(Store, (store) => store.verifyAudit))
        assert.deepStrictEqual(report.faults, [])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "on which something stands that came later is not taken back, and the later change is named",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld()
        const first = yield* world.run(addDomain({ domain: "a.example.com", ip: "10.0.0.1" }))
        const refusal = (changeId: string) => world.run(Effect.flip(revert({ change_id: changeId })))
        const inTheWay = Effect.fnUntraced(function*(verb: Verb[1], undo: boolean) {
          const later = yield* world.run(verb)
          const before = yield* world.run(dumpDesired)
          const refused = yield* refusal(first.change_id!)
          assert.strictEqual(refused._tag, "Conflict")
          assert.include(refused.message, later.change_id!)
          assert.strictEqual(yield* world.run(dumpDesired), before)
          if (undo) yield* world.run(revert({ change_id: later.change_id! }))
        })
        // The pool would go from under a share; a server would be left alone; a row is another one.
        yield* inTheWay(addDomain({ domain: "b.example.com", share_with: "a.example.com" }), true)
        yield* inTheWay(addServer({ domain: "a.example.com", ip: "10.0.0.2" }), true)
        yield* inTheWay(setServerWeight({ domain: "a.example.com", slot: 1, weight: 9 }), true)
        yield* world.run(removeDomain({ domain: "a.example.com" }))
        yield* inTheWay(addDomain({ domain: "a.example.com", ip: "10.0.0.1" }), false)
        assert.strictEqual((yield* refusal("chg_nothing"))._tag, "NotFound")
        yield* world.consistent()
        const list = yield* world.run(listChanges({ who: "local", limit: 2 }))
        assert.strictEqual(list.changes.length, 2)
        assert.isNotNull(list.next_cursor)
        assert.deepStrictEqual((yield* world.run(listChanges({ who: "somebody" }))).changes, [])
        assert.deepStrictEqual((yield* world.run(listChanges({ until: "2020-01-01" }))).changes, [])
        assert.strictEqual((yield* world.run(Effect.flip(listChanges({ from: "now" }))))._tag, "InvalidInput")
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("of certificates, or that took over what HAProxy ran, is not taken back", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld()
      const store = yield* world.run(Store)
      for (const tool of ["haproxy_issue_cert", "migration", "adopt_foreign"]) {
        yield* store.commit(store.record({
          changeId: `chg_${tool}`,
          actor: { via: "test", who: "somebody", requestId: "-" },
          tool,
          summary: "",
          edits: [],
          outcome: "applied"
        }))
        const refused = yield* world.run(Effect.flip(revert({ change_id: `chg_${tool}` })))
        assert.strictEqual(refused._tag, "Forbidden")
        assert.notStrictEqual(refused.hint, "")
      }
    }).pipe(Effect.scoped), 30_000)
})
