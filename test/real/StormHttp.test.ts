/**
 * Sixty-four clients of MCP at once, official ones of both eras among them, while HAProxy is killed and started again
 * five times, twice of them with a break that is longer than a call may take.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { poolsDefaults } from "../../src/domain/PoolsConfig.ts"
import { type AnyClient, clients as officialClients, connected } from "../mcp/harness.ts"
import { agreement } from "../support/Agreement.ts"
import { type Origin, startOrigin } from "../support/Origin.ts"
import { becomes, poll } from "../support/Poll.ts"
import { type RealHaproxy, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { type ServerProcess, settingsOf, startServer } from "../support/ServerProcess.ts"

const shape = { pools: 40, slots: 2, poolsFile: true }
const clients = 64
/** Names of each client that come and go. */
const names = 5
/** Milliseconds that a call may take, and that a busy machine may add until the answer is read. */
const deadline = 2_000
const slack = 3_000
/** For each kill, how many calls must be refused before HAProxy comes back. */
const kills = [0, 20, 0, 20, 0]

interface Ended {
  readonly code: string
  readonly data: Readonly<Record<string, unknown>>
}

type Call = (tool: string, args: Record<string, unknown>) => Promise<Ended>

const officially = (client: AnyClient): Call => async (tool, args) => {
  const { content, isError, structuredContent } = await client.call(tool, args)
  const data = structuredContent as Ended["data"]
  assert.strictEqual((content as ReadonlyArray<{ readonly text: string }>)[0]?.text, JSON.stringify(data))
  return { code: isError === true ? String((data["error"] as { readonly code: string }).code) : "OK", data }
}

/** An eighth of each kind of official client, and the rest without any library. */
const connectAll = Effect.fnUntraced(function*(server: ServerProcess) {
  const calls: Array<Call> = []
  for (let n = 0; n < clients; n++) {
    const official = n % 8 < officialClients.length ? officialClients[n % 8] : undefined
    if (official === undefined) {
      const plain = server.client()
      calls.push((tool, args) => plain.call(tool, args))
    } else calls.push(officially(yield* connected(official[1], { url: `${server.url}/mcp` })))
  }
  return calls
})

/** What a host gets through HAProxy; asks again while HAProxy is down. */
const visit = (haproxy: RealHaproxy, host: string) =>
  poll(`an answer for ${host}`, () => Effect.runPromise(haproxy.get(host)).catch(() => undefined))

describe.each(realLines)("64 clients over HTTP on HAProxy $line, killed five times meanwhile", (binary) => {
  it.live("every acknowledged domain is routed, none refused is", () =>
    Effect.gen(function*() {
      const haproxy = yield* startHaproxy({ binary, ...shape, sections: [`defaults ${poolsDefaults} from base`, ""] })
      const shared = yield* startOrigin("shared")
      const own: Array<Origin> = []
      for (let n = 0; n < clients / 4; n++) own.push(yield* startOrigin(`own-${n}`))
      const env = { MCP_CALL_TIMEOUT: `${deadline}ms` }
      const server = yield* startServer({ env: settingsOf(haproxy.site, { ...shape, env }) })
      yield* Effect.promise(async () => {
        await server.ready()
        await server.client().good("haproxy_add_domain", {
          domain: "base.example.com",
          ip: "127.0.0.1",
          http_port: shared.port
        })
      })
      const calls = yield* connectAll(server)

      /** By domain that was asked for: the body that it must answer, null for no route, undefined when not known. */
      const known = new Map<string, string | null | undefined>()
      const codes = new Map<string, number>()
      const count = (code: string) => codes.get(code) ?? 0
      let slowest = 0
      let visits = 0
      let stop = false
      const client = async (call: Call, id: number) => {
        for (let n = 0; !stop; n++) {
          const domain = `n${n % names}.c${id}.example.com`
          const origin = id % 4 === 0 && n % names === 0 ? own[id / 4] : undefined
          const there = typeof known.get(domain) === "string"
          const began = performance.now()
          const { code, data } = there
            ? await call("haproxy_remove_domain", { domain })
            : await call("haproxy_add_domain", {
              domain,
              ...(origin === undefined
                ? { share_with: "base.example.com" }
                : { ip: "127.0.0.1", http_port: origin.port })
            })
          slowest = Math.max(slowest, performance.now() - began)
          codes.set(code, count(code) + 1)
          assert.notStrictEqual(code, "INTERNAL", JSON.stringify(data))
          if (code === "OK") known.set(domain, there ? null : origin?.name ?? shared.name)
          else if (code === "OUTCOME_UNKNOWN") known.set(domain, undefined)
          else if (!known.has(domain)) known.set(domain, null)
          // Acknowledged means routed from now on, whatever happens to HAProxy; asked for every few.
          if (code === "OK" && n % 8 === 0) {
            const wanted = there ? null : origin?.name ?? shared.name
            const { body, status } = await visit(haproxy, domain)
            visits++
            assert.deepStrictEqual([status, body], wanted === null ? [404, "no route"] : [200, wanted], domain)
          }
        }
      }
      const running = Promise.all(calls.map(client))
      const refused = () => [...codes].reduce((sum, [code, times]) => code === "OK" ? sum : sum + times, 0)
      yield* Effect.gen(function*() {
        for (const outage of kills) {
          const before = refused()
          yield* haproxy.kill
          yield* Effect.promise(() => becomes(`${outage} refusals`, () => refused() >= before + outage))
          const done = count("OK")
          yield* haproxy.start
          // The next kill comes only after writes go through again, from every side.
          yield* Effect.promise(() => becomes("writes go through", () => count("OK") >= done + 2 * clients, 30_000))
        }
      }).pipe(
        Effect.raceFirst(Effect.andThen(Effect.promise(() => running), Effect.never)),
        Effect.ensuring(Effect.sync(() => stop = true))
      )
      yield* Effect.promise(() => running)
      yield* Effect.promise(() => server.ready())

      let acknowledged = 0
      yield* Effect.promise(async () => {
        for (const [domain, wanted] of known) {
          if (wanted === undefined) continue
          const { body, status } = await visit(haproxy, domain)
          assert.deepStrictEqual([status, body], wanted === null ? [404, "no route"] : [200, wanted], domain)
          if (wanted !== null) acknowledged++
        }
      })
      const { code } = yield* Effect.promise(() => server.stop())
      assert.strictEqual(code, 0)
      const dump = yield* agreement(haproxy.site, shape)
      const routed = new Set([...dump.matchAll(/^map (\S+) /gm)].map((match) => match[1]!))
      for (const [domain, wanted] of known) {
        if (wanted !== undefined) assert.strictEqual(routed.has(domain), wanted !== null, domain)
      }
      console.log(
        `storm over HTTP: HAProxy ${binary.version}: ${
          [...codes].map(([what, times]) => `${times} ${what}`).join(", ")
        }; ${acknowledged} of ${known.size} routed at the end, ${visits} fetched meanwhile; slowest call ${
          Math.round(slowest)
        } ms`
      )
      assert.isAbove(acknowledged, clients)
      assert.isAbove(refused(), 0)
      assert.isBelow(slowest, deadline + slack)
      assert.deepStrictEqual(server.logs().filter((line) => line.level === "ERROR"), [])
    }).pipe(Effect.scoped), 120_000)
})
