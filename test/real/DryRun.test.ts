/**
 * Dry runs of every tool that changes something, on every line of HAProxy: after one, the database, the files and HAProxy
 * are byte for byte as before and nothing but questions was sent; and the plan says what the same call then really does.
 * The table is held to the catalogue: a tool without an example here fails.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Principal } from "../../src/domain/Principal.ts"
import { allTools } from "../../src/mcp/Catalogue.ts"
import type { ChangePlan } from "../../src/program/DryRun.ts"
import { Store } from "../../src/store/Store.ts"
import { newestLine, realLines } from "../support/RealHaproxy.ts"
import { writesIn } from "../support/Recorder.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { changeOf, type Example, examples } from "./dryrun/Examples.ts"
import { runtimeExamples } from "./dryrun/RuntimeExamples.ts"
import { makeDryRuntimeSite, makeDrySite, type Watched } from "./dryrun/Site.ts"

const writing = allTools.filter(({ annotations }) => !annotations.readOnlyHint)

it("the table has every tool that changes something", () => {
  assert.deepStrictEqual(
    [...examples, ...runtimeExamples].map(({ tool }) => tool).sort(),
    writing.map(({ name }) => name).sort()
  )
  for (const { inputSchema, name, plans } of writing) {
    assert.isTrue(plans, `${name} answers no plan`)
    assert.deepInclude(inputSchema.properties["dry_run"], { type: "boolean", default: false }, name)
  }
  for (const { inputSchema, name, plans } of allTools.filter(({ annotations }) => annotations.readOnlyHint)) {
    assert.isFalse(plans, name)
    assert.notProperty(inputSchema.properties, "dry_run", name)
  }
})

/** Every example in turn: first dry, then in earnest, then dry again. */
const tryAll = Effect.fnUntraced(
  function*<S extends Watched>(site: S, all: ReadonlyArray<Example<S>>, isNewest: boolean) {
    const { call, canonical, world } = site
    for (const example of all) {
      if (example.ca === true && !isNewest) continue
      const { tool } = example
      const args = yield* example.prepare(site)
      const before = yield* canonical
      const sent = world.sent.length
      const dry = yield* call(tool, { ...args, dry_run: true })
      assert.deepStrictEqual(writesIn(world.sent.slice(sent)), [], `${tool} told HAProxy something`)
      assert.strictEqual(yield* canonical, before, `${tool} left something`)
      assert.include(String(dry["summary"]), "Dry run, nothing was changed", tool)
      assert.notStrictEqual(dry["changed"], true, tool)
      assert.notProperty(dry, "change_id", tool)
      const plan = dry["plan"] as ChangePlan
      assert.isTrue(plan.would_change, `${tool}: ${JSON.stringify(plan)}`)
      const told = world.sent.length
      const done = yield* call(tool, args)
      const really = writesIn(world.sent.slice(told))
      example.compare({ plan, dry, done, told: really, edits: yield* changeOf(world, done), site })
      if (example.again === false) continue
      const again = (yield* call(tool, { ...args, dry_run: true }))["plan"] as ChangePlan
      assert.isFalse(again.would_change, `${tool} again: ${JSON.stringify(again)}`)
    }
  }
)

describe.concurrent("a dry run changes nothing, and says what the call then does", () => {
  for (const binary of realLines) {
    it.live(
      `to what is ours: HAProxy ${binary.version}`,
      () =>
        quiet(Effect.flatMap(makeDrySite(binary), (site) => tryAll(site, examples, binary === newestLine)))
          .pipe(Effect.scoped),
      60_000
    )
    it.live(
      `to what is not: HAProxy ${binary.version}`,
      () =>
        quiet(Effect.flatMap(makeDryRuntimeSite(binary), (site) => tryAll(site, runtimeExamples, true)))
          .pipe(Effect.scoped),
      60_000
    )
  }
})

describe("a dry run beside others", () => {
  it.live("needs the rights of the call, and leaves those alone who write at the same time", () =>
    quiet(Effect.gen(function*() {
      const { canonical, world } = yield* makeDrySite(newestLine)
      const before = yield* canonical
      const limited: Principal = {
        kind: "token",
        id: null,
        name: "limited",
        scopes: ["config", "traffic"],
        domains: ["a.com"]
      }
      const reader: Principal = { ...limited, scopes: ["read"], domains: null }
      for (
        const [tool, args, principal] of [
          ["haproxy_set_server_weight", { domain: "a.com", slot: 1, weight: 5 }, limited],
          ["haproxy_remove_domain", { domain: "c.net" }, limited],
          ["haproxy_add_domain", { domain: "x.com" }, reader],
          ["haproxy_reload", {}, limited]
        ] as const
      ) {
        const real = yield* world.call(tool, args, { principal })
        const dry = yield* world.call(tool, { ...args, dry_run: true }, { principal })
        assert.deepStrictEqual([dry.code, dry.text], ["FORBIDDEN", real.text], tool)
      }
      // Calls that were denied are in the audit chain, which is in the database: all else is as before.
      const ours = (text: string) =>
        text.split("\n").filter((line) => !line.startsWith(world.plane.database)).join("\n")
      assert.strictEqual(ours(yield* canonical), ours(before))
      const revision = () => world.run(Effect.orDie(Effect.flatMap(Store, (store) => store.revision)))
      const from = yield* revision()
      const calls = Array.from({ length: 30 }, (_, index) => index % 10 === 0 ? {} : { dry_run: true })
      const answers = yield* Effect.forEach(
        calls,
        (flags) => world.good("haproxy_add_domain", { domain: "x.com", ip: "10.0.0.9", ...flags }),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(answers.filter((answer) => answer["changed"] === true), 1)
      assert.lengthOf(answers.filter((answer) => "plan" in answer), 27)
      assert.strictEqual(yield* revision(), from + 1)
      yield* world.consistent
    })).pipe(Effect.scoped))
})
