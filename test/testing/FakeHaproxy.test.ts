/** What a test can do to the fake, and what it then sees: faults, pauses, epochs, receipts. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { declarePools, FakeHaproxy, Fault, type Line, mapFilesOnDisk, parseBackends } from "../../src/testing.ts"
import { abandon, hear } from "./RawClient.ts"

const map = "/etc/haproxy/domains.map"
const lines: ReadonlyArray<Line> = ["3.0", "3.2", "3.4"]

const ask = (fake: FakeHaproxy["Service"], bytes: string) => Effect.promise(() => hear(fake.address, bytes))

const giveUp = (fake: FakeHaproxy["Service"], bytes: string) => Effect.promise(() => abandon(fake.address, bytes))

const until = (what: string, look: () => boolean): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (const end = Date.now() + 5_000; Date.now() < end; yield* Effect.sleep(2)) if (look()) return
    assert.fail(`never came: ${what}`)
  })

describe("faults", () => {
  const twoAdds = `prompt i\nadd map ${map} a 1\nadd map ${map} b 2\n`

  it.live("refuse: nothing happens, the text comes, and the next command runs", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.2" })
      yield* fake.inject("add map", Fault.refuse("No room."))
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\nNo room.\n\n\n", closed: false })
      assert.deepStrictEqual(fake.map(map), [["b", "2"]])
      assert.deepStrictEqual(fake.commands.map(({ ran, text }) => [text, ran]), [
        ["prompt i", true],
        [`add map ${map} a 1`, false],
        [`add map ${map} b 2`, true]
      ])
    }))

  it.live("the n-th of a pattern, as often as asked", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.4" })
      const fault = yield* fake.inject(/^add map \S+ [xy]/, Fault.refuse("no"), { nth: 2, times: 2 })
      for (const key of ["x1", "a", "y2", "x3", "x4"]) yield* ask(fake, `add map ${map} ${key} v\n`)
      assert.deepStrictEqual(fake.map(map).map(([key]) => key), ["x1", "a", "x4"])
      assert.strictEqual(fault.hits, 2)
      yield* fake.inject("add map", Fault.refuse("no"), { times: Number.POSITIVE_INFINITY })
      for (const key of ["b", "c"]) yield* ask(fake, `add map ${map} ${key} v\n`)
      yield* fake.clearFaults
      yield* ask(fake, `add map ${map} d v\n`)
      assert.deepStrictEqual(fake.map(map).map(([key]) => key), ["x1", "a", "x4", "d"])
    }))

  it.live("hang: no answer, nor to what follows; other connections are served", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.2" })
      yield* fake.inject("add map", Fault.hang())
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\n", closed: false })
      assert.deepStrictEqual(fake.map(map), [])
      yield* fake.inject("add map", Fault.hang({ run: true }))
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\n", closed: false })
      assert.deepStrictEqual(fake.map(map), [["a", "1"]])
      assert.isTrue((yield* ask(fake, "show version\n")).closed)
      yield* until("hung connections are forgotten", () => fake.connections === 0)
    }))

  it.live("drop: before it ran, before its answer, after its answer", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.4" })
      yield* fake.inject("add map", Fault.dropBefore)
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\n", closed: true })
      assert.deepStrictEqual(fake.map(map), [])
      yield* fake.inject("add map", Fault.loseAnswer)
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\n", closed: true })
      assert.deepStrictEqual(fake.map(map), [["a", "1"]])
      yield* fake.inject("add map", Fault.answerThenDrop)
      assert.deepStrictEqual(yield* ask(fake, twoAdds), { bytes: "\n\n", closed: true })
      assert.deepStrictEqual(fake.map(map), [["a", "1"], ["a", "1"]])
    }))

  it.live("partial, nonsense and slow answers", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.4", traits: { version: "3.4.7-1" } })
      const versions = "prompt i\nshow version\nshow version\n"
      yield* fake.inject("show version", Fault.partial(3))
      assert.deepStrictEqual(yield* ask(fake, versions), { bytes: "\n3.4", closed: true })
      yield* fake.inject("show version", Fault.nonsense("\u0000\u00ff what?\n\n"))
      assert.deepStrictEqual(yield* ask(fake, versions), {
        bytes: "\n\u0000\u00ff what?\n\n3.4.7-1\n\n",
        closed: false
      })
      yield* fake.inject("show version", Fault.slow(5))
      const began = Date.now()
      assert.deepStrictEqual(yield* ask(fake, versions), { bytes: "\n3.4.7-1\n\n3.4.7-1\n\n", closed: false })
      assert.isAtLeast(Date.now() - began, 40)
    }))
})

describe("receipts", () => {
  it.live("a command that came is found at once, one to come is waited for", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({})
      yield* ask(fake, `add map ${map} a 1\n`)
      assert.strictEqual((yield* fake.awaitCommand("add map")).text, `add map ${map} a 1`)
      const waiting = yield* Effect.forkChild(fake.awaitCommand("add map", { after: fake.commands.length, nth: 2 }))
      yield* ask(fake, `add map ${map} b 2;add map ${map} <<X\nc 3\nX\n`)
      const received = yield* Fiber.join(waiting)
      assert.deepInclude(received, { text: `add map ${map}`, payload: "c 3", answer: "\n", ran: true, connection: 2 })
      yield* fake.forgetCommands
      assert.lengthOf(fake.commands, 0)
    }))

  it.live("says what it does not imitate, and never succeeds with it", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({})
      const { bytes } = yield* ask(fake, "show activity\n")
      assert.match(bytes, /^FakeHaproxy does not imitate 'show activity'/)
      assert.deepStrictEqual(fake.unimitated, ["show activity"])
    }))

  it.live("an operator's hand passes faults and the log", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ backends: declarePools({ count: 1, slots: 1 }) })
      yield* fake.inject("add map", Fault.refuse("no"), { times: Number.POSITIVE_INFINITY })
      assert.strictEqual(yield* fake.run(`add map ${map} a 1`), "")
      assert.strictEqual(yield* fake.run(`add map ${map} <<X\nb 2\nc 3\nX\n`), "")
      assert.match(yield* fake.run("set server pool_1/pool_1_1 addr 10.0.0.1 port 80"), /^IP changed/)
      assert.deepStrictEqual(fake.maps[map], { a: "1", b: "2", c: "3" })
      assert.deepInclude(fake.server("pool_1/pool_1_1"), { address: "10.0.0.1", port: 80, state: "maint" })
      assert.lengthOf(fake.commands, 0)
    }))
})

describe("time", () => {
  it.live("an address may take its time", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ addressDelay: 100, backends: declarePools({ count: 1, slots: 1 }) })
      yield* ask(fake, "set server pool_1/pool_1_1 addr 10.0.0.1 port 80\n")
      const read = Effect.map(ask(fake, "show servers state pool_1\n"), ({ bytes }) => bytes.includes(" 10.0.0.1 "))
      assert.isFalse(yield* read)
      let seen = false
      for (const end = Date.now() + 5_000; !seen && Date.now() < end;) seen = yield* read
      assert.isTrue(seen)
    }))

  it.live("more connections than places wait for one", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.2", maxConnections: 1 })
      const first = connect(fake.address)
      yield* Effect.addFinalizer(() => Effect.sync(() => first.destroy()))
      first.write("prompt i\n")
      yield* fake.awaitCommand("prompt")
      assert.deepStrictEqual(yield* ask(fake, "show version\n"), { bytes: "", closed: false })
      const waiting = yield* Effect.forkChild(ask(fake, "show backend\n"))
      yield* until("the second connection", () => fake.connections === 2)
      first.destroy()
      assert.isTrue((yield* Fiber.join(waiting)).closed)
    }))
})

for (const line of lines) {
  describe(`pauses on ${line}`, () => {
    it.live("what is buffered for a client that has gone is run, as on the real one", () =>
      Effect.gen(function*() {
        const fake = yield* FakeHaproxy.make({ line })
        yield* fake.pause
        const commands = Array.from({ length: 100 }, (_, i) => `add map ${map} k${i} v`)
        yield* giveUp(fake, `${commands.join(";")}\n`)
        yield* until("the connection", () => fake.connections === 1)
        assert.deepStrictEqual(fake.map(map), [])
        yield* fake.resume
        yield* until("the end of the connection", () => fake.connections === 0)
        // 3.0 finds out with its first answer, and runs one more command; later lines run them all.
        assert.lengthOf(fake.map(map), line === "3.0" ? 2 : 100)
      }))

    it.live("a client that waits gets its answer", () =>
      Effect.gen(function*() {
        const fake = yield* FakeHaproxy.make({ line })
        yield* fake.pause
        const waiting = yield* Effect.forkChild(
          Effect.promise(() => hear(fake.address, "show version\n", { silence: 5_000 }))
        )
        yield* until("the connection", () => fake.connections === 1)
        yield* fake.resume
        assert.match((yield* Fiber.join(waiting)).bytes, /^3\.\d/)
      }))
  })
}

describe("lives", () => {
  it.live("restart: another process, files and configuration read again, connections gone", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "fake-files-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const file = join(folder, "domains.map")
      const write = (text: string) => Effect.promise(() => writeFile(file, text))
      yield* write("a 1\n")
      let config = "backend pool_1\n  server pool_1_1 10.0.0.1:80 weight 5\n"
      const fake = yield* FakeHaproxy.make({
        listen: "tcp",
        maps: mapFilesOnDisk({ [map]: file }),
        backends: () => parseBackends(config)
      })
      const { address, epoch } = fake
      yield* ask(fake, `add map ${map} lost 1;set server pool_1/pool_1_1 addr 10.9.9.9 port 1\n`)
      yield* write("a 1\nb 2\n")
      config = "backend pool_1\n  server pool_1_1 [2001:db8::1]:443 check disabled\n"
      const kept = yield* Effect.forkChild(ask(fake, "prompt i\n"))
      yield* fake.awaitCommand("prompt")
      yield* fake.restart
      assert.isTrue((yield* Fiber.join(kept)).closed)
      assert.deepStrictEqual(fake.address, address)
      assert.notStrictEqual(fake.epoch.pid, epoch.pid)
      assert.deepStrictEqual(fake.map(map), [["a", "1"], ["b", "2"]])
      assert.deepInclude(fake.server("pool_1/pool_1_1"), {
        address: "2001:db8::1",
        port: 443,
        adminState: 5,
        weight: 1
      })
      assert.include((yield* ask(fake, "show info\n")).bytes, `Pid: ${fake.epoch.pid}\n`)
    }))

  it.live("reload: the old worker goes on for its connections, stopping", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.2", maps: { [map]: "a 1\n" } })
      const old = connect(fake.address)
      yield* Effect.addFinalizer(() => Effect.sync(() => old.destroy()))
      let heard = ""
      old.setEncoding("latin1").on("data", (part: string) => {
        heard += part
      })
      old.write("prompt i\n")
      yield* fake.awaitCommand("prompt")
      const before = fake.epoch.pid
      yield* fake.reload
      old.write(`add map ${map} b 2\nshow info\n`)
      yield* until("the answer of the old worker", () => heard.includes("Stopping: 1\n"))
      assert.include(heard, `Pid: ${before}\n`)
      assert.deepStrictEqual(fake.map(map), [["a", "1"]])
      assert.include((yield* ask(fake, "show info\n")).bytes, "Stopping: 0\n")
      assert.deepStrictEqual(fake.commands.map(({ pid }) => pid === before), [true, true, true, false])
    }))

  it.live("down: refuses connections, keeps those it has, listens again at the same address", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy.make({ line: "3.4" })
      const kept = connect(fake.address)
      yield* Effect.addFinalizer(() => Effect.sync(() => kept.destroy()))
      kept.write("prompt i\n")
      yield* fake.awaitCommand("prompt")
      yield* fake.stopListening
      const refused = yield* Effect.flip(Effect.tryPromise(() => hear(fake.address, "show version\n")))
      assert.match(String(refused.cause), /ECONNREFUSED|ENOENT/)
      kept.write("show version\n")
      yield* fake.awaitCommand("show version")
      yield* fake.listen
      assert.isTrue((yield* ask(fake, "show version\n")).closed)
      yield* fake.dropConnections
      yield* until("no connection", () => fake.connections === 0)
    }))

  it.effect("as a layer", () =>
    Effect.gen(function*() {
      const fake = yield* FakeHaproxy
      assert.strictEqual(fake.line, "3.0")
      assert.deepStrictEqual(fake.map(map), [])
      assert.throws(() => fake.map("/no/such.map"), /no map/)
      assert.throws(() => fake.server("pool_1/nope"), /no server/)
      assert.lengthOf(fake.servers, 30)
    }).pipe(Effect.provide(FakeHaproxy.layer({ line: "3.0" }))))
})

describe("sessions", () => {
  it.live("a connection lost within a line of a payload stays in `show sess` (3.2, 3.4)", () =>
    Effect.gen(function*() {
      for (const line of lines) {
        const fake = yield* FakeHaproxy.make({ line })
        yield* giveUp(fake, `prompt i\nadd map ${map} <<X\nk v\nk2 `)
        yield* until("the connection has come and gone", () => fake.commands.length === 1 && fake.connections === 0)
        const { bytes } = yield* ask(fake, "show sess\n")
        assert.lengthOf(bytes.match(/proto=unix_stream/g)!, line === "3.0" ? 1 : 2)
      }
    }))
})
