/**
 * Every parameter of every tool × every kind of bad value: a typed refusal that names the parameter, and nothing
 * happened. Tools and parameters are taken from the catalogue, so a new one without cases fails here.
 */
import { assert, layer } from "@effect/vitest"
import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { ErrorCode } from "../../src/domain/Errors.ts"
import { defaultTools } from "../../src/mcp/Catalogue.ts"
import type { Tool } from "../../src/mcp/Tool.ts"
import { longestText, type ToolResult } from "../../src/mcp/ToolResult.ts"
import * as BadInput from "../support/BadInput.ts"
import { makeCertificate } from "../support/Certificates.ts"
import type { Site } from "../support/RealHaproxy.ts"
import { writesIn } from "../support/Recorder.ts"
import { placeAcme } from "../support/StandInAcme.ts"
import { errorOf, makeWatchedWorld, quiet, type WatchedWorld } from "../support/WatchedWorld.ts"

type Args = Readonly<Record<string, unknown>>

const slots = 6
const seed = {
  slots,
  sections: ["backend web_backend from base", "  server w1 127.0.0.1:9 weight 3", ""],
  domains: ["foreign.net web_backend", "beyond.net pool_999"],
  wildcards: [".foreign.org web_backend"],
  listeners: [
    { ip: "0.0.0.0", port: 9999, name: "HAProxy's Runtime API" },
    { ip: "10.9.9.9", port: 8000, name: "this control plane's own port" }
  ],
  localAddresses: ["10.2.2.2"],
  tls: true,
  certificates: {
    "brought.pem": makeCertificate(["brought.example"]).text,
    "fresh.pem": makeCertificate(["fresh.example"]).text
  },
  acme: (site: Site) => placeAcme(site.dir).options
} as const

/** a.com with three servers (slot 2 drains, 4 to 6 are empty) and a certificate, b.org that shares it, c.net in pool_2. */
const prepare = Effect.gen(function*() {
  const world = yield* makeWatchedWorld(seed)
  yield* world.good("haproxy_add_domain", { domain: "a.com", ip: "10.0.0.1" })
  yield* world.good("haproxy_add_servers", {
    domain: "a.com",
    servers: [{ ip: "10.0.0.2" }, { ip: "10.0.0.3" }]
  })
  yield* world.good("haproxy_set_server_state", { domain: "a.com", slot: 2, state: "drain" })
  yield* world.good("haproxy_add_domain", { domain: "b.org", share_with: "a.com" })
  yield* world.good("haproxy_add_domain", { domain: "c.net", ip: "10.0.0.4" })
  yield* world.good("haproxy_issue_cert", { domain: "a.com" })
  return world
})

class World extends Context.Service<World, WatchedWorld>()("test/mcp/Refusals/World") {}

/** A good call of every tool: each case is this with one thing wrong. */
const good: Readonly<Record<string, Args>> = {
  haproxy_list_domains: {},
  haproxy_add_domain: { domain: "new.example", ip: "10.0.0.50" },
  haproxy_remove_domain: { domain: "b.org" },
  haproxy_cleanup_wildcards: {},
  haproxy_list_servers: { domain: "a.com" },
  haproxy_add_server: { domain: "a.com", ip: "10.0.0.51" },
  haproxy_add_servers: { domain: "a.com", servers: [{ ip: "10.1.0.1" }, { ip: "10.1.0.2" }] },
  haproxy_remove_server: { domain: "a.com", slot: 3 },
  haproxy_set_server_state: { domain: "a.com", slot: 1, state: "maint" },
  haproxy_set_server_weight: { domain: "a.com", slot: 1, weight: 7 },
  haproxy_set_domain_state: { domain: "a.com", state: "maint" },
  haproxy_wait_drain: { domain: "a.com", slot: 2, timeout: 1 },
  haproxy_health: {},
  haproxy_domain_health: { domain: "a.com" },
  haproxy_explain: { host: "a.com" },
  haproxy_get_server_health: {},
  haproxy_stats: {},
  haproxy_backends: {},
  haproxy_list_frontends: {},
  haproxy_get_connections: {},
  haproxy_check_config: {},
  haproxy_reload: {},
  haproxy_save_state: {},
  haproxy_restore_state: {},
  haproxy_list_certs: {},
  haproxy_cert_info: { domain: "a.com" },
  haproxy_issue_cert: { domain: "issued.example" },
  haproxy_renew_cert: { domain: "a.com", force: true },
  haproxy_renew_all_certs: {},
  haproxy_delete_cert: { domain: "brought" },
  haproxy_load_cert: { domain: "fresh" },
  haproxy_operation: { operation_id: "chg_0" },
  haproxy_changes: {},
  haproxy_revert: { change_id: "chg_0" }
}

/** Tools whose good call finds nothing to change here, or that change no desired state. */
const repeated = new Set([
  "haproxy_cleanup_wildcards",
  "haproxy_reload",
  "haproxy_save_state",
  "haproxy_restore_state",
  "haproxy_renew_all_certs"
])

/** The good call of a tool that takes the id of a change: there is none before one is made. */
const ofChange = (name: string, id: unknown): Args | undefined =>
  name === "haproxy_operation" ? { operation_id: id } : name === "haproxy_revert" ? { change_id: id } : undefined

/** The bad values of a parameter, and the call to try them in when it is not the tool's good one. */
interface Cases {
  readonly bad: ReadonlyArray<BadInput.Bad>
  readonly base?: Args
}

const byName = (rest: Args): Args => ({ backend: "pool_1", server: "pool_1_1", ...rest })

const slotAfter = (lowest: 0 | 1): Cases => ({ bad: BadInput.notWhole(lowest, slots) })
/** A slot that holds a server: 5 is one, but empty. */
const heldSlot: Cases = { bad: [...slotAfter(1).bad, { value: 5, code: "NOT_FOUND" }] }

const setter = (tool: string, rest: Args): Readonly<Record<string, Cases>> => ({
  [`${tool}.domain`]: { bad: BadInput.badKnownDomain },
  [`${tool}.slot`]: heldSlot,
  [`${tool}.backend`]: { bad: BadInput.badBackend, base: byName(rest) },
  [`${tool}.server`]: { bad: BadInput.badServer, base: byName(rest) }
})

/** Every parameter there is. */
const parameters: Readonly<Record<string, Cases>> = {
  ...Object.fromEntries(
    defaultTools.flatMap(({ inputSchema, name }) =>
      ["dry_run", "force"].filter((parameter) => parameter in inputSchema.properties)
        .map((parameter) => [`${name}.${parameter}`, { bad: BadInput.notBoolean }])
    )
  ),
  "haproxy_list_domains.include_wildcards": { bad: BadInput.notBoolean },
  "haproxy_list_domains.search": { bad: BadInput.badSearch },
  "haproxy_list_domains.limit": { bad: BadInput.badLimit },
  "haproxy_list_domains.cursor": { bad: BadInput.badCursor },
  "haproxy_add_domain.domain": { bad: BadInput.badNewDomain },
  "haproxy_add_domain.ip": { bad: BadInput.badIp },
  "haproxy_add_domain.http_port": { bad: BadInput.badPort },
  "haproxy_add_domain.share_with": { bad: BadInput.badKnownDomain, base: { domain: "new.example" } },
  "haproxy_remove_domain.domain": { bad: BadInput.badRemovedDomain },
  "haproxy_list_servers.domain": { bad: BadInput.badKnownDomain },
  "haproxy_add_server.domain": { bad: BadInput.badKnownDomain },
  "haproxy_add_server.slot": {
    bad: [...slotAfter(0).bad, { value: 1, code: "CONFLICT" }]
  },
  "haproxy_add_server.ip": { bad: BadInput.badIp },
  "haproxy_add_server.http_port": { bad: BadInput.badPort },
  "haproxy_add_servers.domain": { bad: BadInput.badKnownDomain },
  "haproxy_add_servers.servers": { bad: BadInput.badServers },
  "haproxy_add_servers.servers[].ip": { bad: BadInput.badIp },
  "haproxy_add_servers.servers[].http_port": { bad: BadInput.badPort },
  "haproxy_add_servers.servers[].slot": {
    bad: [...slotAfter(0).bad, { value: 1, code: "CONFLICT" }]
  },
  "haproxy_remove_server.domain": { bad: BadInput.badKnownDomain },
  "haproxy_remove_server.slot": slotAfter(1),
  ...setter("haproxy_set_server_state", { state: "maint" }),
  "haproxy_set_server_state.state": { bad: BadInput.badState },
  ...setter("haproxy_set_server_weight", { weight: 7 }),
  "haproxy_set_server_weight.weight": { bad: BadInput.badWeight },
  ...setter("haproxy_set_domain_state", { state: "maint" }),
  "haproxy_set_domain_state.state": { bad: BadInput.badState },
  "haproxy_wait_drain.domain": { bad: BadInput.badKnownDomain },
  "haproxy_wait_drain.slot": { bad: [...heldSlot.bad, { value: 1, code: "CONFLICT" }] },
  "haproxy_wait_drain.timeout": { bad: BadInput.badTimeout },
  "haproxy_domain_health.domain": { bad: BadInput.badKnownDomain },
  "haproxy_explain.host": { bad: BadInput.badHost },
  "haproxy_explain.path": { bad: BadInput.badPath },
  "haproxy_explain.source_ip": { bad: BadInput.badAddress },
  "haproxy_get_server_health.backend": { bad: BadInput.badReadBackend },
  "haproxy_get_server_health.search": { bad: BadInput.badSearch },
  "haproxy_get_server_health.status": { bad: BadInput.badStatus },
  "haproxy_get_server_health.limit": { bad: BadInput.badLimit },
  "haproxy_get_server_health.cursor": { bad: [...BadInput.badCursor, ...BadInput.notPosition] },
  "haproxy_backends.search": { bad: BadInput.badSearch },
  "haproxy_backends.status": { bad: BadInput.badStatus },
  "haproxy_backends.limit": { bad: BadInput.badLimit },
  "haproxy_backends.cursor": { bad: BadInput.badCursor },
  "haproxy_list_frontends.search": { bad: BadInput.badSearch },
  "haproxy_list_frontends.limit": { bad: BadInput.badLimit },
  "haproxy_list_frontends.cursor": { bad: BadInput.badCursor },
  "haproxy_get_connections.backend": { bad: BadInput.badReadBackend },
  "haproxy_get_connections.limit": { bad: BadInput.badLimit },
  "haproxy_get_connections.cursor": { bad: [...BadInput.badCursor, ...BadInput.notPosition] },
  "haproxy_list_certs.search": { bad: BadInput.badSearch },
  "haproxy_list_certs.limit": { bad: BadInput.badLimit },
  "haproxy_list_certs.cursor": { bad: BadInput.badListCursor },
  "haproxy_cert_info.domain": { bad: BadInput.badCertificate },
  "haproxy_issue_cert.domain": { bad: BadInput.badIssuedDomain },
  "haproxy_issue_cert.wildcard": { bad: BadInput.notBoolean },
  "haproxy_renew_cert.domain": { bad: BadInput.badCertificate },
  "haproxy_delete_cert.domain": { bad: BadInput.badCertificate },
  "haproxy_load_cert.domain": { bad: BadInput.badCertificateFile },
  "haproxy_operation.operation_id": { bad: BadInput.badOperation },
  "haproxy_operation.wait": { bad: BadInput.badWait },
  "haproxy_changes.change_id": { bad: BadInput.badOperation },
  "haproxy_changes.domain": { bad: BadInput.badRemovedDomain.filter(({ code }) => code !== "FORBIDDEN") },
  "haproxy_changes.who": { bad: BadInput.badSearch },
  "haproxy_changes.from": { bad: BadInput.badTime },
  "haproxy_changes.until": { bad: BadInput.badTime },
  "haproxy_changes.limit": { bad: BadInput.notWhole(1, 50) },
  "haproxy_changes.cursor": { bad: BadInput.badCursor },
  "haproxy_revert.change_id": { bad: BadInput.badOperation }
}

/** Rules between parameters, or between a parameter and the present state. */
const relations: Readonly<Record<string, ReadonlyArray<readonly [args: Args, code: ErrorCode, field: string | null]>>> =
  {
    haproxy_add_domain: [
      [{ domain: "new.example", ip: "10.0.0.50", share_with: "a.com" }, "INVALID_INPUT", "ip"],
      [{ domain: "new.example", share_with: "new.example" }, "INVALID_INPUT", "share_with"],
      [{ domain: "new.example", share_with: "NEW.example" }, "INVALID_INPUT", "share_with"],
      [{ domain: "a.com", ip: "10.0.0.99" }, "CONFLICT", "ip"],
      [{ domain: "a.com", ip: "10.0.0.1", http_port: 81 }, "CONFLICT", "ip"],
      [{ domain: "a.com", share_with: "c.net" }, "CONFLICT", "share_with"],
      [{ domain: "b.org", ip: "10.0.0.1" }, "CONFLICT", "domain"],
      [{ domain: "b.org" }, "CONFLICT", "domain"],
      [{ domain: "b.org", share_with: "c.net" }, "CONFLICT", "share_with"],
      // Our own listeners, and what stands in empty slots.
      [{ domain: "new.example", ip: "127.0.0.1", http_port: 9999 }, "INVALID_INPUT", "ip"],
      [{ domain: "new.example", ip: "10.2.2.2", http_port: 9999 }, "INVALID_INPUT", "ip"],
      [{ domain: "new.example", ip: "10.9.9.9", http_port: 8000 }, "INVALID_INPUT", "ip"],
      [{ domain: "new.example", ip: "192.0.2.1", http_port: 1 }, "INVALID_INPUT", "ip"]
    ],
    haproxy_add_server: [
      [{ domain: "a.com", ip: "::1", http_port: 9999 }, "INVALID_INPUT", "ip"],
      [{ domain: "a.com", ip: "10.9.9.9", http_port: 8000 }, "INVALID_INPUT", "ip"],
      [{ domain: "a.com", ip: "192.0.2.1", http_port: 1, slot: 4 }, "INVALID_INPUT", "ip"],
      [{ domain: "a.com", ip: "10.0.0.1", slot: 4 }, "CONFLICT", "slot"],
      [{ domain: "a.com", ip: "10.0.0.9", slot: 2 }, "CONFLICT", "slot"]
    ],
    haproxy_add_servers: [
      [
        { domain: "a.com", servers: [{ ip: "10.1.0.1" }, { ip: "127.0.0.1", http_port: 9999 }] },
        "INVALID_INPUT",
        "servers[1].ip"
      ],
      [
        { domain: "a.com", servers: [{ ip: "10.1.0.1", slot: 4 }, { ip: "10.1.0.2", slot: 4 }] },
        "CONFLICT",
        "servers[1].slot"
      ],
      [
        { domain: "a.com", servers: [{ ip: "10.1.0.1" }, { ip: "10.0.0.1", slot: 5 }] },
        "CONFLICT",
        "servers[1].slot"
      ],
      [
        { domain: "a.com", servers: ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"].map((ip) => ({ ip })) },
        "POOL_EXHAUSTED",
        null
      ]
    ],
    haproxy_set_server_state: [
      [{ state: "drain" }, "INVALID_INPUT", "domain"],
      [{ domain: "a.com", state: "drain" }, "INVALID_INPUT", "slot"],
      [{ slot: 1, state: "drain" }, "INVALID_INPUT", "domain"],
      [{ backend: "pool_1", state: "drain" }, "INVALID_INPUT", "server"],
      [{ server: "w1", state: "drain" }, "FORBIDDEN", "server"],
      [{ backend: "web_backend", server: "w1", state: "drain" }, "FORBIDDEN", "backend"],
      [{ backend: "pool_1", server: "w1", state: "drain" }, "FORBIDDEN", "server"],
      [{ domain: "a.com", slot: 1, backend: "pool_1", server: "pool_1_1", state: "drain" }, "INVALID_INPUT", "backend"],
      [{ domain: "a.com", slot: 1, server: "pool_1_1", state: "drain" }, "INVALID_INPUT", "server"],
      [{ backend: "pool_4", server: "pool_4_1", state: "drain" }, "NOT_FOUND", "backend"],
      [{ server: "pool_4_1", state: "drain" }, "NOT_FOUND", "server"]
    ],
    haproxy_set_server_weight: [
      [{ weight: 1 }, "INVALID_INPUT", "domain"],
      [{ domain: "a.com", weight: 1 }, "INVALID_INPUT", "slot"],
      [{ backend: "web_backend", server: "w1", weight: 1 }, "FORBIDDEN", "backend"],
      [{ domain: "c.net", backend: "pool_1", weight: 1 }, "INVALID_INPUT", "backend"]
    ],
    haproxy_set_domain_state: [
      [{ state: "drain" }, "INVALID_INPUT", "domain"],
      [{ slot: 1, state: "drain" }, "INVALID_INPUT", "domain"],
      [{ backend: "web_backend", state: "drain" }, "FORBIDDEN", "backend"],
      [{ backend: "pool_4", state: "drain" }, "NOT_FOUND", "backend"]
    ],
    haproxy_wait_drain: [
      [{ domain: "c.net" }, "CONFLICT", "domain"],
      [{ domain: "c.net", slot: 1 }, "CONFLICT", "slot"]
    ],
    haproxy_renew_cert: [
      [{ domain: "brought" }, "CONFLICT", "domain"],
      [{ domain: "brought.example", force: true }, "CONFLICT", "domain"]
    ],
    haproxy_delete_cert: [
      [{ domain: "a.com" }, "CONFLICT", "domain"],
      [{ domain: "www.a.com", force: true }, "CONFLICT", "domain"]
    ]
  }

/** Calls between two looks at everything. */
const together = 10

interface Refusal {
  readonly args: unknown
  readonly code: ErrorCode
  /** Null: the error names none. */
  readonly field: string | null
}

const described = (value: unknown): string => {
  try {
    const text = JSON.stringify(value) ?? String(value)
    return text.length > 200 ? `${text.slice(0, 200)}… (${text.length})` : text
  } catch {
    return "(too deep to show)"
  }
}

/** Names of a tool's parameters, those of list entries as `servers[].ip`. */
const parametersOf = (tool: Tool): ReadonlyArray<string> =>
  Object.entries(tool.inputSchema.properties).flatMap(([name, schema]) => {
    const items = schema["items"] as { readonly properties?: Record<string, unknown> } | undefined
    return [name, ...Object.keys(items?.properties ?? {}).map((inner) => `${name}[].${inner}`)]
  })

/** The call with one parameter replaced; of a list the second entry, also with the list as JSON text. */
const withValue = (base: Args, parameter: string, { code, field, value }: BadInput.Bad): ReadonlyArray<Refusal> => {
  const expected: ErrorCode = code ?? "INVALID_INPUT"
  const [list, inner] = parameter.split("[].")
  if (inner === undefined) {
    return [{ args: { ...base, [parameter]: value }, code: expected, field: field ?? parameter }]
  }
  const entries = (base[list!] as ReadonlyArray<Args>).map((entry, index) =>
    index === 1 ? { ...entry, [inner]: value } : entry
  )
  const refusal: Omit<Refusal, "args"> = { code: expected, field: field ?? `${list}[1].${inner}` }
  const asList = { args: { ...base, [list!]: entries }, ...refusal }
  const text = described(entries)
  const sameInJson = !(typeof value === "number" && !Number.isFinite(value)) && text.startsWith("[") &&
    text.length < 200
  return sameInJson ? [asList, { args: { ...base, [list!]: JSON.stringify(entries) }, ...refusal }] : [asList]
}

/** What is wrong with the arguments as a whole, for any tool. */
const shapes = (tool: Tool, base: Args): ReadonlyArray<Refusal> => {
  const invalid = (args: unknown, field: string | null): Refusal => ({ args, code: "INVALID_INPUT", field })
  const required = tool.inputSchema.required ?? []
  const strange = [...BadInput.prototypeNames, "Domain", " domain", "x", "haproxy", "domain\u0000", "a.b"]
  return [
    ...[[], [base], "", "x", JSON.stringify(base), 5, true, BadInput.huge, [BadInput.nested]].map((args) =>
      invalid(args, null)
    ),
    ...strange.map((name) =>
      invalid(Object.fromEntries([...Object.entries(base), [name, 1]]), name.replace("\u0000", "?"))
    ),
    invalid({ ...base, x: BadInput.nested }, "x"),
    invalid({ ...base, ["y".repeat(100_000)]: 1 }, "y".repeat(80)),
    ...required.flatMap((name) => {
      const { [name]: _, ...rest } = base
      return [
        invalid(rest, name),
        invalid({ ...rest, [name]: null }, name),
        invalid({ ...rest, [name]: undefined }, name)
      ]
    })
  ]
}

/** Arguments whose refusal takes more than their schema: a dry run has to come as far. */
const stateful = (tool: string): ReadonlyArray<unknown> => (relations[tool] ?? []).map(([args]) => args)

const refusalsOf = (tool: Tool): ReadonlyArray<Refusal> => {
  const base = good[tool.name]!
  return [
    ...shapes(tool, base),
    ...parametersOf(tool).flatMap((parameter) => {
      const cases = parameters[`${tool.name}.${parameter}`]!
      return cases.bad.flatMap((bad) => withValue(cases.base ?? base, parameter, bad))
    }),
    ...(relations[tool.name] ?? []).map(([args, code, field]): Refusal => ({ args, code, field }))
  ]
}

/** Is the refusal one that a reader can act on? Answers what is wrong with it. */
const unclear = (body: ReturnType<typeof errorOf>): string | null => {
  const shown = `${body.message} ${body.hint}`
  // What was given stands in quotes.
  const ours = shown.replace(/"[^"]*"/g, "")
  if (body.hint.split(" ").length < 3) return "the hint says nothing"
  if (body.message.split(" ").length < 3) return "the message says nothing"
  if (/undefined|\[object|null prototype|Error:|\.ts\b/.test(ours)) return "it shows our insides"
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\ufffd]/.test(shown)) return "it repeats control characters"
  if (shown.length > 600) return "it is too long"
  if (body.retryable) return "it invites to repeat the same"
  return null
}

/** What is wrong with the answer to a bad call; null when it is refused as it must be. */
const problemOf = (
  result: ToolResult,
  { code, field }: Refusal,
  fits: (content: unknown) => boolean
): string | null => {
  if (!result.isError) return "it was taken"
  const error = errorOf(result)
  if (error.code !== code) return `not ${code}`
  if ((error.field ?? null) !== field) return `the field is not ${field}`
  if (result.text.length >= longestText) return "it is huge"
  if (!fits(result.structuredContent)) return "it does not fit the output schema"
  return unclear(error)
}

layer(Layer.effect(World, Effect.orDie(quiet(prepare))), { excludeTestServices: true, timeout: 60_000 })(
  "a call that breaks a rule",
  (it) => {
    it.effect("has cases for every tool and every parameter of the catalogue", () =>
      Effect.sync(() => {
        const names = defaultTools.map((tool) => tool.name)
        assert.deepStrictEqual(Object.keys(good), names)
        assert.deepStrictEqual(
          Object.keys(parameters).sort(),
          defaultTools.flatMap((tool) => parametersOf(tool).map((parameter) => `${tool.name}.${parameter}`)).sort()
        )
        for (const tool of Object.keys(relations)) assert.include(names, tool)
      }))

    for (const tool of defaultTools) {
      it.effect(`${tool.name}: is refused by name, and nothing happens`, () =>
        quiet(Effect.gen(function*() {
          const world = yield* World
          const validate = new AjvJsonSchemaValidator().getValidator(tool.outputSchema as never)
          const before = yield* world.everything
          const refusals = refusalsOf(tool)
          const wrong: Array<string> = []
          const inDry = new Set(tool.plans ? stateful(tool.name) : [])
          // Calls first, then a look at everything: which of so few it was, a reader finds.
          for (let at = 0; at < refusals.length; at += together) {
            const answers: Array<string> = []
            for (const refusal of refusals.slice(at, at + together)) {
              const sent = world.sent.length
              const result = yield* world.call(tool.name, refusal.args)
              const answer = `${described(refusal.args)} → ${result.text.slice(0, 600)}`
              answers.push(answer)
              const problem = problemOf(result, refusal, (content) => validate(content).valid)
              if (problem !== null) wrong.push(`${problem}: ${answer}`)
              if (inDry.has(refusal.args)) {
                const dry = yield* world.call(tool.name, { ...refusal.args as Args, dry_run: true })
                if (dry.text !== result.text) wrong.push(`a dry run says something else, ${dry.text}: ${answer}`)
              }
              const writes = writesIn(world.sent.slice(sent))
              if (writes.length > 0) wrong.push(`HAProxy was sent ${writes.join("; ")}: ${answer}`)
            }
            const after = yield* world.everything
            assert.strictEqual(after, before, `one of these changed something:\n${answers.join("\n")}`)
          }
          assert.deepStrictEqual(wrong, [])
          console.log(`refusals: ${tool.name}: ${refusals.length} cases`)
        })), 60_000)
    }

    it.effect("is the good call with one thing wrong: each good call is taken", () =>
      quiet(Effect.gen(function*() {
        const world = yield* World
        const added = yield* world.good("haproxy_add_domain", { domain: "last.example" })
        for (const tool of defaultTools) {
          const args = ofChange(tool.name, added["change_id"]) ?? good[tool.name]
          const answer = yield* world.good(tool.name, args)
          const unchanged = tool.annotations.readOnlyHint || repeated.has(tool.name)
          if (!unchanged) assert.isTrue(answer["changed"], `${tool.name} ${JSON.stringify(answer)}`)
        }
        yield* world.consistent
      })))
  }
)
