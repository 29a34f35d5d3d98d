/** Resources, prompts and completions with both official clients, over HTTP and streams, above a real HAProxy. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { withAllRights } from "../../src/domain/Principal.ts"
import * as AdminSocket from "../../src/mcp/AdminSocket.ts"
import type { GateOptions } from "../../src/mcp/Gate.ts"
import * as RemoteTools from "../../src/mcp/RemoteTools.ts"
import { ToolRunner } from "../../src/mcp/ToolRunner.ts"
import { temporaryFolder } from "../support/TemporaryFolder.ts"
import { makeWorld } from "../support/World.ts"
import { overHttp, overStdio } from "./asking.ts"
import {
  type AnyClient,
  captureLogs,
  clients,
  connected,
  grantOf,
  startHttp,
  token,
  tokenGate,
  worldTools
} from "./harness.ts"

type Data = Record<string, unknown>

/** One token with every right, one for a single domain. */
const gate: GateOptions = {
  ...tokenGate,
  tokens: {
    any: () => true,
    find: (given) =>
      given === token
        ? grantOf(withAllRights("token", "all"))
        : given === "shop-only"
        ? grantOf({ ...withAllRights("token", "shop"), id: "t1", domains: ["shop.example.com"] })
        : "wrong"
  }
}

const fill = async (client: AnyClient) => {
  const done = async (name: string, args: Data) => assert.isUndefined((await client.call(name, args)).isError, name)
  await done("haproxy_add_domain", { domain: "shop.example.com", ip: "10.0.0.5" })
  await done("haproxy_add_domain", { domain: "sub.shop.example.net", ip: "10.0.0.6" })
  await done("haproxy_add_domain", { domain: "share.example.org", share_with: "shop.example.com" })
}

const domainTemplate = { type: "ref/resource", uri: "haproxy://domains/{domain}" } as const

describe("over HTTP", () => {
  it.live("all clients list, read, complete and prompt", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 3 })
      const { url } = yield* startHttp(worldTools(world), { gate })
      for (const [index, [name, connect]] of clients.entries()) {
        const client = yield* connected(connect, { url, headers: { authorization: `Bearer ${token}` } })
        const reader = client.reader
        yield* Effect.promise(async () => {
          if (index === 0) await fill(client)
          const { resources } = await reader.listResources()
          assert.deepStrictEqual(resources.map(({ mimeType, uri }) => [uri, mimeType]), [
            ["haproxy://status", "application/json"]
          ], name)
          const { resourceTemplates } = await reader.listResourceTemplates()
          assert.deepStrictEqual(resourceTemplates.map(({ uriTemplate }) => uriTemplate), [
            "haproxy://domains/{domain}",
            "haproxy://pools/{pool}",
            "haproxy://changes/{revision}"
          ])

          const read = async (uri: string): Promise<Data> => {
            const { contents } = await reader.readResource({ uri })
            assert.strictEqual(contents.length, 1)
            assert.deepInclude(contents[0], { uri, mimeType: "application/json" })
            return JSON.parse((contents[0] as { readonly text: string }).text) as Data
          }
          assert.deepInclude((await read("haproxy://status"))["components"] as Data, {})
          assert.deepInclude(await read("haproxy://domains/share.example.org"), {
            domain: "share.example.org",
            backend: "pool_1",
            shares_with: "shop.example.com"
          })
          assert.deepInclude(await read("haproxy://domains/SUB.shop.example.net"), { backend: "pool_2" })
          assert.deepInclude(await read("haproxy://pools/pool_1"), {
            pool: "pool_1",
            owner: "shop.example.com",
            domains: ["shop.example.com", "share.example.org"],
            domain_count: 2,
            server_count: 1,
            free_slots: 2
          })
          assert.deepInclude(await read("haproxy://pools/pool_3"), { owner: null, domains: [], servers: [] })
          const change = await read("haproxy://changes/2")
          assert.deepInclude(change, { revision: 2, more: false })
          const [first] = change["changes"] as ReadonlyArray<Data>
          assert.deepInclude(first, { tool: "haproxy_add_domain", outcome: "applied" })
          assert.deepInclude(first!["edits"] as ReadonlyArray<Data>, {
            what: "sub.shop.example.net",
            before: null,
            after: "pool_2"
          })

          for (
            const uri of [
              "haproxy://domains/nobody.example",
              "haproxy://domains/not%20a%20name",
              "haproxy://domains/%ff",
              "haproxy://domains/a/b",
              "haproxy://domains/",
              "haproxy://pools/pool_4",
              "haproxy://pools/backend",
              "haproxy://changes/99",
              "haproxy://changes/-1",
              "haproxy://nothing",
              "file:///etc/passwd",
              `haproxy://domains/${"a".repeat(2_000)}`
            ]
          ) {
            const error = await reader.readResource({ uri }).then(() => null, (error: Data) => error)
            assert.include([-32_602, -32_002], error?.["code"], uri)
            assert.match(String(error?.["message"]), /not found/i)
          }

          const values = async (ref: Parameters<typeof reader.complete>[0]["ref"], name: string, value: string) =>
            (await reader.complete({ ref, argument: { name, value } })).completion
          assert.deepStrictEqual(await values(domainTemplate, "domain", "s"), {
            values: ["share.example.org", "shop.example.com", "sub.shop.example.net"],
            total: 3,
            hasMore: false
          })
          assert.deepStrictEqual((await values(domainTemplate, "domain", "SHOP.example.com")).values, [
            "shop.example.com"
          ])
          assert.deepStrictEqual((await values(domainTemplate, "domain", "shop.example.comx")).values, [])
          assert.deepStrictEqual((await values(domainTemplate, "domain", "%")).values, [])
          const pools = { type: "ref/resource", uri: "haproxy://pools/{pool}" } as const
          assert.deepStrictEqual((await values(pools, "pool", "pool_")).values, ["pool_1", "pool_2"])
          const revisions = { type: "ref/resource", uri: "haproxy://changes/{revision}" } as const
          assert.deepStrictEqual((await values(revisions, "revision", "")).values, ["3", "2", "1"])
          const ofPrompt = { type: "ref/prompt", name: "safe_deploy" } as const
          assert.deepStrictEqual((await values(ofPrompt, "domain", "sub")).values, ["sub.shop.example.net"])
          for (
            const [ref, argument] of [
              [{ type: "ref/prompt", name: "nothing" }, "domain"],
              [{ type: "ref/resource", uri: "haproxy://nothing/{x}" }, "x"],
              [ofPrompt, "pool"]
            ] as const
          ) {
            const code = await values(ref, argument, "").then(() => null, (error: Data) => error["code"])
            assert.strictEqual(code, -32_602)
          }

          const { prompts } = await reader.listPrompts()
          assert.deepStrictEqual(prompts.map((prompt) => prompt.name), [
            "incident_triage",
            "safe_deploy",
            "rotate_certificate"
          ])
          for (const prompt of prompts) {
            assert.deepStrictEqual(prompt.arguments?.map((one) => [one.name, one.required]), [["domain", true]])
            const got = await reader.getPrompt({ name: prompt.name, arguments: { domain: "Share.example.org" } })
            const { text } = got.messages[0]!.content as { readonly text: string }
            assert.isAtMost(Buffer.byteLength(JSON.stringify(got)), 28_000)
            assert.include(text, "share.example.org")
            assert.include(text, "pool_1_1", `${prompt.name} brings the servers along`)
            assert.include(text, "OUTCOME_UNKNOWN")
          }
          const refused = async (name: string, args: Record<string, string>) => {
            const error = await reader.getPrompt({ name, arguments: args }).then(
              (): Data => ({}),
              (error: Data) => error
            )
            assert.strictEqual(error["code"], -32_602, JSON.stringify([name, args]))
            return String(error["message"])
          }
          assert.include(await refused("safe_deploy", {}), "domain is missing")
          assert.include(await refused("safe_deploy", { domain: "shpo.example.com" }), "shpo.example.com is not routed")
          assert.include(await refused("safe_deploy", { domain: "no name" }), "domain")
          assert.include(await refused("safe_deploy", { domain: "shop.example.com", pool: "1" }), "pool is no argument")
          assert.include(await refused("nothing", { domain: "shop.example.com" }), "no prompt nothing")
        })
      }

      // One that is limited to a domain: it sees that one, wherever names are told.
      for (const era of ["older", "newer"] as const) {
        const ask = overHttp(url, "shop-only", era)
        yield* Effect.promise(async () => {
          const listed = (await ask("resources/templates/list", {})).result?.resourceTemplates
          assert.deepStrictEqual(listed?.map(({ uriTemplate }) => uriTemplate), ["haproxy://domains/{domain}"])
          const values = async (uri: string, name: string) =>
            (await ask("completion/complete", { ref: { type: "ref/resource", uri }, argument: { name, value: "" } }))
              .result?.completion?.values
          assert.deepStrictEqual(await values("haproxy://domains/{domain}", "domain"), ["shop.example.com"])
          assert.deepStrictEqual(await values("haproxy://pools/{pool}", "pool"), [])
          assert.deepStrictEqual(await values("haproxy://changes/{revision}", "revision"), [])
          const own = (await ask("resources/read", { uri: "haproxy://domains/shop.example.com" })).result?.contents
          assert.strictEqual((JSON.parse(own![0]!.text) as Data)["domain"], "shop.example.com")
          // One that exists and one that does not are refused alike.
          for (const uri of ["haproxy://domains/sub.shop.example.net", "haproxy://domains/nobody.example"]) {
            const { error } = await ask("resources/read", { uri })
            assert.strictEqual(error?.code, -32_602)
            assert.include(error?.message, "beyond what this caller is limited to")
          }
          const prompt = await ask("prompts/get", {
            name: "incident_triage",
            arguments: { domain: "shop.example.com" }
          })
          const text = prompt.result?.messages?.[0]?.content.text
          assert.include(text, "pool_1_1")
          assert.notInclude(text, "share.example.org")
          const other = await ask("prompts/get", { name: "safe_deploy", arguments: { domain: "share.example.org" } })
          assert.strictEqual(other.error?.code, -32_602)
        })
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("over standard input and output", () => {
  it.live("in this process and through the admin socket", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ pools: 3, slots: 3 })
      const runner = worldTools(world)
      const path = join(yield* temporaryFolder("resources"), "admin.sock")
      yield* Layer.build(
        AdminSocket.layer(path).pipe(
          Layer.provide(Layer.succeed(ToolRunner, runner)),
          Layer.provide(captureLogs().layer)
        )
      )
      const remote = Context.get(yield* Layer.build(RemoteTools.layer(path)), ToolRunner)
      for (const [where, tools] of [["here", runner], ["there", remote]] as const) {
        for (const era of ["older", "newer"] as const) {
          const ask = yield* overStdio(tools, ["admin"], era)
          yield* Effect.promise(async () => {
            const domain = `${where}-${era}.example.com`
            await ask("tools/call", { name: "haproxy_add_domain", arguments: { domain, ip: "10.0.0.5" } })
            const { result } = await ask("resources/read", { uri: `haproxy://domains/${domain}` })
            assert.strictEqual((JSON.parse(result!.contents![0]!.text) as Data)["domain"], domain)
            const missing = await ask("resources/read", { uri: "haproxy://domains/nobody.example" })
            assert.include([-32_602, -32_002], missing.error?.code)
            const completed = await ask("completion/complete", {
              ref: domainTemplate,
              argument: { name: "domain", value: where }
            })
            assert.include(completed.result!.completion!.values as ReadonlyArray<unknown>, domain)
            const prompt = await ask("prompts/get", { name: "rotate_certificate", arguments: { domain } })
            assert.include(prompt.result?.messages?.[0]?.content.text, domain)
            const reading = await ask("tools/call", { name: "read_pool", arguments: { pool: "pool_1" } })
            assert.strictEqual(reading.error?.code, -32_602, "a reading is no tool")
            await ask("tools/call", { name: "haproxy_remove_domain", arguments: { domain } })
          })
        }
      }
    }).pipe(Effect.provide(captureLogs().layer), Effect.scoped), 60_000)
})
