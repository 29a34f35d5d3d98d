/**
 * The whole program beside a database whose durable home is another host: real sshd, real HAProxy, real processes. What
 * a loss of the local disk, a second control plane and a remote host that goes away mean for those who call it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { adminCall } from "../support/AdminCall.ts"
import { becomes } from "../support/Poll.ts"
import { runNode } from "../support/Process.ts"
import { program } from "../support/Program.ts"
import { type RealHaproxy, startHaproxy } from "../support/RealHaproxy.ts"
import { type Env, type ServerProcess, settingsOf, startServer } from "../support/ServerProcess.ts"
import { type Sshd, sshdReason, startSshd } from "../support/Sshd.ts"

/** HAProxy and its sshd, and places for control planes. */
interface Edge {
  readonly haproxy: RealHaproxy
  readonly sshd: Sshd
  /** Settings of a control plane with a local disk of this name. */
  readonly env: (disk: string, more?: Env) => Env
  readonly disk: (name: string) => string
}

const makeEdge: Effect.Effect<Edge, never, Scope.Scope> = Effect.gen(function*() {
  const haproxy = yield* startHaproxy({ pools: 5, slots: 2 })
  const sshd = yield* startSshd()
  const { site } = haproxy
  const disk = (name: string) => {
    const folder = join(site.dir, name)
    mkdirSync(folder, { recursive: true })
    return folder
  }
  const env = (name: string, more: Env = {}): Env =>
    settingsOf(site, {
      pools: 5,
      slots: 2,
      env: {
        HAPROXY_RUNTIME_MODE: "ssh",
        HAPROXY_DB_FILE: join(disk(name), "local.db"),
        HAPROXY_REMOTE_DB_FILE: join(site.dir, "remote", "desired.db"),
        HAPROXY_SSH_HOST: "127.0.0.1",
        HAPROXY_SSH_PORT: String(sshd.port),
        HAPROXY_SSH_USER: sshd.user,
        HAPROXY_SSH_KEY_FILE: sshd.keyFile,
        HAPROXY_SSH_KNOWN_HOSTS: sshd.knownHosts,
        MCP_AUTH: "off",
        MCP_HOST: "127.0.0.1",
        MCP_CALL_TIMEOUT: "4s",
        ...more
      }
    })
  mkdirSync(join(site.dir, "remote"))
  return { haproxy, sshd, env, disk }
})

const add = (server: ServerProcess, domain: string) =>
  Effect.promise(() => server.client().call("haproxy_add_domain", { domain, ip: "127.0.0.1", http_port: 1 }))

const names = (server: ServerProcess) =>
  Effect.promise(async () => {
    const client = server.client()
    const found: Array<string> = []
    for (let cursor: Readonly<Record<string, unknown>> = {};;) {
      const { data } = await client.call("haproxy_list_domains", cursor)
      found.push(...(data["domains"] as ReadonlyArray<{ readonly domain: string }>).map(({ domain }) => domain))
      const next = data["next_cursor"]
      if (typeof next !== "string") return found
      cursor = { cursor: next }
    }
  })

const remoteOf = (server: ServerProcess) =>
  Effect.promise(async () => {
    const { data } = await server.client().call("haproxy_health", {})
    const components = data["components"] as { readonly remote: Readonly<Record<string, unknown>> }
    return components.remote
  })

/** Fifty writes a second by some clients, until one is refused as fenced. */
const writeAlways = (server: ServerProcess, prefix: string) => {
  const clients = 5
  const acknowledged: Array<string> = []
  const codes = new Set<string>()
  let fenced: () => void = () => {}
  const untilFenced = new Promise<void>((resolve) => fenced = resolve)
  const one = async (id: number) => {
    const client = server.client()
    for (let index = 0; !codes.has("FENCED"); index++) {
      const began = performance.now()
      const domain = `${prefix}-${id}-${index}.example.org`
      const { code } = await client.call("haproxy_add_domain", { domain, share_with: "shop.example.org" })
      codes.add(code)
      if (code === "OK") acknowledged.push(domain)
      await new Promise((resolve) =>
        setTimeout(resolve, Math.max(0, 1_000 * clients / 50 - (performance.now() - began)))
      )
    }
    fenced()
  }
  const all = Promise.all(Array.from({ length: clients }, (_, id) => one(id)))
  all.catch(() => fenced())
  return { acknowledged, codes, untilFenced, ended: () => all }
}

/** `haproxy-mcp remote …` beside a running control plane; its JSON. */
const remote = (env: Env, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const { code, stderr, stdout } = await runNode(program, ["remote", ...args, "--json"], { env, limit: 60_000 })
    return { code, stderr, answer: stdout === "" ? null : JSON.parse(stdout) as Readonly<Record<string, unknown>> }
  })

describe.runIf(sshdReason === null)("a database at home on another host", () => {
  it.live("survives its pod: killed, its disk gone, the next one has it all", () =>
    Effect.gen(function*() {
      const edge = yield* makeEdge
      const first = yield* startServer({ env: edge.env("one") })
      yield* Effect.promise(first.ready)
      const added = yield* add(first, "shop.example.org")
      assert.strictEqual(added.code, "OK", JSON.stringify(added.data))
      assert.isTrue(existsSync(join(edge.haproxy.site.dir, "remote", "desired.db")))
      yield* Effect.promise(first.kill)
      rmSync(edge.disk("one"), { recursive: true })

      const second = yield* startServer({ env: edge.env("two") })
      yield* Effect.promise(second.ready)
      assert.deepStrictEqual(yield* names(second), ["shop.example.org"])
      const remote = yield* remoteOf(second)
      assert.include(remote, { status: "ok", mode: "strict", role: "writer", lag: 0 })
      assert.strictEqual((yield* add(second, "blog.example.org")).code, "OK")
    }).pipe(Effect.scoped), 60_000)

  it.live(
    "has one writer: a second control plane fences the first, which reads on and leaves HAProxy alone",
    () =>
      Effect.gen(function*() {
        const edge = yield* makeEdge
        const first = yield* startServer({ env: edge.env("one") })
        yield* Effect.promise(first.ready)
        assert.strictEqual((yield* add(first, "shop.example.org")).code, "OK")
        // A command with the same settings elsewhere reads what is there, and takes nothing from anybody.
        const guest = yield* Effect.promise(() =>
          runNode(program, ["changes", "--json"], { env: edge.env("guest"), limit: 60_000 })
        )
        assert.include(guest.stdout, "shop.example.org", guest.stderr)
        assert.strictEqual((yield* add(first, "blog.example.org")).code, "OK")
        const second = yield* startServer({ env: edge.env("two") })
        yield* Effect.promise(second.ready)
        const refused = yield* add(first, "late.example.org")
        assert.strictEqual(refused.code, "FENCED", JSON.stringify(refused.data))
        yield* Effect.promise(() => becomes("not ready", async () => await first.probe("/readyz") === 503))
        assert.strictEqual(yield* Effect.promise(() => first.probe("/healthz")), 200)
        assert.deepStrictEqual(yield* names(first), ["blog.example.org", "shop.example.org"])
        assert.include(yield* remoteOf(first), { status: "error", role: "reader" })
        assert.strictEqual((yield* add(second, "next.example.org")).code, "OK")
        assert.deepStrictEqual(yield* names(second), ["blog.example.org", "next.example.org", "shop.example.org"])

        // Its disk holds what it committed and took back; nobody was told of that, and it never left.
        yield* Effect.promise(first.kill)
        const again = yield* startServer({ env: edge.env("one") })
        yield* Effect.promise(again.ready)
        assert.deepStrictEqual(yield* names(again), ["blog.example.org", "next.example.org", "shop.example.org"])
        const { answer: status } = yield* remote(edge.env("one"), "status")
        assert.match(String(status!["started_as"]), /never acknowledged, so they are put aside.*kept as/)
        assert.isTrue(readdirSync(edge.disk("one")).some((name) => name === "local.db.aside-1"))
        assert.strictEqual((yield* add(again, "more.example.org")).code, "OK")
        assert.strictEqual((yield* add(second, "never.example.org")).code, "FENCED")
      }).pipe(Effect.scoped),
    60_000
  )

  it.live(
    "forbids nothing to this machine while it cannot know yet whether there are tokens: it says what is missing",
    () =>
      Effect.gen(function*() {
        const edge = yield* makeEdge
        edge.sshd.pause()
        const env = edge.env("one", { MCP_AUTH: "on", MCP_CALL_TIMEOUT: "1s" })
        const server = yield* startServer({ env })
        const early = yield* add(server, "early.example.org")
        assert.strictEqual(early.code, "REMOTE_UNREACHABLE", JSON.stringify(early.data))
        edge.sshd.resume()
        yield* Effect.promise(server.ready)
        const late = yield* add(server, "late.example.org")
        assert.strictEqual(late.code, "OK", JSON.stringify(late.data))
      }).pipe(Effect.scoped),
    90_000
  )

  it.live("starts without its remote host, says why, and heals by itself", () =>
    Effect.gen(function*() {
      const edge = yield* makeEdge
      yield* Effect.promise(edge.sshd.kill)
      const server = yield* startServer({ env: edge.env("one") })
      assert.strictEqual(yield* Effect.promise(() => server.probe("/healthz")), 200)
      assert.strictEqual(yield* Effect.promise(() => server.probe("/readyz")), 503)
      const refused = yield* add(server, "shop.example.org")
      assert.strictEqual(refused.code, "REMOTE_UNREACHABLE", JSON.stringify(refused.data))
      assert.include(yield* remoteOf(server), { role: "reader" })
      yield* Effect.promise(edge.sshd.start)
      yield* Effect.promise(server.ready)
      assert.strictEqual((yield* add(server, "shop.example.org")).code, "OK")
      // Gone again under a running one: writes end by their deadline, reads go on.
      yield* Effect.promise(edge.sshd.kill)
      const lost = yield* add(server, "blog.example.org")
      assert.include(["REMOTE_UNREACHABLE", "HAPROXY_UNREACHABLE", "OUTCOME_UNKNOWN"], lost.code)
      assert.isBelow(lost.ms, 6_500)
      yield* Effect.promise(edge.sshd.start)
      yield* Effect.promise(server.ready)
      assert.strictEqual((yield* add(server, "blog.example.org")).code, "OK")
    }).pipe(Effect.scoped), 90_000)

  it.live("goes back to a generation, and gives the writing back to one that was fenced", () =>
    Effect.gen(function*() {
      const edge = yield* makeEdge
      const { site } = edge.haproxy
      const one = edge.env("one")
      const first = yield* startServer({ env: one })
      yield* Effect.promise(first.ready)
      assert.strictEqual((yield* add(first, "shop.example.org")).code, "OK")
      const { answer: then } = yield* remote(one, "status")
      assert.strictEqual((yield* add(first, "mistake.example.org")).code, "OK")
      const wrong = yield* remote(one, "restore", "9999")
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.stderr, "no generation 9999")
      const back = yield* remote(one, "restore", String(then!["generation"]))
      assert.strictEqual(back.code, 0, back.stderr)
      assert.isAbove(Number(back.answer!["generation"]), Number(then!["generation"]))
      yield* Effect.promise(first.ready)
      assert.deepStrictEqual(yield* names(first), ["shop.example.org"])
      const map = yield* edge.haproxy.command(`show map ${site.runtimeDomainsMap}`)
      assert.include(map, "shop.example.org")
      assert.notInclude(map, "mistake.example.org")

      const second = yield* startServer({ env: edge.env("two") })
      yield* Effect.promise(second.ready)
      assert.strictEqual((yield* add(second, "next.example.org")).code, "OK")
      assert.strictEqual((yield* add(first, "late.example.org")).code, "FENCED")
      assert.strictEqual((yield* remote(one, "status")).code, 3)
      const over = yield* remote(one, "take-over")
      assert.strictEqual(over.code, 0, over.stderr)
      yield* Effect.promise(first.ready)
      assert.deepStrictEqual(yield* names(first), ["next.example.org", "shop.example.org"])
      assert.strictEqual((yield* add(first, "late.example.org")).code, "OK")
      assert.strictEqual((yield* add(second, "never.example.org")).code, "FENCED")
      const { answer: list } = yield* remote(one, "list")
      const generations = list!["generations"] as ReadonlyArray<{ readonly generation: number; readonly state: string }>
      assert.isTrue(generations.every(({ state }) => state === "ok"))
      assert.deepStrictEqual(
        generations.map(({ generation }) => generation),
        generations.map(({ generation }) => generation).toSorted((a, b) => b - a)
      )
    }).pipe(Effect.scoped), 120_000)

  it.live(
    "gives the writing to a take-over and to a start while the one before writes fifty times a second",
    () =>
      Effect.gen(function*() {
        const edge = yield* makeEdge
        const second = yield* startServer({ env: edge.env("two") })
        yield* Effect.promise(second.ready)
        assert.strictEqual((yield* add(second, "shop.example.org")).code, "OK")
        const first = yield* startServer({ env: edge.env("one") })
        yield* Effect.promise(first.ready)
        assert.strictEqual((yield* add(second, "late.example.org")).code, "FENCED")

        /** Somebody takes over from one that writes all the time; answers how long that took, milliseconds. */
        const during = Effect.fnUntraced(
          function*(one: ServerProcess, prefix: string, takeOver: Effect.Effect<ServerProcess, never, Scope.Scope>) {
            const writing = writeAlways(one, prefix)
            yield* Effect.promise(() => becomes("it writes", () => writing.acknowledged.length > 20))
            const began = performance.now()
            const next = yield* takeOver
            const took = performance.now() - began
            yield* Effect.promise(async () => {
              await writing.untilFenced
              await writing.ended()
            })
            for (const code of writing.codes) assert.include(["OK", "FENCED", "OUTCOME_UNKNOWN"], code)
            const there = new Set(yield* names(next))
            assert.deepStrictEqual(writing.acknowledged.filter((name) => !there.has(name)), [], "acknowledged and lost")
            assert.strictEqual((yield* add(next, `${prefix}.example.com`)).code, "OK")
            assert.strictEqual((yield* add(one, `${prefix}-late.example.com`)).code, "FENCED")
            return took
          }
        )
        const taken = yield* during(
          first,
          "one",
          Effect.promise(async () => {
            const { code, text } = await adminCall(join(edge.disk("two"), "local.sock"), "remote_take_over", {})
            assert.strictEqual(code, "OK", text)
            // Told once, it stays so: never fenced by what the other one had on its way.
            await becomes("it is ready", async () => await second.probe("/readyz") === 200)
            return second
          })
        )
        assert.isBelow(taken, 5_000)
        // A start comes to its end, too; how long a process takes to start is not the question.
        yield* during(
          second,
          "two",
          Effect.gen(function*() {
            const third = yield* startServer({ env: edge.env("three") })
            yield* Effect.promise(third.ready)
            return third
          })
        )
      }).pipe(Effect.scoped),
    90_000
  )

  it.live("follows by itself in async mode, and every answer says so", () =>
    Effect.gen(function*() {
      const edge = yield* makeEdge
      const server = yield* startServer({ env: edge.env("one", { HAPROXY_REMOTE_SYNC: "async" }) })
      yield* Effect.promise(server.ready)
      const added = yield* add(server, "shop.example.org")
      assert.strictEqual(added.code, "OK")
      assert.match(String(added.data["warnings"]), /HAPROXY_REMOTE_SYNC=async/)
      yield* Effect.promise(() =>
        becomes("published", async () => {
          const { data } = await server.client().call("haproxy_health", {})
          return (data["components"] as { readonly remote: { readonly lag: number } }).remote.lag === 0
        })
      )
    }).pipe(Effect.scoped), 60_000)
})
