/**
 * What a caller sees is what it may call: every tool × rights × rules × transport × era, generated from the catalogue,
 * so that a tool that comes later is held to it without a word here. Below the programs everything is faulty: whether
 * a call reached one is the question.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Acme } from "../../src/acme/Acme.ts"
import { Busy, ConfigInvalid } from "../../src/domain/Errors.ts"
import { hasScope, type Principal, type Scope, scopes, withAllRights } from "../../src/domain/Principal.ts"
import { make as publicSuffixes } from "../../src/domain/PublicSuffix.ts"
import { type Toolset, toolsets } from "../../src/domain/Toolset.ts"
import { CertificateFiles } from "../../src/haproxy/certificates/CertificateFiles.ts"
import { HostControl } from "../../src/haproxy/HostControl.ts"
import { MapFiles } from "../../src/haproxy/MapFiles.ts"
import { RuntimeApi } from "../../src/haproxy/RuntimeApi.ts"
import * as AdminSocket from "../../src/mcp/AdminSocket.ts"
import { callTool } from "../../src/mcp/CallTool.ts"
import { allTools, defaultTools } from "../../src/mcp/Catalogue.ts"
import type { GateOptions } from "../../src/mcp/Gate.ts"
import * as RemoteTools from "../../src/mcp/RemoteTools.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { Toolsets } from "../../src/mcp/Toolsets.ts"
import { matches, Rules, rulesOf, type RulesShape, unrestricted, visible } from "../../src/mcp/Visible.ts"
import { Certificates } from "../../src/program/certificates/Certificates.ts"
import { Limits } from "../../src/program/Limits.ts"
import { Operations } from "../../src/program/Operations.ts"
import { PoolAllocator } from "../../src/program/PoolAllocator.ts"
import type { ProgramServices } from "../../src/program/Services.ts"
import { noTokens } from "../../src/program/TokenIndex.ts"
import { Tokens } from "../../src/program/Tokens.ts"
import { Store } from "../../src/store/Store.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { type Ask, overHttp, overStdio } from "./asking.ts"
import { captureLogs, grantOf, startHttp, tokenGate } from "./harness.ts"

const limited = (over: Partial<Principal>): Principal => ({ ...withAllRights("token", "limited"), id: "t0", ...over })

const callers: ReadonlyArray<readonly [string, Principal]> = [
  ...scopes.map((scope) => [`scope ${scope}`, limited({ scopes: [scope] })] as const),
  ["no scope", limited({ scopes: [] })],
  ["two scopes", limited({ scopes: ["traffic", "certs"] })],
  ["every right, one domain", limited({ domains: ["a.example"] })],
  ["read, some domains", limited({ scopes: ["read"], domains: ["*.a.example", "b.example"] })],
  ["every right, no domain", limited({ domains: [] })]
]

const everyRules: ReadonlyArray<readonly [string, RulesShape]> = [
  ["no rules", unrestricted],
  ["read-only", { ...unrestricted, readOnly: true }],
  ["an allow list", { ...unrestricted, allow: [["haproxy_list_*", "haproxy_set_server_weight"]] }],
  ["an empty allow list", { ...unrestricted, allow: [[]] }],
  ["a deny list", { ...unrestricted, deny: ["haproxy_*cert*", "haproxy_reload"] }]
]

/** What the table says, told in other words than Visible.ts does. */
const expected = (caller: Principal, rules: RulesShape): ReadonlyArray<string> =>
  allTools.flatMap(({ annotations, name, reach, scope }) => {
    const rights = new Set<Scope>(caller.scopes)
    const has = rights.has("admin") || rights.has(scope) || (scope === "read" && rights.size > 0)
    const fits = caller.domains === null || reach !== "everything"
    const ruled = (!rules.readOnly || annotations.readOnlyHint)
      && rules.allow.every((list) => list.some((pattern) => matches(pattern, name)))
      && !rules.deny.some((pattern) => matches(pattern, name))
    return has && fits && ruled ? [name] : []
  })

const reached = Effect.fail(new Busy({ message: "reached", hint: "" }))

/** A service of which every part is a fault: a program that is reached ends in one, or refuses its arguments. */
const faulty = <S>(): S => new Proxy({}, { get: () => () => reached }) as S

/** What the audit chain is told is not a program's work: it is taken. */
const store = new Proxy({}, {
  get: (_, part) => () => part === "noted" ? Effect.void : reached
}) as Store["Service"]

const below = Context.make(Store, store).pipe(
  Context.add(RuntimeApi, faulty()),
  Context.add(MapFiles, faulty()),
  Context.add(CertificateFiles, faulty()),
  Context.add(Acme, faulty()),
  Context.add(Certificates, faulty()),
  Context.add(HostControl, faulty()),
  Context.add(PoolAllocator, faulty()),
  Context.add(Operations, faulty()),
  Context.add(Tokens, faulty()),
  Context.add(Limits, {
    pools: { pools: 10, slots: 5 },
    suffixes: publicSuffixes([]),
    listeners: [],
    localAddresses: new Set<string>(),
    haproxyIsHere: true
  })
)

/** The toolsets that are off by default are held to the table, too. */
const everySet: ReadonlySet<Toolset> = new Set(toolsets)

/** The tools as they are, above programs that end at once. */
const toolsUnder = (rules: RulesShape): ToolRunner["Service"] => {
  const services = below.pipe(
    Context.add(Rules, rules),
    Context.add(Toolsets, everySet),
    Context.add(Logger.CurrentLoggers, new Set())
  ) as Context.Context<ProgramServices>
  return {
    rules,
    tokens: noTokens,
    call: (name, args, caller) => Effect.provideContext(callTool(name, args, caller), services),
    admin: () => Effect.die("not asked for here"),
    watch: () => Effect.never,
    notReady: Effect.succeed(null),
    stopping: Effect.void
  }
}

/** Lists, calls every tool there is, and compares. */
const holds = async (ask: Ask, may: ReadonlyArray<string>, note: string) => {
  const listed = (await ask("tools/list", {})).result?.tools?.map(({ name }) => name)
  assert.deepStrictEqual(listed, may, `listed: ${note}`)
  await Promise.all(allTools.map(async ({ name, scope }) => {
    const { result } = await ask("tools/call", { name, arguments: {} })
    const error = result?.structuredContent?.error
    if (may.includes(name)) {
      // Which fault it met depends on the program: it was reached.
      assert.include(["BUSY", "INTERNAL", "INVALID_INPUT", "HAPROXY_UNREACHABLE"], error?.code, `${name}: ${note}`)
    } else {
      assert.strictEqual(error?.code, "FORBIDDEN", `${name}: ${note}`)
      assert.include(error?.message, name)
      if (note.startsWith("scope ") && note.endsWith("no rules")) assert.include(error?.message, `the scope ${scope}`)
    }
  }))
}

/** Which tool says who may read which resource: told in other words than Resources.ts does. */
const mirrored = [
  ["haproxy://status", "haproxy_health", "haproxy://status"],
  ["haproxy://domains/{domain}", "haproxy_list_servers", "haproxy://domains/a.example"],
  ["haproxy://pools/{pool}", "haproxy_backends", "haproxy://pools/pool_1"],
  ["haproxy://changes/{revision}", "haproxy_changes", "haproxy://changes/1"]
] as const

/** Tools that a prompt's steps cannot do without. */
const needed = [
  ["incident_triage", ["haproxy_explain", "haproxy_list_servers"]],
  ["safe_deploy", ["haproxy_list_servers", "haproxy_set_server_state", "haproxy_wait_drain"]],
  ["rotate_certificate", ["haproxy_list_servers", "haproxy_cert_info", "haproxy_renew_cert"]]
] as const

/** The same for resources and prompts: there for who may call the tools that they stand for, and for nobody else. */
const readsOnly = async (ask: Ask, caller: Principal, may: ReadonlyArray<string>, note: string) => {
  const listed = (await ask("resources/list", {})).result?.resources?.map(({ uri }) => uri) ?? []
  const templates = (await ask("resources/templates/list", {})).result?.resourceTemplates ?? []
  assert.deepStrictEqual(
    [...listed, ...templates.map(({ uriTemplate }) => uriTemplate)],
    mirrored.filter(([, tool]) => may.includes(tool)).map(([uri]) => uri),
    `resources: ${note}`
  )
  for (const [, tool, uri] of mirrored) {
    const { error, result } = await ask("resources/read", { uri })
    assert.isUndefined(result, `${uri}: ${note}`)
    const within = caller.domains === null || !uri.includes("a.example") || caller.domains.includes("a.example")
    if (may.includes(tool) && within) {
      // Below, everything is faulty: it was reached.
      assert.strictEqual(error?.code, -32_000, `${uri}: ${note}`)
    } else {
      assert.strictEqual(error?.code, -32_602, `${uri}: ${note}`)
      assert.deepStrictEqual(error?.data, { uri })
      assert.include(error?.message, may.includes(tool) ? "beyond" : tool, `${uri}: ${note}`)
    }
  }
  const prompts = needed.filter(([, tools]) => tools.every((tool) => may.includes(tool))).map(([name]) =>
    name as string
  )
  const offered = (await ask("prompts/list", {})).result?.prompts?.map(({ name }) => name)
  assert.deepStrictEqual(offered, prompts, `prompts: ${note}`)
  for (const [name] of needed) {
    const { error } = await ask("prompts/get", { name, arguments: { domain: "b.example" } })
    if (!prompts.includes(name)) assert.strictEqual(error?.code, -32_602, `${name}: ${note}`)
  }
}

/** Every caller has a token of its own. */
const gateOf = (all: typeof callers): GateOptions => ({
  ...tokenGate,
  tokens: {
    find: (given) => {
      const found = all.find(([who]) => who.replaceAll(/\W/g, "-") === given)
      return found === undefined ? "wrong" : grantOf(found[1])
    },
    any: () => true
  }
})

describe("what is listed is what can be called", () => {
  for (const [ruled, rules] of everyRules) {
    // Rights and rules do not depend on each other: all rights without rules, and some with each.
    const some = rules === unrestricted ? callers : callers.filter(([who]) => /config|admin|one domain/.test(who))
    it.live(`over HTTP in both eras, ${ruled}`, () =>
      Effect.gen(function*() {
        const { url } = yield* startHttp(toolsUnder(rules), { gate: gateOf(some) })
        for (const [who, caller] of some) {
          for (const era of ["older", "newer"] as const) {
            const ask = overHttp(url, who.replaceAll(/\W/g, "-"), era)
            const [may, note] = [expected(caller, rules), `${who}, ${era}, ${ruled}`]
            yield* Effect.promise(() => holds(ask, may, note))
            yield* Effect.promise(() => readsOnly(ask, caller, may, note))
          }
        }
      }).pipe(Effect.provideService(Toolsets, everySet), Effect.scoped), 60_000)

    it.live(
      `over stdio in both eras, in this process and through the admin socket, ${ruled}`,
      () =>
        Effect.gen(function*() {
          for (
            const rights of [[], ["read"], ["config", "traffic"], ["admin"]] as ReadonlyArray<ReadonlyArray<Scope>>
          ) {
            const caller: Principal = { ...withAllRights("process", "user"), scopes: rights }
            const may = expected(caller, rules)
            for (const era of ["older", "newer"] as const) {
              const runner = toolsUnder(rules)
              const here = yield* overStdio(runner, rights, era)
              yield* Effect.promise(() => holds(here, may, `here, ${rights}, ${era}, ${ruled}`))
              yield* Effect.promise(() => readsOnly(here, caller, may, `here, ${rights}, ${era}, ${ruled}`))
              const path = join(yield* temporaryFolder("policy"), "admin.sock")
              yield* Layer.build(
                AdminSocket.layer(path).pipe(
                  Layer.provide(Layer.succeed(ToolRunner, runner)),
                  Layer.provide(captureLogs().layer)
                )
              )
              const remote = Context.get(yield* Layer.build(RemoteTools.layer(path)), ToolRunner)
              const there = yield* overStdio(remote, rights, era)
              yield* Effect.promise(() => holds(there, may, `there, ${rights}, ${era}, ${ruled}`))
              yield* Effect.promise(() => readsOnly(there, caller, may, `there, ${rights}, ${era}, ${ruled}`))
            }
          }
        }).pipe(Effect.provideService(Toolsets, everySet), Effect.scoped),
      60_000
    )
  }

  it.live("a process that works through another one is bound by the rules of both", () =>
    Effect.gen(function*() {
      const runner = toolsUnder({ ...unrestricted, deny: ["haproxy_reload"] })
      const path = join(yield* temporaryFolder("policy"), "admin.sock")
      yield* Layer.build(
        AdminSocket.layer(path).pipe(
          Layer.provide(Layer.succeed(ToolRunner, runner)),
          Layer.provide(captureLogs().layer)
        )
      )
      const own: RulesShape = { ...unrestricted, readOnly: true }
      const remote = Context.get(
        yield* Layer.build(RemoteTools.layer(path).pipe(Layer.provide(Layer.succeed(Rules, own)))),
        ToolRunner
      )
      const ask = yield* overStdio(remote, ["admin"], "older")
      const both = { ...own, deny: ["haproxy_reload"] }
      const caller = withAllRights("process", "user")
      yield* Effect.promise(() => holds(ask, expected(caller, both), "both"))
      // The command line of the same user is bound by neither.
      const owner = withAllRights("owner", "user")
      const result = yield* remote.call("haproxy_reload", {}, {
        actor: { via: "cli", who: "user", requestId: "r" },
        principal: owner,
        timeout: 1_000,
        progress: () => Effect.void
      })
      assert.notStrictEqual(result.code, "FORBIDDEN")
    }).pipe(Effect.provideService(Toolsets, everySet), Effect.scoped))
})

describe("the table", () => {
  it("asks for a right that fits what a tool does", () => {
    for (const { annotations, name, scope } of allTools) {
      if (scope === "read") assert.isTrue(annotations.readOnlyHint, `${name} writes with the right to read`)
      assert.notStrictEqual(scope, "admin", `${name} states no scope of its own`)
    }
    // What only looks needs no right to change something, but for HAProxy's own configuration.
    const looks = defaultTools.filter(({ annotations, scope }) => annotations.readOnlyHint && scope !== "read")
    assert.deepStrictEqual(looks.map(({ name }) => name), ["haproxy_check_config"])
  })

  it("stands in docs/security.md as it is", () => {
    const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "security.md"), "utf8")
    for (const scope of scopes) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${scope}\``)) ?? ""
      const named = [...row.matchAll(/`(haproxy_\w+)`/g)].map((match) => match[1])
      assert.deepStrictEqual(named, defaultTools.filter((tool) => tool.scope === scope).map(({ name }) => name), scope)
    }
  })

  it("says by name of the parameter where a domain is named", () => {
    for (const { inputSchema, name, reach } of allTools) {
      const parameters = Object.keys((inputSchema as { properties?: Record<string, unknown> }).properties ?? {})
      const naming = parameters.filter((parameter) => /domain|share_with|^host$/.test(parameter))
      if (typeof reach === "string") continue
      assert.deepStrictEqual([...reach], naming, name)
    }
  })

  it("leaves a caller without scopes, an empty allow list and an empty list of domains nothing", () => {
    assert.deepStrictEqual(visible(limited({ scopes: [] }), unrestricted, allTools), [])
    assert.deepStrictEqual(visible(withAllRights("token", "all"), { ...unrestricted, allow: [[]] }, allTools), [])
    for (const { reach } of visible(limited({ domains: [] }), unrestricted, allTools)) {
      assert.notStrictEqual(reach, "everything")
    }
    for (const scope of scopes) assert.isFalse(hasScope({ scopes: [] }, scope))
  })

  it("knows patterns", () => {
    assert.isTrue(matches("haproxy_list_*", "haproxy_list_certs"))
    assert.isTrue(matches("*", "haproxy_reload"))
    assert.isTrue(matches("haproxy_*_cert*", "haproxy_renew_all_certs"))
    assert.isFalse(matches("haproxy_list_", "haproxy_list_certs"))
    assert.isFalse(matches("", "haproxy_reload"))
    assert.isFalse(matches("haproxy_reload*load", "haproxy_reload"))
  })

  it("refuses lists that name what is no tool", () => {
    const wrong = rulesOf({ mcpReadOnly: false, mcpToolsAllow: null, mcpToolsDeny: ["haproxy_relaod"] })
    assert.instanceOf(wrong, ConfigInvalid)
    assert.include((wrong as ConfigInvalid).hint, "haproxy_reload")
    const none = rulesOf({ mcpReadOnly: false, mcpToolsAllow: [], mcpToolsDeny: [] })
    assert.deepStrictEqual(none, { ...unrestricted, allow: [[]] })
  })
})
