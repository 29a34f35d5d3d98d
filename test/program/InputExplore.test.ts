import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { makeWatchedWorld, quiet } from "../support/WatchedWorld.ts"

describe("explore", () => {
  it.live("prints", () =>
    quiet(Effect.gen(function*() {
      const w = yield* makeWatchedWorld({
        sections: ["backend web_backend from base", "  server w1 127.0.0.1:9 weight 3", ""],
        domains: ["foreign.net web_backend"]
      })
      const show = (name: string, args: unknown) =>
        Effect.gen(function*() {
          const began = performance.now()
          const r = yield* w.call(`haproxy_${name}`, args)
          let a = "unprintable"
          try {
            a = JSON.stringify(args) ?? "undefined"
          } catch {}
          console.log(
            `${name} ${a.slice(0, 200)}  (${(performance.now() - began).toFixed(1)} ms, ${r.text.length})\n   => ${
              r.text.slice(0, 700)
            }`
          )
        })
      yield* show("add_domain", { domain: "a.com", ip: "10.0.0.1" })
      yield* show("add_server", { domain: "a.com", ip: "10.0.0.2" })
      yield* show("add_domain", { domain: "b.org", share_with: "a.com" })
      yield* show("add_domain", { domain: "*.a.com" })
      yield* show("add_domain", { domain: "*.a.com" })
      yield* show("add_domain", { domain: "a.com", ip: "10.0.0.1" })
      yield* show("add_domain", { domain: "foreign.net", ip: "10.0.0.1" })
      yield* show("remove_domain", { domain: "foreign.net" })
      yield* show("remove_domain", { domain: "www.a.com" })
      yield* show("list_servers", { domain: "www.a.com" })
      yield* show("list_servers", { domain: "ac.om" })
      let deep: unknown = "x"
      for (let i = 0; i < 100000; i++) deep = [deep]
      let deepo: unknown = "x"
      for (let i = 0; i < 5000; i++) deepo = { a: deepo }
      for (
        const domain of [
          5,
          null,
          {},
          [],
          ["a.com"],
          true,
          "",
          "x".repeat(2e6),
          deepo,
          "１２７.１",
          "ä.com",
          "ä b.com",
          "a@ä.com",
          "*.com",
          "*.co.uk",
          "a.com.",
          "http://a.com/",
          "a.com:80",
          "1.2.3.4",
          "*",
          "*.",
          "a.*.com",
          "*a.com",
          "xn--a.com"
        ]
      ) {
        yield* show("add_domain", { domain })
      }
      for (
        const ip of [
          5,
          "",
          "x".repeat(2e6),
          "127.1",
          "FE80::1",
          "::0",
          "::ffff:1.2.3.4",
          "64:ff9b::a9fe:a9fe",
          "::a9fe:a9fe",
          "::7f00:1",
          "2002:a9fe:a9fe::1",
          "fd00:ec2:0::254",
          "10.0.0.1:80",
          "[::1]",
          "10.0.0.1 ",
          "192.0.2.1",
          "255.255.255.255",
          "ff02::1",
          "240.0.0.1"
        ]
      ) {
        yield* show("add_server", { domain: "a.com", slot: 3, ip })
        yield* show("remove_server", { domain: "a.com", slot: 3 })
      }
      for (const slot of ["1", 1.5, -1, 4, 1e21, 1000, 1001, -0, NaN, null]) {
        yield* show("add_server", { domain: "a.com", slot, ip: "10.0.0.2" })
      }
      yield* show("add_server", { domain: "a.com", slot: 1, ip: "10.0.0.2" })
      yield* show("add_server", { domain: "a.com", slot: 1, ip: "10.0.0.9" })
      for (
        const servers of [
          "x",
          "{}",
          "[]",
          "[{\"ip\":5}]",
          5,
          [{}],
          [1],
          [null],
          "[".repeat(9000),
          JSON.stringify([{ ip: "10.0.0.7", __proto__: 1 }]),
          "[{\"ip\":\"10.0.0.7\",\"__proto__\":{\"slot\":1}}]",
          [{ ip: "10.0.0.7", slot: 3 }, { ip: "10.0.0.8", slot: 3 }],
          [{ ip: "10.0.0.7" }, { ip: "10.0.0.8" }],
          [{ ip: "10.0.0.7" }, { ip: "10.0.0.8", http_port: "80" }]
        ]
      ) {
        yield* show("add_servers", { domain: "a.com", servers })
      }
      for (
        const t of [
          {},
          { domain: "a.com" },
          { slot: 1 },
          { backend: "pool_1" },
          { server: "pool_1_1" },
          { domain: "a.com", slot: 1, backend: "pool_1", server: "pool_1_1" },
          { backend: "web_backend", server: "w1" },
          { backend: "web_backend" },
          { backend: "pool_1", server: "w1" },
          { backend: "pool_1", server: "pool_2_1" },
          { backend: "pool_99", server: "pool_99_1" },
          { backend: "pool_4", server: "pool_4_1" },
          { server: "pool_4_1" },
          { backend: "pool_1", server: "pool_1_3" },
          { backend: "pool_1", server: "pool_1_9" },
          { domain: "a.com", slot: 3 },
          { domain: "b.org", backend: "pool_1" }
        ]
      ) {
        yield* show("set_server_state", { ...t, state: "drain" })
        yield* show("set_domain_state", { ...t, state: "drain" })
      }
      for (const state of [5, "READY", "x".repeat(2e6), null, "__proto__"]) {
        yield* show("set_server_state", { domain: "a.com", slot: 1, state })
      }
      for (const weight of [5.5, 257, -1, "1", null, 1e400]) {
        yield* show("set_server_weight", { domain: "a.com", slot: 1, weight })
      }
      for (const timeout of [0, 3601, "30", 1.5]) {
        yield* show("wait_drain", { domain: "a.com", timeout })
      }
      yield* show("set_domain_state", { domain: "a.com", state: "ready" })
      yield* show("wait_drain", { domain: "a.com" })
      yield* show("wait_drain", { domain: "a.com", slot: 1 })
      yield* show("wait_drain", { domain: "a.com", slot: 3 })
      yield* show("operation", { operation_id: "x" })
      yield* show("operation", { operation_id: "x".repeat(2e6), wait: 46 })
      for (const search of ["x".repeat(2e6), "a\u0000", "ü"]) {
        yield* show("list_domains", { search })
      }
      for (const cursor of ["", "x", "x".repeat(2e6), "YS5jb20"]) yield* show("list_domains", { cursor })
      for (const limit of [0, 1001, "5"]) yield* show("list_domains", { limit })
      for (
        const args of [null, undefined, [], "x", 5, { x: 1 }, JSON.parse("{\"__proto__\":{}}"), { constructor: 1 }, {
          toString: 1
        }, deepo]
      ) {
        yield* show("health", args)
        yield* show("remove_domain", args)
      }
      yield* show("cleanup_wildcards", { dry_run: "true" })
      yield* show("add_domain", { domain: "c.com", ip: "10.0.0.1", share_with: "a.com" })
      yield* show("add_domain", { domain: "c.com", share_with: "c.com" })
      yield* show("add_domain", { domain: "c.com", share_with: "nix.com" })
      yield* show("add_domain", { domain: "c.com", http_port: 8080 })
      yield* show("add_domain", { domain: "shop.it.com" })
      yield* show("add_domain", { domain: "it.com" })
      yield* show("add_domain", { domain: "*.it.com" })
      yield* show("list_domains", { include_wildcards: true })
      yield* show("domain_health", { domain: "a.com" })
      yield* w.haproxy.stop
      yield* show("health", {})
      yield* show("domain_health", { domain: "a.com" })
      yield* show("list_servers", { domain: "a.com" })
      yield* show("add_server", { domain: "a.com", ip: "10.0.0.2" })
    })), 60000)
})
