/** A connection to something that is not, or no longer, a well-behaved HAProxy: it ends, and no answer crosses. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { createServer, type Socket } from "node:net"
import type { Transport } from "../../src/haproxy/Connection.ts"
import * as Maps from "../../src/haproxy/MapCommands.ts"
import type { RuntimeApi, RuntimeOptions } from "../../src/haproxy/RuntimeApi.ts"
import { accepted, isDown, isUp, linkState, until, withApi } from "./contract/Harness.ts"

const info = "Name: HAProxy\nVersion: 3.4.7-1\nPid: 42\nStart_time_sec: 1795222271\nStopping: 0\n\n"
const help = "The following commands are valid at this level:\n"
  + ["show map", "add map", "prepare map", "commit map", "set server", "show servers state"]
    .map((name) => `  ${name} : text\n`).join("") +
  "\n"

/** What a rogue does with a line; the opening and the probe are answered well unless it says otherwise. */
type Rogue = (line: string, socket: Socket, connection: number) => string | null

const rogue = (
  answer: Rogue
): Effect.Effect<{ readonly transport: Transport; readonly seen: Array<string> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ transport: Transport; seen: Array<string>; close: () => void }>((resume) => {
      const sockets = new Set<Socket>()
      const seen: Array<string> = []
      let connections = 0
      const server = createServer((socket) => {
        const connection = ++connections
        sockets.add(socket)
        socket.on("error", () => {})
        let rest = ""
        socket.on("data", (chunk) => {
          rest += chunk.toString("latin1")
          for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
            const line = rest.slice(0, end)
            rest = rest.slice(end + 1)
            seen.push(line)
            const text = answer(line, socket, connection)
            if (text !== null) socket.write(text)
          }
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        assert(address !== null && typeof address === "object")
        resume(Effect.succeed({
          transport: { host: "127.0.0.1", port: address.port },
          seen,
          close: () => {
            for (const socket of sockets) socket.destroy()
            server.close()
          }
        }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const well: Rogue = (line) => {
  switch (line) {
    case "prompt i":
      return "\n"
    case "show version":
      return "3.4.7-1\n\n"
    case "show info":
      return info
    case "help":
      return help
    case "show cli level":
      return "admin\n\n"
    default:
      return "\n"
  }
}

const upTo = (
  answer: Rogue,
  body: (api: RuntimeApi["Service"], seen: Array<string>) => Effect.Effect<void, unknown>,
  options?: Partial<RuntimeOptions>
) =>
  Effect.scoped(Effect.gen(function*() {
    const server = yield* rogue(answer)
    yield* withApi(server.transport, (api) => body(api, server.seen), { heartbeat: 60_000, ...options })
  }))

const add = Maps.add("/m", "a.test", "pool_1")
const get = Maps.get("/m", "a.test")

describe("a rogue", () => {
  it.live("that answers too much loses the link, not the truth", () =>
    upTo(
      (line, socket, connection) =>
        connection === 1 && line.startsWith("add map") ? "\n\n" : well(line, socket, connection),
      (api) =>
        Effect.gen(function*() {
          const both = yield* Effect.result(api.exchange([add, get]))
          // The second empty line is no answer of `get`, which says something always.
          const state = yield* linkState(
            api,
            (state): state is typeof state => isDown(state) || (isUp(state) && state.connection > 1)
          )
          assert(state !== null)
          assert(both._tag === "Failure" || both.success[1]._tag === "Failure")
        })
    ))

  it.live("that speaks unasked loses the link", () =>
    upTo(
      (line, socket, connection) => {
        if (line.startsWith("add map")) setTimeout(() => socket.write("news\n\n"), 10)
        return well(line, socket, connection)
      },
      (api) =>
        Effect.gen(function*() {
          // Whether the news come with the answer or after it, the next exchange runs on another connection.
          yield* Effect.result(api.exchange([add]))
          yield* linkState(
            api,
            (state): state is Extract<typeof state, { _tag: "Up" }> => isUp(state) && state.connection === 2
          )
        })
    ))

  it.live("that answers half ends the exchange by its stall time, as sent", () =>
    upTo(
      (line, socket, connection) => line.startsWith("get map") ? "type=str, ca" : well(line, socket, connection),
      (api) =>
        Effect.gen(function*() {
          const lost = yield* Effect.flip(api.exchange([add, get]))
          assert.isTrue(lost.sent)
          assert.match(lost.reason, /nothing for 100 ms/)
        }),
      { stall: 100 }
    ))

  it.live("that drips bytes is cut off by the exchange's own timeout", () =>
    upTo(
      (line, socket, connection) => {
        if (!line.startsWith("get map")) return well(line, socket, connection)
        const timer = setInterval(() => socket.destroyed ? clearInterval(timer) : socket.write("x"), 10)
        socket.once("close", () => clearInterval(timer))
        return null
      },
      (api) =>
        Effect.gen(function*() {
          const queued = yield* Effect.forkChild(Effect.flip(Effect.andThen(Effect.yieldNow, api.exchange([add]))))
          const lost = yield* Effect.flip(api.exchange([get], { timeout: 150 }))
          assert.deepInclude(lost, { sent: true, reason: "no complete answer within 150 ms" })
          // What waited behind it never left.
          assert.isFalse((yield* Fiber.join(queued)).sent)
        }),
      { stall: 100 }
    ))

  it.live("that never answers does not hold up the start, and is tried on", () =>
    Effect.gen(function*() {
      let answers = false
      const began = performance.now()
      yield* upTo((...words) => answers ? well(...words) : null, (api) =>
        Effect.gen(function*() {
          assert.isBelow(performance.now() - began, 1_500)
          assert.deepInclude(yield* api.link, { _tag: "Down", reason: "connecting" })
          assert.deepInclude(yield* Effect.flip(api.exchange([get])), { sent: false })
          answers = true
          yield* linkState(api, isUp)
        }), { firstWait: 10 })
    }))

  it.live("that never answers, or is no HAProxy, leaves the link down with the reason", () =>
    Effect.gen(function*() {
      const reasonOf = (answer: Rogue) =>
        Effect.gen(function*() {
          let reason = ""
          yield* upTo(answer, (api) =>
            Effect.gen(function*() {
              const link = yield* api.link
              assert(isDown(link))
              reason = link.reason
              assert.strictEqual((yield* Effect.flip(api.exchange([get]))).reason, reason)
              assert.isFalse((yield* Effect.flip(api.exchange([get]))).sent)
            }), { connectTimeout: 100 })
          return reason
        })
      assert.match(yield* reasonOf(() => null), /did not answer within 100 ms/)
      assert.match(yield* reasonOf(() => "HTTP/1.1 400 Bad Request\r\n\r\n"), /does not answer like a HAProxy/)
      assert.match(
        yield* reasonOf((line, ...rest) =>
          line === "help" ? help.replace("set server", "get server") : well(line, ...rest)
        ),
        /lacks set server: it needs `level admin`/
      )
      assert.match(
        yield* reasonOf((line, ...rest) => line === "show cli level" ? "operator\n\n" : well(line, ...rest)),
        /has level operator: it needs `level admin`/
      )
      assert.match(
        yield* reasonOf((line, ...rest) =>
          line === "show info" ? info.replace("Stopping: 0", "Stopping: 1") : well(line, ...rest)
        ),
        /is stopping/
      )
      assert.match(
        yield* reasonOf((line, socket, connection) => {
          if (line === "show info") socket.destroy()
          return well(line, socket, connection)
        }),
        /closed the connection/
      )
    }))

  it.live("that turns into another worker, or a stopping one, is left", () =>
    Effect.gen(function*() {
      for (
        const change of [["Pid: 42", "Pid: 43"], ["1795222271", "1795222272"], ["Stopping: 0", "Stopping: 1"]] as const
      ) {
        let asked = 0
        yield* upTo(
          (line, socket, connection) =>
            line === "show info" && connection === 1 && ++asked > 3
              ? info.replace(change[0], change[1])
              : well(line, socket, connection),
          (api) =>
            Effect.asVoid(linkState(api, (state): state is Extract<typeof state, { _tag: "Up" }> =>
              isUp(state) && state.connection === 2)),
          { heartbeat: 10 }
        )
      }
    }))

  it.live("that hangs on a heartbeat loses the link", () =>
    upTo(
      (line, socket, connection) => {
        if (connection === 1 && line === "show info" && socket.bytesRead > 60) return null
        return well(line, socket, connection)
      },
      (api) =>
        Effect.asVoid(
          linkState(
            api,
            (state): state is Extract<typeof state, { _tag: "Up" }> => isUp(state) && state.connection === 2
          )
        ),
      { heartbeat: 10, heartbeatTimeout: 50 }
    ))

  it.live("gets no further command of an exchange whose caller went away", () => {
    // Holds its answers back until the caller has gone.
    const held: Array<() => void> = []
    let released = false
    return upTo(
      (line, socket, connection) => {
        if (!line.startsWith("add map") || released) return well(line, socket, connection)
        held.push(() => void socket.write("\n"))
        return null
      },
      (api, seen) =>
        Effect.gen(function*() {
          const long = "x".repeat(1_000)
          const fiber = yield* Effect.forkChild(
            api.exchange(Array.from({ length: 2_000 }, () => Maps.add("/m", long, "v")))
          )
          yield* until("the first commands", Effect.sync(() => held.length > 0))
          yield* Fiber.interrupt(fiber)
          released = true
          // In two pieces, so that there is room in the window while some answers are still to come.
          held.splice(0, 200).forEach((answer) => answer())
          yield* Effect.sleep(20)
          held.forEach((answer) => answer())
          // Its answers are read away, then the next exchange has its turn on the same connection.
          yield* api.exchange([add])
          assert.strictEqual(((yield* api.link) as { connection?: number }).connection, 1)
          // The window, not the whole exchange.
          assert.isBelow(seen.filter((line) => line.startsWith("add map")).length, 400)
        })
    )
  })
})

describe("a good server", () => {
  it.live("is asked within a window, and every answer finds its command", () =>
    upTo(
      (line, socket, connection) =>
        line.startsWith("get map")
          ? `type=str, case=sensitive, found=yes, idx=tree, key="${line.split(" ")[3]}", value="v-${
            line.split(" ")[3]
          }", type="str"\n\n`
          : well(line, socket, connection),
      (api) =>
        Effect.gen(function*() {
          const keys = Array.from({ length: 20_000 }, (_, i) => `k${i}.${"x".repeat(i % 40)}.test`)
          const verdicts = yield* api.exchange(keys.map((key) => Maps.get("/m", key)))
          verdicts.forEach((verdict, i) => assert.strictEqual(accepted(verdict), `v-${keys[i]}`))
        })
    ))
})
