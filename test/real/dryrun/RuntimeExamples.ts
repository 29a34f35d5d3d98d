/** The same for the runtime toolset: the plan is what HAProxy would be told, and how it is now. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Data } from "../../support/ToolCalls.ts"
import type { RuntimeSite } from "../runtime/Site.ts"
import type { Compared, Example } from "./Examples.ts"
import type { Watched } from "./Site.ts"

export type DryRuntimeSite = RuntimeSite & Watched

/** HAProxy is then told these, beside what only reads back or waits. */
const asTold = (expected: Partial<Compared["plan"]> = {}) => ({ dry, edits, plan, told }: Compared) => {
  assert.isNull(edits)
  assert.isNotEmpty(plan.commands)
  assert.deepStrictEqual(told.filter((command) => plan.commands.includes(command)), plan.commands)
  assert.deepInclude(plan, expected)
  assert.match(String(dry["summary"]), /^Dry run, nothing was changed\. The call would answer: \S/)
}

/** HAProxy is then told these and nothing else. */
const asToldExactly = (expected: Partial<Compared["plan"]> = {}) => (compared: Compared) => {
  asTold(expected)(compared)
  assert.deepStrictEqual(compared.told.filter((command) => !command.startsWith("wait ")), compared.plan.commands)
}

const args = (value: Data) => () => Effect.succeed(value)
const domains = ["app.example.com"]

export const runtimeExamples: ReadonlyArray<Example<DryRuntimeSite>> = [
  {
    tool: "haproxy_server_add",
    prepare: ({ two }) =>
      Effect.succeed({ backend: "app", server: "d1", ip: "127.0.0.1", port: two.port, weight: 7, checks: true }),
    compare: asToldExactly({ domains, command_count: 3, live_sessions: 0 })
  },
  {
    tool: "haproxy_server_set",
    prepare: args({ backend: "app", server: "d1", weight: 9, maxconn: 3, state: "drain" }),
    compare: (compared) => {
      asToldExactly({ domains, command_count: 3 })(compared)
      assert.deepInclude(compared.dry["server"], { name: "d1", weight: 7, state: "ready" }, "as it is now")
    }
  },
  {
    tool: "haproxy_server_delete",
    prepare: args({ backend: "app", server: "d1", drain: 1 }),
    compare: asToldExactly({ domains, command_count: 3 })
  },
  {
    tool: "haproxy_session_kill",
    prepare: ({ held, world }) =>
      Effect.as(held.hold(world.haproxy.site.httpPort, "held.example.com"), { backend: "held", server: "h1" }),
    compare: (compared) => {
      asToldExactly({ domains: ["held.example.com"], live_sessions: 1 })(compared)
      assert.match(String(compared.done["summary"]), /^1 sessions of held\/h1 are ended/)
    }
  },
  {
    tool: "haproxy_map_set",
    prepare: ({ lists: { geo } }) => Effect.succeed({ list: geo, key: "127.0.0.0/8", value: "here" }),
    compare: asTold({ command_count: 1 })
  },
  {
    tool: "haproxy_map_delete",
    prepare: ({ lists: { geo } }) => Effect.succeed({ list: geo, key: "127.0.0.0/8" }),
    compare: ({ plan, told }) => assert.deepStrictEqual([...new Set(told)], plan.commands)
  },
  {
    tool: "haproxy_map_replace",
    prepare: args({ list: "paths.acl", kind: "acl", entries: [{ key: "/a" }, { key: "/b" }] }),
    compare: ({ done, dry, plan, told }) => {
      assert.deepStrictEqual(told.slice(0, 1), plan.commands)
      assert.match(plan.steps[0]!, /^2 entries are added/)
      assert.strictEqual(dry["list"], done["list"])
    },
    again: false
  },
  {
    tool: "haproxy_map_clear",
    prepare: args({ list: "geo.map" }),
    compare: (compared) => {
      asToldExactly({ command_count: 1 })(compared)
      assert.deepStrictEqual([compared.dry["entries_total"], compared.done["entries_total"]], [2, 0])
    }
  },
  {
    tool: "haproxy_stick_table_set",
    prepare: args({ table: "clients", key: "192.0.2.9", data: [{ name: "gpc0", value: 7 }] }),
    compare: asToldExactly({ command_count: 1 }),
    again: false
  },
  {
    tool: "haproxy_stick_table_clear",
    prepare: args({ table: "clients", key: "192.0.2.9" }),
    compare: asToldExactly({ command_count: 1 })
  },
  {
    tool: "haproxy_frontend_set",
    prepare: args({ frontend: "other", state: "disabled", maxconn: 77 }),
    compare: (compared) => {
      asToldExactly({ command_count: 2 })(compared)
      assert.strictEqual(compared.dry["status"], "OPEN", "as it is now")
    }
  },
  {
    tool: "haproxy_counters_clear",
    prepare: args({ all: true }),
    compare: asToldExactly({ command_count: 1 }),
    again: false
  }
]
