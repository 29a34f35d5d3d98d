/**
 * Tokens on the wire: every route × method × {no, wrong, expired, revoked, wrong-scope, doubled, in the query}, what ends
 * with a token that is revoked, and that many callers never get each other's rights or answers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { Agent, type IncomingMessage, request as httpRequest } from "node:http"
import type { Principal, Scope } from "../../src/domain/Principal.ts"
import { type Token, tokenText } from "../../src/domain/Token.ts"
import { makeTokens, type TokenStore } from "../../src/mcp/Auth.ts"
import type { GateOptions } from "../../src/mcp/Gate.ts"
import { hashOf, makeTokenIndex, type TokenIndex } from "../../src/program/TokenIndex.ts"
import { callMessage, openGate, startHttp, toolsOf } from "./harness.ts"

/** A stored token by its number. */
const textOf = (n: number) => tokenText(String(n).padStart(10, "0"), "s".repeat(43))
const rowOf = (n: number, over: Partial<Token> = {}): Token => ({
  id: String(n).padStart(10, "0"),
  hash: hashOf(textOf(n)),
  name: `client-${n}`,
  scopes: ["admin"],
  domains: null,
  created: 1,
  expires: null,
  revokedAt: null,
  lastUsed: null,
  ...over
})

const gateWith = (index: TokenIndex): GateOptions => ({
  ...openGate,
  open: "closed",
  tokens: makeTokens({ token: null, file: null, fileOptional: true, stored: index.lookup }) as TokenStore,
  // Every question is an hour after the one before: how many wrong ones there may be is Throttle.test.ts's.
  now: ((at) => () => (at += 3_600_000))(0)
})

interface Asked {
  readonly port: number
  readonly path?: string
  readonly method?: string
  readonly body?: unknown
  readonly authorization?: ReadonlyArray<string>
  readonly agent?: Agent
}

interface Got {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  readonly text: string
}

/** One request; `authorization` may come twice. Fails when the answer is cut. */
const ask = ({ agent, authorization = [], body, method = "POST", path = "/mcp", port }: Asked): Promise<Got> => {
  const { promise, reject, resolve } = Promise.withResolvers<Got>()
  const request = httpRequest({
    port,
    host: "127.0.0.1",
    path,
    method,
    ...(agent === undefined ? {} : { agent }),
    headers: [
      ["host", "localhost"],
      ["content-type", "application/json"],
      ["accept", "application/json, text/event-stream"],
      ...authorization.map((token) => ["authorization", `Bearer ${token}`])
    ].flat()
  }, (response) => {
    let text = ""
    response.setEncoding("utf8")
    response.on("data", (chunk: string) => (text += chunk))
    response.once("error", reject)
    response.once("close", () =>
      response.complete
        ? resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        : reject(new Error(`cut after ${text.length} characters`)))
  })
  request.once("error", reject)
  request.end(body === undefined ? "" : JSON.stringify(body))
  return promise
}

const promise = <A>(make: () => Promise<A>) => Effect.promise(make)
const read = callMessage("haproxy_list_domains", {})
const echo = toolsOf((name, args, caller) =>
  Effect.succeed({ summary: `${name} ${String(args["domain"])} ${caller.principal.name}` })
)

describe("every route and method", () => {
  it.live("refuses every token that is not good, alike, and lets a good one in", () =>
    Effect.gen(function*() {
      const rights = (scopes: ReadonlyArray<Scope>, over: Partial<Token> = {}) => ({ scopes, ...over })
      const index = makeTokenIndex([
        rowOf(1),
        rowOf(2, { expires: Date.now() - 1 }),
        rowOf(3, { revokedAt: Date.now() }),
        rowOf(4, rights([])),
        rowOf(5, rights(["admin"], { domains: ["a.example"] }))
      ])
      const { logs, port } = yield* startHttp(echo, { gate: gateWith(index) })
      const wrongSecret = tokenText(rowOf(1).id, "x".repeat(43))
      const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, number, string?]> = [
        ["no token", [], 401],
        ["a wrong token", ["wrong"], 401],
        ["a wrong secret", [wrongSecret], 401],
        ["an unknown id", [textOf(99)], 401],
        ["an expired token", [textOf(2)], 401],
        ["a revoked token", [textOf(3)], 401],
        ["two tokens", [textOf(1), textOf(1)], 400],
        ["a good and a wrong one", [textOf(1), "wrong"], 400],
        ["a token in the query", [], 401, `?token=${textOf(1)}&access_token=${textOf(1)}&authorization=${textOf(1)}`]
      ]
      const bodies = new Map<number, Set<string>>()
      for (
        const path of ["/mcp", "/mcp/", "/metrics", "/", "/sse", "/admin/new_token", "/call/haproxy_reload", "/status"]
      ) {
        for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"]) {
          yield* promise(() =>
            Promise.all(cases.map(async ([what, authorization, status, query = ""]) => {
              const got = await ask({ port, path: path + query, method, authorization })
              assert.strictEqual(got.status, status, `${method} ${path}: ${what}`)
              const seen = bodies.get(status) ?? new Set()
              bodies.set(status, seen.add(got.text))
            }))
          )
        }
      }
      // Which of the reasons it is, the log says; the caller is told nothing.
      for (const seen of bodies.values()) assert.strictEqual(seen.size, 1)
      const reasons = new Set(logs.filter(({ msg }) => msg === "request refused").map(({ reason }) => reason))
      for (const reason of ["no_token", "wrong_token", "expired_token", "revoked_token", "duplicate_header"]) {
        assert.isTrue(reasons.has(reason), reason)
      }
      assert.notInclude(JSON.stringify(logs), "s".repeat(43))

      const good = yield* promise(() => ask({ port, body: read, authorization: [textOf(1)] }))
      assert.include(good.text, "client-1")
      // A token without the right to read, and one of few domains, see none of the numbers of all.
      for (const [n, metrics] of [[1, 200], [4, 403], [5, 403]] as const) {
        const got = yield* promise(() => ask({ port, path: "/metrics", method: "GET", authorization: [textOf(n)] }))
        assert.strictEqual(got.status, metrics)
      }
    }).pipe(Effect.scoped), 60_000)
})

describe("a token that ends", () => {
  it.live("is refused on a kept connection from then on", () =>
    Effect.gen(function*() {
      const index = makeTokenIndex([rowOf(1), rowOf(2)])
      const { port } = yield* startHttp(echo, { gate: gateWith(index) })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
      const call = (n: number) => promise(() => ask({ port, agent, body: read, authorization: [textOf(n)] }))
      assert.strictEqual((yield* call(1)).status, 200)
      index.revoke(rowOf(1).id, Date.now())
      assert.strictEqual((yield* call(1)).status, 401)
      assert.strictEqual((yield* call(2)).status, 200)
    }).pipe(Effect.scoped))

  for (
    const [what, name, progressToken] of [
      ["a stream", "haproxy_wait_drain", "p"],
      ["a call that is answered as one document", "haproxy_list_servers", undefined]
    ] as const
  ) {
    for (const way of ["revoked", "expires"] as const) {
      it.live(`ends ${what} that it began, within a second, when it ${way}`, () =>
        Effect.gen(function*() {
          const index = makeTokenIndex([rowOf(1, way === "expires" ? { expires: Date.now() + 1_500 } : {}), rowOf(2)])
          const began = yield* Deferred.make<Principal>()
          const interrupted = yield* Deferred.make<number>()
          const tools = toolsOf((_name, _args, caller) =>
            Deferred.succeed(began, caller.principal).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(interrupted, Date.now()))
            )
          )
          const { port } = yield* startHttp(tools, { gate: gateWith(index) })
          const message = callMessage(name, { domain: "a.example" })
          const body = {
            ...message,
            params: { ...message.params, ...(progressToken === undefined ? {} : { _meta: { progressToken } }) }
          }
          const ended = ask({ port, body, authorization: [textOf(1)] }).then(({ status }) => status, () => "cut")
          assert.strictEqual((yield* Deferred.await(began)).id, rowOf(1).id)
          let from = rowOf(1).created
          if (way === "revoked") index.revoke(rowOf(1).id, from = Date.now())
          else from = index.get(rowOf(1).id)!.expires!
          assert.strictEqual(yield* promise(() => ended), name === "haproxy_wait_drain" ? "cut" : 401)
          assert.isBelow((yield* Deferred.await(interrupted)) - from, 1_000)
        }).pipe(Effect.scoped), 30_000)
    }
  }
})

describe("200 callers at once", () => {
  it.live("get their own rights and their own answers", () =>
    Effect.gen(function*() {
      const rows = Array.from({ length: 200 }, (_, n) => rowOf(n, { scopes: n % 2 === 0 ? ["read"] : ["config"] }))
      const index = makeTokenIndex(rows)
      const tools = toolsOf((_name, args, caller) =>
        Effect.as(Effect.yieldNow, {
          summary: `${
            String(args["domain"])
          } ${caller.principal.name} ${caller.principal.scopes.join()} ${caller.actor.who}`
        })
      )
      const { port } = yield* startHttp(tools, { gate: gateWith(index) })
      const agent = new Agent({ keepAlive: true, maxSockets: 200 })
      yield* Effect.addFinalizer(() => Effect.sync(() => agent.destroy()))
      const crossed = yield* promise(() =>
        Promise.all(rows.map(async ({ id, name, scopes }, n) => {
          let wrong = 0
          for (let round = 0; round < 5; round++) {
            const domain = `m-${n}-${round}.example`
            const body = callMessage("haproxy_list_servers", { domain }, `${n}-${round}`)
            const { text } = await ask({ port, agent, body, authorization: [textOf(n)] })
            const answer = JSON.parse(text) as { id: string; result: { structuredContent: { summary: string } } }
            const expected = `${domain} ${name} ${scopes.join()} ${name}/${id}`
            if (answer.id !== `${n}-${round}` || answer.result.structuredContent.summary !== expected) wrong++
          }
          return wrong
        }))
      )
      assert.deepStrictEqual(crossed, rows.map(() => 0))
    }).pipe(Effect.scoped), 60_000)
})

describe("the index", () => {
  it("takes the same steps whether id or secret are wrong, and knows only the form", () => {
    const { lookup } = makeTokenIndex([rowOf(1)])
    assert.isNull(lookup.find("wrong"))
    assert.isNull(lookup.find(`${textOf(1)}x`))
    assert.strictEqual(lookup.find(textOf(2)), "unknown")
    assert.strictEqual(lookup.find(tokenText(rowOf(1).id, "x".repeat(43))), "unknown")
    const grant = lookup.find(textOf(1))
    assert(grant !== null && typeof grant === "object")
    assert.deepInclude(grant.principal, { id: rowOf(1).id, name: "client-1" })
  })

  it("still means authentication when its last token is gone", () => {
    const index = makeTokenIndex([])
    assert.isFalse(index.lookup.any())
    index.add(rowOf(1))
    index.revoke(rowOf(1).id, Date.now())
    assert.isTrue(index.lookup.any())
    // One in the setting too is the database's to end.
    const tokens = makeTokens({ token: null, file: null, fileOptional: true, stored: index.lookup }) as TokenStore
    assert.strictEqual(tokens.find(textOf(1)), "revoked")
  })

  it("notes use to the hour, once", () => {
    const index = makeTokenIndex([rowOf(1)])
    index.lookup.find(textOf(1))
    const at = index.get(rowOf(1).id)!.lastUsed!
    assert.strictEqual(at % 3_600_000, 0)
    assert.isAtMost(Date.now() - at, 3_600_000)
    index.used.clear()
    index.lookup.find(textOf(1))
    assert.isAtMost(index.used.size, 1)
  })
})
