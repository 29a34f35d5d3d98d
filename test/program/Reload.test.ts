/** A requested reload on real HAProxy: traffic goes on, a broken configuration never reaches it, and what fails says so. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { HostControl } from "../../src/haproxy/HostControl.ts"
import { addDomain } from "../../src/program/Domains.ts"
import { LongestCall } from "../../src/program/Operations.ts"
import { reload } from "../../src/program/Reload.ts"
import { startOrigin } from "../support/Origin.ts"
import { becomes } from "../support/Poll.ts"
import { newestLine, realLines, startHaproxy } from "../support/RealHaproxy.ts"
import { openWebSocket, startVisitors } from "../support/Visitors.ts"
import { makeWorld, type World } from "../support/World.ts"

const worker = (world: World) => world.haproxy.workerPid

const reloads = Effect.map(Metric.snapshot, (all) => {
  const found = all.find(({ id }) => id === "haproxy_mcp_reloads_total")
  return found?.type === "Counter" ? Number(found.state.count) : 0
})

/** It fails with this code, and the same worker goes on with the same configuration. */
const fails = Effect.fnUntraced(function*(world: World, code: string) {
  const before = yield* worker(world)
  const error = yield* Effect.flip(world.run(reload))
  assert.strictEqual(error.code, code, error.message)
  assert.isNotEmpty(error.hint)
  assert.strictEqual(yield* worker(world), before, "the old worker goes on")
  yield* world.consistent()
  return error
})

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("traffic goes on, writes are kept, and the new worker runs the desired state", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, poolsFile: true, frontend: ["option idle-close-on-response"] })
      const origin = yield* startOrigin("one")
      yield* world.run(addDomain({ domain: "one.com", ip: "127.0.0.1", http_port: origin.port }))
      const counted = yield* reloads
      const visiting = [true, false].map((keepAlive) =>
        startVisitors({ port: world.site.httpPort, host: "one.com", bodies: ["one"], visitors: 3, keepAlive })
      )
      const webSocket = yield* Effect.acquireRelease(
        Effect.promise(() => openWebSocket(world.site.httpPort, "one.com")),
        ({ close }) => Effect.sync(close)
      )
      const busy = () => visiting.every((one) => one.tally().requests > 30)
      yield* Effect.promise(() => becomes("they visit", busy))
      const before = yield* worker(world)
      const writing = Effect.forEach(
        Array.from({ length: 20 }, (_, n) => n),
        (n) =>
          world.run(
            addDomain({ domain: `w${n}.example`, ...(n < 3 ? { ip: "10.0.0.1" } : { share_with: "one.com" }) })
          ),
        { concurrency: 4 }
      )
      const [answer] = yield* Effect.all([world.run(reload), writing], { concurrency: 2 })
      const after = yield* worker(world)
      assert.notStrictEqual(after, before)
      assert.deepInclude(answer, { way: "master_socket", warnings: answer.warnings })
      assert.strictEqual(answer.old_worker?.pid, before)
      assert.strictEqual(answer.new_worker.pid, after)
      assert.include(answer.summary, String(after))
      assert.strictEqual(yield* reloads, counted + 1)
      for (const one of visiting) {
        const soFar = one.tally().requests
        yield* Effect.promise(() => becomes("they go on", () => one.tally().requests > soFar + 30))
        const { failures } = yield* Effect.promise(() => one.stop())
        assert.deepStrictEqual(failures, [])
      }
      const echoed = webSocket.echoed()
      yield* Effect.promise(() => becomes("the WebSocket goes on", () => webSocket.echoed() > echoed + 3))
      assert.isNull(webSocket.trouble())
      yield* world.consistent()
    }), 30_000)

  it.live(
    "a broken configuration never reaches HAProxy, and one that cannot start is given up",
    () =>
      Effect.gen(function*() {
        const world = yield* makeWorld({ binary, poolsFile: true })
        const good = readFileSync(world.site.configFile, "utf8")
        const counted = yield* reloads
        appendFileSync(world.site.configFile, "\nfrontend broken\n  bogus keyword\n")
        const line = good.split("\n").length + 2
        const broken = yield* fails(world, "CONFIG_INVALID")
        assert.include(broken.message, `haproxy.cfg:${line}] : unknown keyword 'bogus'`)
        assert.notInclude(yield* world.haproxy.stderr, "bogus", "the master has not seen it")

        // TEST-NET-1: a check does not bind.
        writeFileSync(world.site.configFile, `${good}\nfrontend elsewhere from base\n  bind 192.0.2.77:1\n`)
        const refused = yield* fails(world, "HAPROXY_REFUSED")
        assert.match(refused.message, /192\.0\.2\.77:1/)

        writeFileSync(world.site.configFile, good)
        const answer = yield* world.run(reload)
        assert.strictEqual(answer.new_worker.pid, yield* worker(world))
        assert.strictEqual(yield* reloads, counted + 1)
        yield* world.consistent()
      }),
    30_000
  )
})

describe("ways to reload", () => {
  it.live("two at once: one after the other, and the last worker runs the desired state", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: true })
      const [one, two] = yield* Effect.all([world.run(reload), world.run(reload)], { concurrency: 2 })
      assert.notStrictEqual(one.new_worker.pid, two.new_worker.pid)
      const last = yield* worker(world)
      assert.include([one.new_worker.pid, two.new_worker.pid], last)
      yield* world.consistent()
    }))

  it.live("with none the error names the settings", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ host: { masterSocket: null } })
      const error = yield* fails(world, "CONFIG_INVALID")
      assert.match(error.hint, /HAPROXY_MASTER_SOCKET.*HAPROXY_CONTAINER.*HAPROXY_SYSTEMD_UNIT.*HAPROXY_RELOAD_COMMAND/)
    }))

  it.live("another HAProxy's master is never told", () =>
    Effect.gen(function*() {
      const other = yield* startHaproxy({ binary: newestLine })
      const world = yield* makeWorld({ host: { masterSocket: other.site.masterSocket } })
      const before = yield* other.workerPid
      const error = yield* fails(world, "CONFIG_INVALID")
      assert.include(error.message, "another HAProxy's")
      assert.strictEqual(yield* other.workerPid, before)
    }))

  it.live("a socket where nobody listens is unreachable, and nothing is told", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ host: { masterSocket: "/nowhere/master.sock" } })
      const error = yield* fails(world, "HAPROXY_UNREACHABLE")
      assert.include(error.hint, "-S")
    }))

  it.live("what HAProxy was started with may not be known: then a setting is asked for", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ host: { isHere: false } })
      const error = yield* fails(world, "CONFIG_INVALID")
      assert.include(error.hint, "HAPROXY_CONFIG_FILES")
    }))

  it.live("files and program that are set are checked in their place", () =>
    Effect.gen(function*() {
      const host = { isHere: false, binary: [newestLine.path] }
      const world = yield* makeWorld({ host })
      const check = (files: ReadonlyArray<string>) =>
        Effect.gen(function*() {
          // The site is known only now.
          yield* world.control({ ...host, configFiles: files })
          return yield* world.run(Effect.flatMap(HostControl, (host) => host.check(10_000)))
        })
      assert.isTrue((yield* check([world.site.configFile])).valid)
      const broken = join(world.site.dir, "broken.cfg")
      writeFileSync(broken, "global\n  nonsense\n")
      const { messages, valid } = yield* check([world.site.configFile, broken])
      assert.isFalse(valid)
      assert.deepInclude(messages.find(({ level }) => level === "alert"), { level: "alert", file: broken, line: 2 })
    }))

  it.live("a command ends with 0 and a new worker comes, or it says why not", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: true, host: { masterSocket: null } })
      const command = (...reloadCommand: ReadonlyArray<string>) => world.control({ masterSocket: null, reloadCommand })
      const before = yield* worker(world)
      yield* command("kill", "-USR2", String(yield* world.haproxy.pid))
      const answer = yield* world.run(reload)
      assert.strictEqual(answer.way, "command")
      assert.strictEqual(answer.old_worker?.pid, before)
      assert.strictEqual(answer.new_worker.pid, yield* worker(world))
      yield* world.consistent()

      yield* command("sh", "-c", "printf 'no\\007way' >&2; exit 5")
      const refused = yield* fails(world, "HAPROXY_REFUSED")
      assert.match(refused.message, /ended with 5: no way$/)

      yield* command("no-such-program-here")
      assert.include((yield* fails(world, "CONFIG_INVALID")).message, "no program no-such-program-here")

      const short = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideService(effect, LongestCall, 2_000)
      yield* command("sleep", "600")
      const hung = yield* short(fails(world, "OUTCOME_UNKNOWN"))
      assert.include(hung.message, "did not end")
      yield* command("true")
      const nothing = yield* short(fails(world, "OUTCOME_UNKNOWN"))
      assert.match(nothing.message, /no other worker than \d+ answers/)
    }), 30_000)
})
