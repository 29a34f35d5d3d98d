/** What the encoder and the framing rely on, looked at byte by byte. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readOpening } from "../../../src/haproxy/Cli.ts"
import * as Info from "../../../src/haproxy/InfoCommands.ts"
import * as Maps from "../../../src/haproxy/MapCommands.ts"
import * as Servers from "../../../src/haproxy/ServerCommands.ts"
import * as Sessions from "../../../src/haproxy/SessionCommands.ts"
import * as Stats from "../../../src/haproxy/StatCommands.ts"
import { accepted, until, wire, withApi } from "./Harness.ts"
import type { MakeTarget } from "./Target.ts"

export const wireContract = (make: MakeTarget): void => {
  describe("wire", () => {
    const older = (line: readonly [number, number], minor: number) => line[0] === 3 && line[1] < minor

    it.live("`prompt i` keeps the connection; 3.0 prompts", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        const end = older(target.line, 2) ? "\n> " : "\n"
        for (const transport of Object.values(target.transports)) {
          const bare = yield* wire(transport)
          yield* bare.send("prompt i\nshow version\n")
          const text = yield* bare.received(`\n${end}`)
          assert.strictEqual(readOpening(text), older(target.line, 2) ? "prompt" : "quiet")
          yield* bare.send("show version\n")
          const version = text.split("\n")[1]!.replace("> ", "")
          assert.isTrue((yield* bare.received(`${version}\n${end}`)).startsWith(text))
        }
      }))

    it.live("without a prompt only the first line runs", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        const bare = yield* wire(target.transports.unix)
        const map = target.domainsMap
        yield* bare.send(`get map ${map} a.test\nadd map ${map} b.test pool_1\n`)
        assert.include(yield* bare.closed, "found=yes")
        assert.include(yield* target.command(`get map ${map} b.test`), "found=no")
      }))

    it.live("takes commands in any pieces, and none before its newline", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        const map = target.domainsMap
        const bare = yield* wire(target.transports.tcp)
        yield* bare.send("prompt i\n")
        const line = `add map ${map} a.test pool_1`
        for (const piece of line) yield* bare.send(piece)
        // Another connection is answered meanwhile, so the line was there to be run.
        assert.include(yield* target.command(`get map ${map} a.test`), "found=no")
        yield* bare.send("\n")
        yield* until(
          "the entry",
          Effect.map(target.command(`get map ${map} a.test`), (text) => text.includes("found=yes"))
        )
      }))

    it.live("a payload ends at its terminator alone, and its lines never run", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        const map = target.domainsMap
        const bare = yield* wire(target.transports.unix)
        yield* bare.send("prompt i\nshow version\n")
        yield* bare.received(older(target.line, 2) ? "\n\n> " : "\n\n")
        const sent = `add map ${map} <<abcdefz\nclear map\nabcdefz2 pool_1\nabcdefz\nshow map ${map}\n`
        yield* bare.send(sent)
        const text = yield* bare.received(older(target.line, 2) ? "pool_1\n\n> " : "pool_1\n\n")
        // Every payload line counts as an entry, and 3.0 echoes `+ ` for the command and each line but the terminator.
        assert.match(text, / clear map\n\S+ abcdefz2 pool_1\n/)
        assert.strictEqual(text.includes("+ + + \n> "), older(target.line, 2))
      }))

    it.live("a line over the buffer size closes the connection and runs nothing", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        const bare = yield* wire(target.transports.unix)
        yield* bare.send("prompt i\n")
        yield* bare.send(`clear map ${target.domainsMap} ${"x".repeat(20_000)}\n`)
        yield* bare.closed
        assert.include(yield* target.command(`get map ${target.domainsMap} a.test`), "found=yes")
      }))

    it.live("closes an idle connection after `stats timeout`", () =>
      Effect.gen(function*() {
        const target = yield* make({ statsTimeout: "300ms" })
        const bare = yield* wire(target.transports.unix)
        yield* bare.send("prompt i\n")
        yield* bare.closed
      }))

    it.live("no answer that we read has an empty line inside", () =>
      Effect.gen(function*() {
        const target = yield* make({ domains: ["a.test pool_1"] })
        const map = target.domainsMap
        const commands = [
          Info.show,
          Info.help,
          Maps.list,
          Maps.show(map),
          Maps.get(map, "a.test"),
          Maps.show("/no/such.map"),
          Maps.prepare(map),
          Maps.commit(map, 77),
          Servers.showState(),
          Servers.showState("nope"),
          Servers.setAddress("pool_1", "pool_1_1", "127.0.0.1", 1),
          Servers.setAddress("pool_1", "pool_1_1", "nonsense", 1),
          Stats.show(),
          Stats.show({ proxy: "nope" }),
          Sessions.cliSessions
        ]
        for (const command of commands) {
          const text = yield* target.command(command.words.join(" "))
          assert.match(text, /[^\n]\n\n$/, command.words.join(" "))
          assert.strictEqual(text.indexOf("\n\n"), text.length - 2, command.words.join(" "))
        }
      }))

    it.live("takes payloads of the size that the capabilities say", () =>
      Effect.gen(function*() {
        const target = yield* make({})
        for (const transport of Object.values(target.transports)) {
          yield* withApi(transport, (api) =>
            Effect.gen(function*() {
              const link = yield* api.link
              assert(link._tag === "Up")
              const size = link.capabilities.maxPayload - 32
              const lines: Array<string> = []
              for (let bytes = 0, i = 0; bytes < size - 100; i++) {
                lines.push(`h${String(i).padStart(60, "x")}.test pool_1`)
                bytes += lines[i]!.length + 1
              }
              const [version] = yield* api.exchange([Maps.prepare(target.domainsMap)])
              const [added, all] = yield* api.exchange([
                Maps.addVersion(target.domainsMap, accepted(version), lines),
                Maps.list
              ])
              accepted(added)
              const [committed, after] = yield* api.exchange([
                Maps.commit(target.domainsMap, accepted(version)),
                Maps.list
              ])
              accepted(committed)
              assert.isAtLeast(accepted(all).find((one) => one.path === target.domainsMap)!.entries, lines.length)
              assert.strictEqual(
                accepted(after).find((one) => one.path === target.domainsMap)?.entries,
                lines.length
              )
            }))
        }
      }))
  })
}
