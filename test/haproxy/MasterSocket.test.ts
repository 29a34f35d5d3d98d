/** The master's socket: real masters in test/program/Reload.test.ts, and here those that answer badly. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { thisHost } from "../../src/haproxy/host/HaproxyHost.ts"
import { processes, reload } from "../../src/haproxy/host/MasterSocket.ts"
import { realLines, startHaproxy } from "../support/RealHaproxy.ts"

/** A socket that does this with a line. */
const speaking = (answer: (line: string, socket: Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly close: () => void; readonly path: string }>((resume) => {
        const folder = mkdtempSync(join(tmpdir(), "master-"))
        const path = join(folder, "m.sock")
        const open = new Set<Socket>()
        const server = createServer((socket) => {
          open.add(socket)
          socket.setEncoding("utf8")
          socket.on("data", (line: string) => answer(line, socket))
          socket.on("error", () => socket.destroy())
        })
        const close = () => {
          for (const socket of open) socket.destroy()
          server.close()
          rmSync(folder, { recursive: true, force: true })
        }
        server.listen(path, () => resume(Effect.succeed({ path, close })))
      }),
      ({ close }) => Effect.sync(close)
    ),
    ({ path }) => path
  )

describe.each(realLines)("of HAProxy $line", (binary) => {
  it.live("names its processes, and a worker's own socket is no master's", () =>
    Effect.gen(function*() {
      const { pid, site, workerPid } = yield* startHaproxy({ binary })
      const found = yield* processes(thisHost, site.masterSocket, 5_000)
      assert.deepStrictEqual(found, { master: yield* pid, workers: [yield* workerPid] })
      const wrong = yield* Effect.flip(processes(thisHost, site.runtimeSocket, 5_000))
      assert.include(wrong.message, "no master of HAProxy answers")
    }))
})

describe("an answer to reload", () => {
  const cases: ReadonlyArray<readonly [what: string, answer: (line: string, socket: Socket) => void, message: RegExp]> =
    [
      ["that never comes", () => {}, /gave no answer within 300 ms/],
      ["that is cut", (_, socket) => socket.destroy(), /closed without an answer|was lost/],
      ["that is half a word", (_, socket) => socket.end("Succ"), /not understood/],
      ["of a program that is no master", (_, socket) => socket.end("Unknown command\n\n"), /not understood/],
      ["without an end", (_, socket) => void socket.write("x".repeat(300_000)), /answered too much/]
    ]
  it.live.each(cases)("%s is unknown: it may have been taken", ([, answer, message]) =>
    Effect.gen(function*() {
      const path = yield* speaking(answer)
      const lost = yield* Effect.flip(reload(thisHost, path, 300))
      assert.isTrue(lost.sent)
      assert.match(lost.message, message)
    }))

  it.live("cannot come where nobody listens: nothing was told", () =>
    Effect.gen(function*() {
      const lost = yield* Effect.flip(reload(thisHost, "/nowhere/m.sock", 300))
      assert.isFalse(lost.sent)
      assert.match(lost.message, /cannot be reached \(ENOENT\)/)
    }))

  it.live("may come in pieces", () =>
    Effect.gen(function*() {
      const path = yield* speaking((_, socket) => {
        socket.write("Success=0\n")
        setImmediate(() => socket.end("--\n[ALERT]    (1) : config : no\n\n"))
      })
      assert.deepStrictEqual(yield* reload(thisHost, path, 5_000), {
        loaded: false,
        log: "[ALERT]    (1) : config : no\n\n"
      })
    }))
})
