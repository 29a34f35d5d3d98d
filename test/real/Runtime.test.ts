/**
 * The runtime toolset against every line of HAProxy: each tool does what it says and reads it back, keeps off what is
 * ours, and refuses what this HAProxy lacks by name. The table of docs/runtime-tools.md is held to what was really sent.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { toolsBySet } from "../../src/mcp/Catalogue.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { writesIn } from "../support/Recorder.ts"
import { callOn, type Data, rowsOf } from "../support/ToolCalls.ts"
import { quiet } from "../support/WatchedWorld.ts"
import { makeRuntimeSite, type RuntimeSite } from "./runtime/Site.ts"
import { isSent, tableRows } from "./runtime/Table.ts"

const has = (answer: Data, field: string, part: Data) => {
  const found = rowsOf(answer, field).some((row) =>
    Object.entries(part).every(([key, value]) => JSON.stringify(row[key]) === JSON.stringify(value))
  )
  assert.isTrue(found, `${field} has no ${JSON.stringify(part)}: ${JSON.stringify(answer[field]).slice(0, 1_000)}`)
}

const looking = Effect.fnUntraced(function*({ use, world }: RuntimeSite, line: string) {
  const info = yield* use("haproxy_process_show", { search: "version" })
  assert.deepStrictEqual(info["version"], world.haproxy.binary.version)
  has(yield* use("haproxy_process_show", { section: "activity", search: "thread_id" }), "values", { name: "thread_id" })
  assert.isAbove(rowsOf(yield* use("haproxy_process_show", { section: "memory_pools" }), "values").length, 3)
  has(yield* use("haproxy_runtime_help", { search: "add server" }), "commands", {
    meaning: "create a new server"
  })
  const page = yield* use("haproxy_runtime_help", { limit: 5 })
  const next = yield* use("haproxy_runtime_help", { limit: 5, cursor: page["next_cursor"] })
  assert.notDeepEqual(rowsOf(next, "commands"), rowsOf(page, "commands"))
  has(yield* use("haproxy_errors_show"), "errors", { proxy: "web", kind: "request", position: 5 })
  assert.include(
    String(rowsOf(yield* use("haproxy_errors_show", { proxy: "web", kind: "request" }), "errors")[0]!["text"]),
    "GET /\\x01evil"
  )
  assert.strictEqual((yield* world.haproxy.get("app.example.com")).body, "one")
  const counters = yield* use("haproxy_counters_show", { proxy: "app" })
  const s1 = rowsOf(counters, "rows").find(({ name }) => name === "s1")
  assert.strictEqual((s1!["counters"] as Record<string, number>)["stot"], 1)
  const crt = yield* use("haproxy_crt_list_show")
  assert.match(String(rowsOf(crt, "entries")[0]!["certificate"]), /a\.pem$/)
  if (line !== "3.0") {
    has(yield* use("haproxy_sni_list", { search: "*.a." }), "names", { sni: "*.a.example.com", frontend: "web" })
    has(yield* use("haproxy_sni_list", { frontend: "web" }), "names", { sni: "a.example.com" })
    assert.strictEqual((yield* use("haproxy_runtime_echo", { text: "hello there" }))["text"], "hello there")
  }
  const topology = yield* use("haproxy_topology_show")
  has(topology, "frontends", { name: "web", by_our_maps: true, mode: "http" })
  has(topology, "frontends", { name: "other", by_our_maps: false, backends: ["app"] })
  const app = rowsOf(topology, "backends").find(({ name }) => name === "app")!
  assert.deepInclude(app, { ours: false, frontends: ["other"], domains: ["app.example.com"], domains_total: 1 })
  const pool = rowsOf(topology, "backends").find(({ name }) => name === "pool_1")!
  assert.deepInclude(pool, { ours: true, frontends: ["web"], domains: ["ours.example.com"] })
  const backend = yield* use("haproxy_backend_show", { backend: "app" })
  has(backend, "servers", { name: "s1", checks: "on", agent_checks: "on", state: "ready", weight: 1 })
})

const servers = Effect.fnUntraced(function*({ held, one, two, use, world }: RuntimeSite) {
  const d1 = { backend: "app", server: "d1" }
  const s1 = { backend: "app", server: "s1" }
  const made = yield* use("haproxy_server_add", {
    ...d1,
    ip: "127.0.0.1",
    port: two.port,
    weight: 7,
    maxconn: 9,
    checks: true
  })
  assert.deepInclude(made["server"], {
    addr: `127.0.0.1:${two.port}`,
    state: "ready",
    weight: 7,
    maxconn: 9,
    checks: "on"
  })
  assert.isFalse((yield* use("haproxy_server_add", { ...d1, ip: "127.0.0.1", port: two.port }))["changed"])
  const seen = new Set<string>()
  for (let visit = 0; visit < 20; visit++) seen.add((yield* world.haproxy.get("app.example.com")).body)
  assert.isTrue(seen.has("two"), "it takes traffic")
  const set = (args: Data) => use("haproxy_server_set", { ...s1, ...args })
  assert.deepInclude((yield* set({ state: "drain", weight: 5, maxconn: 3 }))["server"], {
    state: "drain",
    weight: 5,
    maxconn: 3
  })
  assert.isFalse((yield* set({ state: "drain", weight: 5 }))["changed"])
  assert.deepInclude((yield* set({ state: "ready", ip: "127.0.0.1", port: two.port }))["server"], {
    addr: `127.0.0.1:${two.port}`,
    state: "ready"
  })
  yield* set({ ip: "127.0.0.1", port: one.port })
  assert.deepInclude((yield* set({ checks: "off", agent_checks: "off" }))["server"], {
    checks: "off",
    agent_checks: "off"
  })
  yield* set({ health: "down" })
  yield* set({ health: "up" })
  assert.deepInclude((yield* set({ checks: "on", agent_checks: "on" }))["server"], { checks: "on", agent_checks: "on" })
  yield* set({ agent: "down" })
  yield* set({ agent: "up" })
  const gone = yield* use("haproxy_server_delete", { ...d1, drain: 5 })
  assert.deepInclude(gone, { changed: true, server: null })
  assert.isFalse((yield* use("haproxy_server_delete", d1))["changed"])
  // One that is in use is not deleted, and is as before.
  yield* use("haproxy_server_add", { backend: "held", server: "d2", ip: "127.0.0.1", port: held.port, weight: 256 })
  yield* use("haproxy_server_set", { backend: "held", server: "h1", state: "maint" })
  yield* held.hold(world.haproxy.site.httpPort, "held.example.com")
})

const sessions = Effect.fnUntraced(function*({ held, refuse, use, world }: RuntimeSite) {
  const error = yield* refuse("haproxy_server_delete", { backend: "held", server: "d2" }, "CONFLICT")
  assert.include(String(error["message"]), "1 sessions")
  const kept = yield* use("haproxy_backend_show", { backend: "held" })
  has(kept, "servers", { name: "d2", state: "ready", sessions: 1 })
  const listed = yield* use("haproxy_session_list", { backend: "held", server: "d2" })
  assert.lengthOf(rowsOf(listed, "sessions"), 1)
  assert.lengthOf(rowsOf(yield* use("haproxy_session_list", { frontend: "other" }), "sessions"), 0)
  assert.lengthOf(rowsOf(yield* use("haproxy_session_list", { older_than: 3_600 }), "sessions"), 0)
  const id = String(rowsOf(listed, "sessions")[0]!["id"])
  const shown = yield* use("haproxy_session_show", { id })
  assert.include((shown["lines"] as ReadonlyArray<string>).join("\n"), "frontend=web")
  assert.deepInclude(yield* use("haproxy_session_kill", { id }), { changed: true })
  yield* refuse("haproxy_session_show", { id }, "NOT_FOUND")
  assert.isFalse((yield* use("haproxy_session_kill", { id }))["changed"])
  yield* held.hold(world.haproxy.site.httpPort, "held.example.com")
  yield* held.hold(world.haproxy.site.httpPort, "held.example.com")
  assert.deepInclude(yield* use("haproxy_session_kill", { backend: "held", server: "d2" }), {
    changed: true,
    remaining: 0
  })
  yield* use("haproxy_server_delete", { backend: "held", server: "d2" })
  // Of the Runtime API: ours among them, which would be cut in the middle of everything.
  const own = [...(yield* world.haproxy.command("show sess")).matchAll(/^(0x[0-9a-f]+): .* fe=GLOBAL /gm)]
  const codes = yield* Effect.forEach(
    own,
    ([, one]) => Effect.map(callOn(world, "haproxy_session_kill", { id: one }), ({ code }) => code)
  )
  assert.include(codes, "FORBIDDEN")
  assert.notInclude(writesIn(world.sent.slice(-20)).join("\n"), "shutdown session 0x")
})

const lists = Effect.fnUntraced(function*({ lists: { geo, paths }, refuse, use, world }: RuntimeSite) {
  const all = yield* use("haproxy_map_list")
  has(all, "lists", { kind: "map", name: geo, entries: 2, ours: false })
  has(all, "lists", { kind: "acl", name: paths, entries: 2, ours: false })
  has(all, "lists", { name: world.haproxy.site.runtimeDomainsMap, ours: true })
  const acl = { list: "paths.acl", kind: "acl" }
  const map = { list: geo }
  has(yield* use("haproxy_map_show", { ...map, key: "192.0.2.7" }), "entries", { key: "192.0.2.0/24", value: "docs" })
  has(yield* use("haproxy_map_show", { ...map, search: "INSIDE" }), "entries", { key: "10.0.0.0/8", value: "inside" })
  has(yield* use("haproxy_map_show", acl), "entries", { key: "/xmlrpc.php", value: null })
  has(yield* use("haproxy_map_show", { ...acl, key: "/xmlrpc.php" }), "entries", { key: "/xmlrpc.php" })
  assert.lengthOf(rowsOf(yield* use("haproxy_map_show", { ...acl, key: "/none" }), "entries"), 0)
  assert.deepInclude(yield* use("haproxy_map_set", { ...map, key: "127.0.0.0/8", value: "here" }), {
    changed: true,
    entries_total: 3
  })
  has(yield* use("haproxy_map_show", { ...map, key: "127.0.0.1" }), "entries", { value: "here" })
  assert.deepInclude(yield* use("haproxy_map_set", { ...map, key: "127.0.0.0/8", value: "home" }), { entries_total: 3 })
  has(yield* use("haproxy_map_show", { ...map, key: "127.0.0.1" }), "entries", { value: "home" })
  assert.isTrue((yield* use("haproxy_map_delete", { ...map, key: "127.0.0.0/8" }))["changed"])
  assert.isFalse((yield* use("haproxy_map_delete", { ...map, key: "127.0.0.0/8" }))["changed"])
  assert.strictEqual(
    (yield* refuse("haproxy_map_set", { ...map, key: "no-network", value: "x" }, "HAPROXY_REFUSED"))["code"],
    "HAPROXY_REFUSED"
  )
  assert.strictEqual((yield* world.haproxy.get("app.example.com", "/secret")).status, 200)
  assert.isTrue((yield* use("haproxy_map_set", { ...acl, key: "/secret" }))["changed"])
  assert.isFalse((yield* use("haproxy_map_set", { ...acl, key: "/secret" }))["changed"])
  assert.strictEqual((yield* world.haproxy.get("app.example.com", "/secret")).status, 403)
  assert.isTrue((yield* use("haproxy_map_delete", { ...acl, key: "/secret" }))["changed"])
  assert.strictEqual((yield* world.haproxy.get("app.example.com", "/secret")).status, 200)
  const entries = Array.from({ length: 700 }, (_, index) => ({
    key: `10.${index >> 8}.${index & 255}.0/24`,
    value: `n${index}`
  }))
  assert.deepInclude(yield* use("haproxy_map_replace", { ...map, entries }), { changed: true })
  has(yield* use("haproxy_map_show", { ...map, key: "10.2.1.9" }), "entries", { value: "n513" })
  // Pages cover a list once, and a search goes on where its page ended.
  const keys = new Set<string>()
  for (let cursor: unknown; keys.size < 701;) {
    const page = yield* use("haproxy_map_show", { ...map, limit: 300, ...(cursor === undefined ? {} : { cursor }) })
    for (const { key } of rowsOf(page, "entries")) keys.add(String(key))
    cursor = page["next_cursor"]
    if (cursor === null) break
  }
  assert.strictEqual(keys.size, 700)
  assert.deepInclude(yield* use("haproxy_map_replace", { ...acl, entries: [{ key: "/a" }, { key: "/b" }] }), {
    entries_total: 2
  })
  assert.strictEqual((yield* world.haproxy.get("app.example.com", "/b")).status, 403)
  assert.strictEqual((yield* world.haproxy.get("app.example.com", "/xmlrpc.php")).status, 200)
  // The refusal above lowered HAProxy's own count by one, which is below 0 now: no number of entries.
  assert.deepInclude(yield* use("haproxy_map_clear", map), { changed: true, entries_total: null })
  assert.isFalse((yield* use("haproxy_map_clear", map))["changed"])
  assert.deepInclude(yield* use("haproxy_map_clear", acl), { changed: true, entries_total: 0 })
})

const tables = Effect.fnUntraced(function*({ refuse, use }: RuntimeSite) {
  has(yield* use("haproxy_stick_table_list"), "tables", { name: "clients", type: "ip", size: 10_240 })
  const table = { table: "clients" }
  has(yield* use("haproxy_stick_table_show", table), "entries", { key: "127.0.0.1", use: 0 })
  const key = "192.0.2.9"
  assert.isTrue(
    (yield* use("haproxy_stick_table_set", { ...table, key, data: [{ name: "gpc0", value: 7 }] }))["changed"]
  )
  const one = rowsOf(yield* use("haproxy_stick_table_show", { ...table, key }), "entries")[0]!
  assert.strictEqual((one["data"] as Record<string, string>)["gpc0"], "7")
  const condition = { ...table, data: "gpc0", operator: "gt", value: 5 }
  assert.lengthOf(rowsOf(yield* use("haproxy_stick_table_show", condition), "entries"), 1)
  yield* refuse("haproxy_stick_table_show", { ...condition, data: "nonsense" }, "HAPROXY_REFUSED")
  assert.isTrue((yield* use("haproxy_stick_table_clear", { ...table, key }))["changed"])
  assert.isFalse((yield* use("haproxy_stick_table_clear", { ...table, key }))["changed"])
  yield* use("haproxy_stick_table_set", { ...table, key, data: [{ name: "gpc0", value: 9 }] })
  assert.isTrue((yield* use("haproxy_stick_table_clear", condition))["changed"])
  assert.deepInclude(yield* use("haproxy_stick_table_clear", { ...table, all: true }), { used: 0 })
})

const process = Effect.fnUntraced(function*({ use, world }: RuntimeSite) {
  const disabled = yield* use("haproxy_frontend_set", { frontend: "web", state: "disabled", maxconn: 77 })
  assert.deepInclude(disabled, { status: "PAUSED", maxconn: 77, changed: true })
  assert.isFalse((yield* use("haproxy_frontend_set", { frontend: "web", state: "disabled" }))["changed"])
  assert.deepInclude(yield* use("haproxy_frontend_set", { frontend: "web", state: "enabled" }), { status: "OPEN" })
  assert.strictEqual((yield* world.haproxy.get("app.example.com")).status, 200)
  yield* use("haproxy_counters_clear")
  const cleared = yield* use("haproxy_counters_clear", { all: true })
  assert.isBelow(cleared["sessions_after"] as number, cleared["sessions_before"] as number)
})

/** Refusals change nothing of ours, and name the tool or the names that would do. */
const refusals = Effect.fnUntraced(function*({ refuse, world }: RuntimeSite, line: string) {
  const before = yield* world.everything
  const ours = { backend: "pool_1", server: "pool_1_1" }
  for (
    const [tool, args, tells] of [
      ["haproxy_server_add", { ...ours, ip: "127.0.0.1", port: 1 }, "haproxy_add_server"],
      ["haproxy_server_delete", ours, "haproxy_remove_server"],
      ["haproxy_server_set", { ...ours, weight: 1 }, "haproxy_set_server_weight"],
      ["haproxy_map_set", { list: "domains.map", key: "x.example.com", value: "app" }, "haproxy_add_domain"],
      [
        "haproxy_map_delete",
        { list: world.haproxy.site.runtimeDomainsMap, key: "ours.example.com" },
        "haproxy_remove_domain"
      ],
      ["haproxy_map_clear", { list: "wildcards.map" }, "haproxy_remove_domain"],
      [
        "haproxy_map_replace",
        { list: "wildcards.map", entries: [{ key: ".a.com", value: "app" }] },
        "haproxy_add_domain"
      ]
    ] as const
  ) {
    assert.include(String((yield* refuse(tool, args, "FORBIDDEN"))["hint"]), tells)
  }
  for (
    const [tool, args, near] of [
      ["haproxy_backend_show", { backend: "apq" }, "app"],
      ["haproxy_server_set", { backend: "app", server: "s2", weight: 1 }, "s1"],
      ["haproxy_frontend_set", { frontend: "wep", maxconn: 5 }, "web"],
      ["haproxy_counters_show", { proxy: "wep" }, "web"],
      ["haproxy_stick_table_show", { table: "client" }, "clients"],
      ["haproxy_session_kill", { backend: "app", server: "s2" }, "s1"]
    ] as const
  ) {
    assert.include((yield* refuse(tool, args, "NOT_FOUND"))["valid_values"] as ReadonlyArray<string>, near)
  }
  yield* refuse("haproxy_map_show", { list: "nothing.map" }, "NOT_FOUND")
  yield* refuse("haproxy_crt_list_show", { list: "/nothing" }, "NOT_FOUND")
  for (
    const [tool, args, field] of [
      ["haproxy_server_set", { backend: "app", server: "s1" }, "state"],
      ["haproxy_server_set", { backend: "app", server: "s1", ip: "127.0.0.1" }, "port"],
      ["haproxy_server_set", { backend: "app", server: "s1", ip: "127.1", port: 5 }, "ip"],
      ["haproxy_server_add", { backend: "app", server: "x", ip: "127.0.0.1", port: world.haproxy.site.httpPort }, "ip"],
      ["haproxy_server_add", { backend: "app", server: "x y", ip: "127.0.0.1", port: 5 }, "server"],
      ["haproxy_session_kill", {}, "id"],
      ["haproxy_session_kill", { id: "0x1;show info" }, "id"],
      ["haproxy_map_set", { list: "geo.map", key: "a b", value: "c" }, "key"],
      ["haproxy_map_set", { list: "geo.map", key: "10.0.0.0/8" }, "value"],
      ["haproxy_stick_table_clear", { table: "clients" }, "all"],
      ["haproxy_stick_table_clear", { table: "clients", key: "1.2.3.4", all: true }, "all"],
      ["haproxy_frontend_set", { frontend: "web" }, "state"]
    ] as const
  ) {
    assert.strictEqual((yield* refuse(tool, args, "INVALID_INPUT"))["field"], field, `${tool} ${JSON.stringify(args)}`)
  }
  if (line === "3.0") {
    for (const [tool, args] of [["haproxy_sni_list", {}], ["haproxy_runtime_echo", { text: "a" }]] as const) {
      assert.include(String((yield* refuse(tool, args, "HAPROXY_REFUSED"))["hint"]), "3.2")
    }
  }
  assert.strictEqual(yield* world.everything, before)
})

describe.concurrent("the runtime toolset", () => {
  for (const binary of realLines) {
    const line = binary.version.slice(0, 3)
    it.live(`works on HAProxy ${binary.version}`, () =>
      quiet(Effect.gen(function*() {
        const site = yield* makeRuntimeSite(binary)
        yield* site.world.good("haproxy_add_domain", { domain: "ours.example.com", ip: "127.0.0.1", http_port: 9 })
        yield* refusals(site, line)
        yield* looking(site, line)
        yield* servers(site)
        yield* sessions(site)
        yield* lists(site)
        yield* tables(site)
        yield* process(site)
        for (const { commands, since, tool } of tableRows()) {
          if (since > line) continue
          for (const command of commands) {
            const sent = site.sent.get(tool) ?? []
            assert.isTrue(
              isSent(command, sent),
              `${tool} never sent "${command}": ${[...new Set(sent)].slice(-12).join(" | ")}`
            )
          }
        }
        yield* site.world.consistent
      })).pipe(Effect.scoped), 60_000)
  }

  it("has a row in the documentation for every tool", () => {
    assert.deepStrictEqual(tableRows().map(({ tool }) => tool), toolsBySet.runtime.map(({ name }) => name))
  })
})
