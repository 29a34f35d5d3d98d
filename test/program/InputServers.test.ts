/** What the words on servers mean: slots, all or nothing, foreign ones, and addresses as HAProxy shows them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parseServerIp } from "../../src/domain/Address.ts"
import { makeWatchedWorld, quiet, type WatchedOptions, type WatchedWorld } from "../support/WatchedWorld.ts"
import { Dice } from "./Verbs.model.ts"

const test = (name: string, body: (world: WatchedWorld) => Effect.Effect<void>, options: WatchedOptions = {}) =>
  it.live(name, () => quiet(Effect.flatMap(makeWatchedWorld(options), body)))

const domain = "a.example"

const slotsOf = (answer: Record<string, unknown>) =>
  (answer["servers"] as ReadonlyArray<{ readonly slot: number; readonly addr: string }>)
    .map(({ addr, slot }) => `${slot} ${addr}`)

describe("slots", () => {
  test("0 is the first free one; a server has one slot, a slot one server", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain })
      const third = yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.3", slot: 3 })
      assert.strictEqual(third["slot"], 3)
      assert.strictEqual((yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.1" }))["slot"], 1)
      assert.strictEqual((yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.2", slot: 0 }))["slot"], 2)
      // The same address and port again, wherever it is; another port is another server.
      const again = yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.3" })
      assert.deepInclude(again, { changed: false, slot: 3 })
      const held = yield* world.bad("haproxy_add_server", { domain, ip: "10.0.0.9", slot: 2 }, "CONFLICT")
      assert.match(held.message, /Slot 2 holds 10\.0\.0\.2:80/)
      const elsewhere = yield* world.bad("haproxy_add_server", { domain, ip: "10.0.0.1", slot: 4 }, "CONFLICT")
      assert.match(elsewhere.message, /10\.0\.0\.1:80 is in slot 1 already/)
      yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.1", http_port: 81, slot: 4 })
      const full = yield* world.bad("haproxy_add_server", { domain, ip: "10.0.0.9" }, "POOL_EXHAUSTED")
      assert.match(full.hint, /HAPROXY_MAX_SLOTS/)

      yield* world.good("haproxy_remove_server", { domain, slot: 2 })
      const refilled = yield* world.good("haproxy_add_server", { domain, ip: "2001:db8::9", http_port: 65_535 })
      assert.deepStrictEqual(slotsOf(refilled), [
        "1 10.0.0.1:80",
        "2 [2001:db8::9]:65535",
        "3 10.0.0.3:80",
        "4 10.0.0.1:81"
      ])
      yield* world.consistent
    }), { slots: 4 })

  test("one that HAProxy does not have is never chosen, and refused when named", (world) =>
    Effect.gen(function*() {
      // The settings say four slots, haproxy.cfg has two.
      yield* world.restartPlane({ slots: 4 })
      yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
      const before = yield* world.everything
      const missing = yield* world.bad("haproxy_add_server", { domain, ip: "10.0.0.3", slot: 3 }, "CONFLICT")
      assert.match(missing.message, /HAProxy's configuration has no server pool_1_3/)
      assert.strictEqual(yield* world.everything, before)
      yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.2" })
      yield* world.bad("haproxy_add_server", { domain, ip: "10.0.0.3" }, "POOL_EXHAUSTED")
    }), { slots: 2, poolsFile: false })

  test("a lowered HAPROXY_MAX_SLOTS leaves the servers beyond it to be read", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain })
      yield* world.good("haproxy_add_servers", { domain, servers: ["10.0.0.1", "10.0.0.2"].map((ip) => ({ ip })) })
      yield* world.restartPlane({ slots: 1 })
      const list = yield* world.good("haproxy_list_servers", { domain })
      assert.deepInclude(list, { free_slots: 0 })
      assert.lengthOf(list["servers"] as ReadonlyArray<unknown>, 2)
    }))
})

describe("add_servers", () => {
  test("adds all or none", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
      const before = yield* world.everything
      const good = [{ ip: "10.0.0.2" }, { ip: "10.0.0.3", http_port: 81 }]
      const bad: ReadonlyArray<readonly [servers: ReadonlyArray<unknown>, code: string, field: string | undefined]> = [
        [[...good, { ip: "127.1" }], "INVALID_INPUT", "servers[2].ip"],
        [[good[0], { ip: "10.0.0.4", http_port: 0 }, good[1]], "INVALID_INPUT", "servers[1].http_port"],
        [[{ ip: "10.0.0.4", slot: 9 }, ...good], "INVALID_INPUT", "servers[0].slot"],
        [[...good, { ip: "10.0.0.4", slot: 1 }], "CONFLICT", "servers[2].slot"],
        [[{ ip: "10.0.0.2", slot: 3 }, { ip: "10.0.0.3", slot: 3 }], "CONFLICT", "servers[1].slot"],
        [[...good, { ip: "10.0.0.4" }, { ip: "10.0.0.5" }], "POOL_EXHAUSTED", undefined]
      ]
      for (const [servers, code, field] of bad) {
        for (const given of [servers, JSON.stringify(servers)]) {
          const error = yield* world.bad("haproxy_add_servers", { domain, servers: given }, code)
          assert.strictEqual(error.field, field, JSON.stringify(error))
          assert.strictEqual(yield* world.everything, before)
        }
      }
      // Slots named by number are kept free for those who named them.
      const added = yield* world.good("haproxy_add_servers", {
        domain,
        servers: [...good, { ip: "10.0.0.4", slot: 2 }]
      })
      assert.deepStrictEqual(slotsOf(added), ["1 10.0.0.1:80", "2 10.0.0.4:80", "3 10.0.0.2:80", "4 10.0.0.3:81"])
      // A list with the same server twice names it once.
      const twice = yield* world.good("haproxy_add_servers", {
        domain: (yield* world.good("haproxy_add_domain", { domain: "b.example" }))["domain"],
        servers: [{ ip: "10.0.0.2" }, { ip: "10.0.0.2", http_port: 80 }]
      })
      assert.lengthOf(slotsOf(twice), 1)
      yield* world.consistent
    }), { slots: 4 })
})

describe("the setters", () => {
  test("take domain and slot, or HAProxy's own names; nothing foreign", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain, ip: "10.0.0.1" })
      yield* world.good("haproxy_add_server", { domain, ip: "10.0.0.2" })
      yield* world.good("haproxy_add_domain", { domain: "b.example", share_with: domain })
      // Without the seconds since its last change, which go on by themselves (column 10).
      const foreign = () =>
        Effect.map(
          world.haproxy.command("show servers state web_backend"),
          (text) => text.split("\n").map((line) => line.split(" ").filter((_, column) => column !== 9).join(" "))
        )
      const before = yield* foreign()
      for (
        const args of [
          { backend: "web_backend", server: "w1" },
          { backend: "web_backend" },
          { server: "w1" },
          { backend: "pool_1", server: "w1" },
          { backend: "pool_999", server: "pool_999_1" },
          { server: "pool_999_1" },
          { backend: "pool_1", server: "pool_1_99" }
        ]
      ) {
        const error = yield* world.bad("haproxy_set_domain_state", { ...args, state: "maint" }, "FORBIDDEN")
        assert.match(error.message, /^(?:backend|server) ".+" is not managed here$/)
        if ("server" in args) {
          yield* world.bad("haproxy_set_server_state", { ...args, state: "maint" }, "FORBIDDEN")
          yield* world.bad("haproxy_set_server_weight", { ...args, weight: 1 }, "FORBIDDEN")
        }
      }
      assert.deepStrictEqual(yield* foreign(), before)

      // A free pool is no foreign one; the answer names pools in use.
      const free = yield* world.bad("haproxy_set_domain_state", { backend: "pool_3", state: "drain" }, "NOT_FOUND")
      assert.deepStrictEqual(free.valid_values, ["pool_1"])
      const empty = yield* world.bad(
        "haproxy_set_server_weight",
        { backend: "pool_1", server: "pool_1_3", weight: 1 },
        "NOT_FOUND"
      )
      assert.deepStrictEqual(empty.valid_values, ["pool_1_1", "pool_1_2"])

      // One by its name, all by the pool's name or through a share; the answer is the owner's pool.
      yield* world.good("haproxy_set_domain_state", { backend: "pool_1", server: "pool_1_2", state: "maint" })
      yield* world.good("haproxy_set_server_weight", { server: "pool_1_1", weight: -0 })
      assert.match(yield* world.consistent, /pool_1_1 10\.0\.0\.1:80 ready 0\nserver pool_1_2 10\.0\.0\.2:80 maint 1$/)
      const all = yield* world.good("haproxy_set_domain_state", { domain: "b.example", state: "drain" })
      assert.match(String(all["summary"]), /^All 2 servers of pool_1 have state drain$/)
      assert.deepStrictEqual(all["warnings"], [])
      yield* world.good("haproxy_set_server_weight", { domain, slot: 1, weight: 256 })
      yield* world.good("haproxy_set_domain_state", { backend: "pool_1", state: "ready" })
      const off = yield* world.good("haproxy_set_domain_state", { domain, state: "maint" })
      assert.match(String(off["warnings"]), /No server of pool_1 takes new requests now/)
      yield* world.consistent
    }), { sections: ["backend web_backend from base", "  server w1 127.0.0.1:9 weight 3", ""] })

  test("set nothing where there is no server, and say so", (world) =>
    Effect.gen(function*() {
      yield* world.good("haproxy_add_domain", { domain })
      const none = yield* world.good("haproxy_set_domain_state", { domain, state: "drain" })
      assert.deepInclude(none, { changed: false, servers: [] })
      assert.match(String(none["summary"]), /no servers/)
      const missing = yield* world.bad("haproxy_set_server_state", { domain, slot: 1, state: "drain" }, "NOT_FOUND")
      assert.match(missing.hint, /haproxy_add_server/)
    }))
})

describe("addresses", () => {
  /** Words that make zero runs, embedded IPv4 and all other corners of the text form likely. */
  const word = (dice: Dice) => dice.pick(["0", "0", "0", "1", "a", "64", "7f00", "a00", "ff9b", "ffff", "c0a8", "2001"])

  const random = (dice: Dice): string =>
    dice.next(4) === 0
      ? Array.from({ length: 4 }, () => dice.pick([0, 1, 10, 100, 127, 169, 192, 223, 254, 255])).join(".")
      : new URL(`http://[${Array.from({ length: 8 }, () => word(dice)).join(":")}]`).hostname.slice(1, -1)

  test("that are taken are those that HAProxy shows again as they were given", (world) =>
    Effect.gen(function*() {
      const dice = new Dice(20_262)
      yield* world.good("haproxy_add_domain", { domain })
      let taken = 0
      let refused = 0
      for (let round = 0; round < 200; round++) {
        const ip = random(dice)
        const result = yield* world.call("haproxy_add_server", { domain, ip, slot: 1 })
        if (Result.isFailure(parseServerIp(ip))) {
          refused++
          assert.strictEqual(result.code, "INVALID_INPUT", ip)
          continue
        }
        taken++
        assert.isFalse(result.isError, `${ip}: ${result.text}`)
        yield* world.good("haproxy_remove_server", { domain, slot: 1 })
      }
      console.log(`input: ${taken} addresses taken by HAProxy, ${refused} refused (seed 20262)`)
      assert.isAbove(taken, 50)
      assert.isAbove(refused, 20)
    }))
})
