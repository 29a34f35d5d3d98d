/** One call of every tool that changes something, and how its plan is held against what the call then did. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import type { PoolNumber } from "../../../src/domain/Pool.ts"
import type { RouteName } from "../../../src/domain/RouteName.ts"
import { showChange } from "../../../src/program/ChangeList.ts"
import type { ChangePlan, PlannedEdit } from "../../../src/program/DryRun.ts"
import { Store } from "../../../src/store/Store.ts"
import type { Data } from "../../support/ToolCalls.ts"
import type { WatchedWorld } from "../../support/WatchedWorld.ts"
import type { DrySite, Watched } from "./Site.ts"

/** What is held against each other. */
export interface Compared {
  readonly plan: ChangePlan
  readonly dry: Data
  readonly done: Data
  /** Commands of the real call that may change something. */
  readonly told: ReadonlyArray<string>
  /** Rows of the change that it left; null: it left none. */
  readonly edits: ReadonlyArray<PlannedEdit> | null
  readonly site: Watched
}

export interface Example<S> {
  readonly tool: string
  /** The arguments, after what the call needs is there. */
  readonly prepare: (site: S) => Effect.Effect<Data>
  readonly compare: (compared: Compared) => void
  /** It asks the CA, which is a program and takes its time: on one line of HAProxy. */
  readonly ca?: true
  /** False: repeating the call would do it again. */
  readonly again?: false
}

/** The rows of the change that an answer names. */
export const changeOf = (world: WatchedWorld, done: Data): Effect.Effect<ReadonlyArray<PlannedEdit> | null> =>
  typeof done["change_id"] !== "string"
    ? Effect.succeed(null)
    : world.run(Effect.map(Effect.orDie(showChange({ change_id: done["change_id"] })), ({ edits }) => edits))

/** Writes of the desired state: the plan has the rows of the change, and the commands that HAProxy then got. */
const asWritten = (expected: Data = {}, warnings: ReadonlyArray<RegExp> = []) => (compared: Compared) => {
  const { done, dry, edits, plan, told } = compared
  assert.deepStrictEqual(plan.edits, edits!)
  // A key that must go is removed as often as it is there.
  assert.deepStrictEqual([...new Set(told)].sort(), [...new Set(plan.commands)].sort())
  assert.deepInclude(plan, expected)
  const found = dry["warnings"] as ReadonlyArray<string>
  assert.lengthOf(found, warnings.length, found.join("; "))
  for (const [index, warning] of warnings.entries()) assert.match(found[index]!, warning)
  // What it says of everything else is what the call then answers.
  for (const [name, value] of Object.entries(done)) {
    if (["summary", "changed", "change_id", "revision", "warnings", "dry_run"].includes(name)) continue
    assert.deepStrictEqual(dry[name], value, name)
  }
  assert.strictEqual(dry["summary"], `Dry run, nothing was changed. The call would answer: ${done["summary"]}`)
}

/** A wildcard of a subdomain, as an older program has left it. */
const leaveWildcard = (world: WatchedWorld) =>
  Effect.andThen(
    world.run(Effect.orDie(Effect.gen(function*() {
      const store = yield* Store
      const [name, pool] = ["*.www.c.net" as RouteName, 2 as PoolNumber]
      yield* store.commit(Effect.flatMap(store.nextSeq, (seq) => {
        const edits = [{ kind: "route", name, before: null, after: { name, pool, implicit: true, seq } }] as const
        const actor = { via: "test", who: "test", requestId: "-" }
        const about = { changeId: "chg_left", actor, tool: "test", summary: "left", edits, outcome: "applied" } as const
        return Effect.andThen(store.apply(edits), store.record(about))
      }))
    }))),
    world.consistent
  )

/** A certificate that is due now. */
const makeDue = (world: WatchedWorld, name: string) =>
  world.run(Effect.orDie(Effect.gen(function*() {
    const store = yield* Store
    const row = yield* store.certificate(name)
    yield* store.commit(store.putCertificate({ ...row!, renewAt: Date.now() - 1_000 }))
  })))

/** A certificate that comes: its file, the names it stands for, and the domains that use them. */
const asCertificate =
  (name: string, names: ReadonlyArray<string>, domains: ReadonlyArray<string>) =>
  ({ done, dry, plan, site }: Compared) => {
    const file = join(site.world.haproxy.site.certDir, `${name}.pem`)
    assert.deepStrictEqual(plan.files, [file])
    assert.isTrue(existsSync(file))
    assert.deepStrictEqual([dry["certificate"], dry["domains"]], [name, names])
    assert.deepStrictEqual([done["certificate"], done["domains"], done["changed"]], [name, names, true])
    assert.sameMembers([...plan.domains], [...domains])
    assert.deepStrictEqual(plan.commands, [])
    assert.isNotEmpty(plan.steps)
  }

const args = (value: Data) => () => Effect.succeed(value)

/** A pool that two domains share. */
const shared = /^pool_1 is shared: a\.com, b\.org are served by the same servers$/

export const examples: ReadonlyArray<Example<DrySite>> = [
  {
    tool: "haproxy_add_domain",
    prepare: args({ domain: "new.com", ip: "10.0.0.50" }),
    compare: asWritten({ domains: ["new.com", "*.new.com"], domain_count: 2, live_sessions: 0 })
  },
  {
    tool: "haproxy_remove_domain",
    prepare: args({ domain: "new.com" }),
    compare: asWritten({ domain_count: 2 })
  },
  {
    tool: "haproxy_add_server",
    prepare: args({ domain: "a.com", ip: "10.0.0.51" }),
    compare: asWritten({ edit_count: 1 }, [shared])
  },
  {
    tool: "haproxy_add_servers",
    prepare: args({ domain: "a.com", servers: [{ ip: "10.1.0.1" }, { ip: "10.1.0.2" }] }),
    compare: asWritten({ edit_count: 2 }, [shared])
  },
  {
    tool: "haproxy_remove_server",
    prepare: args({ domain: "a.com", slot: 5 }),
    compare: asWritten({ edit_count: 1 }, [shared])
  },
  {
    tool: "haproxy_set_server_state",
    prepare: args({ domain: "c.net", slot: 1, state: "drain" }),
    compare: asWritten({ edit_count: 1 }, [
      /^No healthy server of pool_2 is left: c\.net and all that share it/,
      /^No server of pool_2 takes new requests now$/
    ])
  },
  {
    tool: "haproxy_set_server_weight",
    prepare: args({ domain: "a.com", slot: 1, weight: 7 }),
    compare: asWritten({ edit_count: 1 }, [shared])
  },
  {
    tool: "haproxy_set_domain_state",
    prepare: args({ domain: "b.org", state: "maint" }),
    compare: asWritten({ edit_count: 5 }, [
      /^No healthy server of pool_1 is left: a\.com and all that share it/,
      shared,
      /^No server of pool_1 takes new requests now$/
    ])
  },
  {
    tool: "haproxy_cleanup_wildcards",
    prepare: ({ world }) => Effect.as(leaveWildcard(world), {}),
    compare: asWritten({ domains: ["*.www.c.net"] })
  },
  {
    tool: "haproxy_revert",
    prepare: ({ call }) =>
      Effect.map(
        call("haproxy_set_domain_state", { domain: "b.org", state: "ready" }),
        ({ change_id }) => ({ change_id })
      ),
    compare: asWritten({ edit_count: 5 }, [/^No healthy server of pool_1 is left/, shared])
  },
  {
    tool: "haproxy_save_state",
    prepare: args({}),
    compare: ({ done, dry, plan }) => {
      assert.deepStrictEqual(plan.files, [String(done["file"])])
      assert.strictEqual(dry["servers"], done["servers"])
    },
    again: false
  },
  {
    tool: "haproxy_restore_state",
    prepare: ({ call }) => Effect.as(call("haproxy_set_server_weight", { domain: "a.com", slot: 1, weight: 9 }), {}),
    compare: asWritten({ edit_count: 1 }, [shared])
  },
  {
    tool: "haproxy_reload",
    prepare: args({}),
    compare: ({ done, dry, plan }) => {
      assert.include(plan.steps[0], String(done["way"]))
      assert.deepStrictEqual(dry["old_worker"], done["old_worker"])
      assert.notProperty(dry, "new_worker")
    },
    again: false
  },
  {
    tool: "haproxy_issue_cert",
    ca: true,
    prepare: args({ domain: "a.com" }),
    compare: asCertificate("a.com", ["a.com", "*.a.com"], ["a.com", "*.a.com"])
  },
  {
    tool: "haproxy_renew_cert",
    ca: true,
    prepare: args({ domain: "a.com", force: true }),
    compare: asCertificate("a.com", ["a.com", "*.a.com"], ["a.com", "*.a.com"]),
    again: false
  },
  {
    tool: "haproxy_renew_all_certs",
    ca: true,
    prepare: ({ world }) => Effect.as(makeDue(world, "a.com"), {}),
    compare: ({ done, dry, plan, site }) => {
      assert.strictEqual(dry["due"], 1)
      assert.deepStrictEqual(done["renewed"], ["a.com"])
      assert.deepStrictEqual(plan.files, [join(site.world.haproxy.site.certDir, "a.com.pem")])
    }
  },
  {
    tool: "haproxy_load_cert",
    prepare: args({ domain: "fresh" }),
    compare: asCertificate("fresh", ["b.org"], ["b.org"])
  },
  {
    tool: "haproxy_delete_cert",
    prepare: args({ domain: "fresh", force: true }),
    compare: ({ done, dry, plan, site }) => {
      const file = join(site.world.haproxy.site.certDir, "fresh.pem")
      assert.deepStrictEqual(plan.files, [file])
      assert.isFalse(existsSync(file), "it was deleted")
      assert.deepStrictEqual(plan.domains, ["b.org"])
      assert.deepStrictEqual(dry["warnings"], done["warnings"])
    },
    again: false
  }
]
