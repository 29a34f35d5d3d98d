/** The change log as a model reads it: filters, pages, one change with what it did, and refusals by name. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Caller } from "../../src/program/Caller.ts"
import { changes, type ChangesInput } from "../../src/program/ChangeList.ts"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { importDomains } from "../../src/program/Import.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { makeWorld } from "../support/World.ts"

/** Runs a program as a token. */
const as = (who: string) => <A, E>(program: Effect.Effect<A, E, ProgramServices>) =>
  Effect.flatMap(
    Caller,
    (caller) => Effect.provideService(program, Caller, { ...caller, actor: { ...caller.actor, via: "mcp", who } })
  )

describe("haproxy_changes", () => {
  it.live(
    "filters by domain, token and time, goes on where a page ended, and shows one change row by row",
    () =>
      Effect.gen(function*() {
        const { run } = yield* makeWorld({ pools: 6, poolsFile: true })
        const ids = (input: ChangesInput) =>
          Effect.map(run(changes(input)), (page) => page.changes.map(({ change_id }) => change_id))
        const one = yield* run(as("ci/3f9k2m7q1z")(addDomain({ domain: "one.example.net", ip: "10.0.0.1" })))
        const two = yield* run(as("agent/aaaaaaaaaa")(addDomain({ domain: "two.example.net", ip: "10.0.0.2" })))
        const three = yield* run(as("ci/3f9k2m7q1z")(removeDomain({ domain: "one.example.net" })))
        const all = [three, two, one].map(({ change_id }) => change_id!)

        assert.deepStrictEqual(yield* ids({}), all)
        assert.deepStrictEqual(yield* ids({ domain: "one.example.net" }), [all[0], all[2]])
        for (const who of ["ci", "3f9k2m7q1z", "ci/3f9k2m7q1z"]) {
          assert.deepStrictEqual(yield* ids({ who }), [all[0], all[2]], who)
        }
        assert.deepStrictEqual(yield* ids({ who: "c" }), [])
        const listed = yield* run(changes({}))
        const [, middle] = listed.changes
        assert.deepStrictEqual(yield* ids({ from: middle!.time, until: middle!.time }), [all[1]])
        assert.deepStrictEqual(yield* ids({ until: "2020-01-01" }), [])

        const page = yield* run(changes({ limit: 2 }))
        assert.deepStrictEqual(page.changes.map(({ change_id }) => change_id), all.slice(0, 2))
        const rest = yield* run(changes({ limit: 2, cursor: page.next_cursor! }))
        assert.deepStrictEqual([rest.changes.map(({ change_id }) => change_id), rest.next_cursor], [[all[2]], null])

        const shown = yield* run(changes({ change_id: all[2]! }))
        assert.deepStrictEqual(shown.changes.map(({ change_id }) => change_id), [all[2]])
        assert.strictEqual(shown.edit_count, 3)
        assert.deepInclude(shown.edits.find(({ what }) => what === "one.example.net"), {
          before: null,
          after: "pool_1"
        })
        assert.deepInclude(shown.edits.find(({ what }) => what === "pool_1_1"), {
          before: null,
          after: "10.0.0.1:80 weight 1 ready"
        })

        for (
          const [input, field] of [
            [{ change_id: all[0]!, domain: "one.example.net" }, "domain"],
            [{ from: "yesterday" }, "from"],
            [{ until: "2026-02-30T25:00:00Z" }, "until"],
            [{ cursor: "later" }, "cursor"],
            [{ domain: "no name" }, "domain"],
            [{ change_id: "chg_none" }, "change_id"]
          ] as const
        ) {
          const refused = yield* Effect.flip(run(changes(input)))
          assert.deepStrictEqual(
            [refused.code, "field" in refused ? refused.field : undefined],
            [field === "change_id" ? "NOT_FOUND" : "INVALID_INPUT", field]
          )
        }
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("stays within what a model can read, whatever was imported", () =>
    Effect.gen(function*() {
      const { run } = yield* makeWorld({ pools: 6, poolsFile: true })
      const rows = Array.from({ length: 400 }, (_, index) =>
        [index + 2, {
          domain: `${"long".repeat(14)}-${index}.${"name".repeat(14)}.example.net`,
          ...(index === 0
            ? { servers: "10.0.0.1:80" }
            : { shares_with: `${"long".repeat(14)}-0.${"name".repeat(14)}.example.net` })
        }] as const)
      const done = yield* run(importDomains({ rows }))
      const shown = yield* run(changes({ change_id: done.change_id! }))
      assert.isAtLeast(shown.edit_count, 400)
      assert.lengthOf(shown.edits, 50)
      assert.isBelow(JSON.stringify(shown).length, 28_000)
      const who = `${"t".repeat(60)}/3f9k2m7q1z`
      for (let index = 0; index < 60; index++) {
        const { domain } = rows[7]![1]
        yield* index % 2 === 0
          ? run(as(who)(removeDomain({ domain })))
          : run(as(who)(addDomain({ domain, share_with: rows[0]![1].domain })))
      }
      const page = yield* run(changes({ limit: 50 }))
      assert.lengthOf(page.changes, 50)
      assert.isBelow(JSON.stringify(page).length, 28_000)
    }).pipe(Effect.scoped), 60_000)
})
