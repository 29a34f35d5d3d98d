/**
 * Bad input and bad luck of the runtime toolset: texts that try to leave their place go into every parameter of every tool,
 * through a proxy that remembers each command; and a control plane that is fenced tells HAProxy nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Fenced } from "../../src/domain/Errors.ts"
import { toolsBySet } from "../../src/mcp/Catalogue.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import { off } from "../../src/program/replication/Publisher.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { Dice } from "../program/Verbs.model.ts"
import { injections } from "../support/BadInput.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { writesIn } from "../support/Recorder.ts"
import { bad, callOn, type Data } from "../support/ToolCalls.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { makeRuntimeSite } from "./runtime/Site.ts"
import { isSent, tableRows } from "./runtime/Table.ts"

/** Good arguments beside which one text is put in place of each parameter that is a text. */
const beside: Readonly<Record<string, Data>> = {
  haproxy_counters_show: { proxy: "app" },
  haproxy_backend_show: { backend: "app" },
  haproxy_frontend_set: { frontend: "web", maxconn: 500 },
  haproxy_server_add: { backend: "app", server: "x1", ip: "127.0.0.1", port: 9 },
  haproxy_server_delete: { backend: "app", server: "s1" },
  haproxy_server_set: { backend: "app", server: "s1", ip: "127.0.0.1", port: 9 },
  haproxy_map_set: { list: "paths.acl", kind: "acl", key: "/x" },
  haproxy_map_delete: { list: "paths.acl", kind: "acl", key: "/x" },
  haproxy_map_show: { list: "paths.acl", kind: "acl" },
  haproxy_map_clear: { list: "paths.acl", kind: "acl" },
  haproxy_map_replace: { list: "paths.acl", kind: "acl", entries: [{ key: "/x" }] },
  haproxy_stick_table_show: { table: "clients", value: 1 },
  haproxy_stick_table_set: { table: "clients", key: "192.0.2.1", data: [{ name: "gpc0", value: 1 }] },
  haproxy_stick_table_clear: { table: "clients", value: 1 }
}

/** Calls that would do something. */
const complete: Readonly<Record<string, Data>> = {
  ...beside,
  haproxy_stick_table_clear: { table: "clients", all: true },
  haproxy_session_kill: { backend: "app", server: "s1" }
}

/** A text in every place of every tool that takes one, also inside of lists. */
const places = toolsBySet.runtime.flatMap(({ inputSchema, name }) =>
  Object.entries(inputSchema.properties).flatMap(([parameter, schema]): ReadonlyArray<(text: string) => Data> => {
    const base = beside[name] ?? {}
    if (schema["type"] === "string") return [(text) => ({ ...base, [parameter]: text })]
    if (schema["type"] !== "array") return []
    const { properties } = schema["items"] as { readonly properties: Record<string, { readonly type: string }> }
    return Object.keys(properties).filter((inner) => properties[inner]!.type === "string").map((inner) => (text) => ({
      ...base,
      [parameter]: [{ ...(base[parameter] as ReadonlyArray<Data>)[0], [inner]: text }]
    }))
  }).map((args) => ({ tool: name, args }))
)

/** Texts of random characters, many of them such as HAProxy or a shell would interpret; the same in every run. */
const generated = (count: number): ReadonlyArray<string> => {
  const dice = new Dice(20_261)
  const signs = [
    "\n",
    "\r\n",
    ";",
    " ",
    "\\",
    "<<",
    "#",
    "\"",
    "'",
    "$",
    "\u0000",
    "\u001b",
    "é",
    "/",
    "@1",
    "|",
    "*",
    "a",
    "0"
  ]
  return Array.from(
    { length: count },
    () => Array.from({ length: 1 + dice.next(12) }, () => dice.pick(signs)).join("")
  )
}

/** RUNTIME_INPUT: how many generated texts go into every place; 4 in a normal run, 1,500 make 250,000 calls. */
const more = Number(process.env["RUNTIME_INPUT"] ?? 4)

/** What a refusal of a bad text may be. */
const refused = new Set(["INVALID_INPUT", "NOT_FOUND", "CONFLICT", "FORBIDDEN", "HAPROXY_REFUSED"])

describe("texts that try to leave their place", () => {
  for (const binary of realLines.filter(({ version }) => !version.startsWith("3.2"))) {
    it.live(
      `are refused, or stay a word where they were put: HAProxy ${binary.version}`,
      () =>
        quiet(Effect.gen(function*() {
          const { world } = yield* makeRuntimeSite(binary)
          const texts = [...injections, ...generated(more)]
          const from = world.sent.length
          const wrong: Array<string> = []
          let calls = 0
          for (const { args, tool } of places) {
            for (const text of texts) {
              calls++
              const before = world.sent.length
              const result = yield* callOn(world, tool, args(text))
              const code = result.isError ? (result.structuredContent as { error: { code: string } }).error.code : "OK"
              if (code !== "OK" && !refused.has(code)) {
                wrong.push(`${tool} ${JSON.stringify(args(text))}: ${result.text}`)
              }
              const writes = writesIn(world.sent.slice(before))
              if (code === "INVALID_INPUT" && writes.length > 0) {
                wrong.push(`${tool} refused, and sent ${writes.join("; ")}`)
              }
            }
          }
          assert.deepStrictEqual(wrong.slice(0, 10), [])
          // Each command that was sent is one that a tool is said to send, or one that looks.
          const forms = tableRows().flatMap(({ commands }) => commands)
          const known = [
            ...forms,
            "clear map @VERSION PATH",
            "clear acl @VERSION PATH",
            "show version",
            "get map PATH KEY"
          ]
          const strange = writesIn(world.sent.slice(from)).filter((command) =>
            !known.some((form) => isSent(form, [command]))
          )
          assert.deepStrictEqual([...new Set(strange)], [])
          assert.include(yield* world.haproxy.command("show map"), "entry_cnt=2")
          console.log(`runtime input: HAProxy ${binary.version}: ${calls} calls in ${places.length} places`)
        })).pipe(Effect.scoped),
      60_000 + more * 1_500
    )
  }
})

describe("a control plane that is fenced", () => {
  it.live("tells HAProxy nothing, whatever the tool", () =>
    quiet(Effect.gen(function*() {
      const { world } = yield* makeRuntimeSite(realLines.at(-1)!)
      const fenced = new Fenced({ message: "Another control plane writes now", hint: "" })
      const allocator = yield* world.run(PoolAllocator)
      const guarded = {
        run: <A, E>(program: Effect.Effect<A, E, ProgramServices>) =>
          world.run(
            Effect.provideService(program, PoolAllocator, {
              ...allocator,
              publisher: { ...off, mayWrite: () => Effect.fail(fenced) }
            })
          )
      }
      const from = world.sent.length
      const writing = toolsBySet.runtime.filter(({ annotations }) => !annotations.readOnlyHint)
      for (const { name } of writing) yield* bad(guarded, name, complete[name] ?? {}, "FENCED")
      assert.isAtLeast(writing.length, 12)
      assert.deepStrictEqual(writesIn(world.sent.slice(from)), [])
    })).pipe(Effect.scoped))
})
