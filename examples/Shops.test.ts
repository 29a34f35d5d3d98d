/**
 * Tests of a layer of your own without HAProxy, by `node --test`: FakeHaproxy speaks the Runtime API over a real
 * socket, and everything above it (database, map files, write path) is the real thing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { addDomain, controlPlane, type ProgramServices, Settings } from "haproxy-mcp"
import { declarePools, FakeHaproxy, type FakeHaproxyShape, Fault } from "haproxy-mcp/testing"
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { Shops } from "./Shops.ts"

const map = "/etc/haproxy/domains.map"

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "shops-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** Runs a test over a HAProxy 3.4 with four empty pools, of which the first gets the owner of all shops. */
const withShops = (body: (fake: FakeHaproxyShape) => Effect.Effect<void, unknown, Shops | ProgramServices>) => () =>
  Effect.gen(function*() {
    const folder = yield* temporaryFolder
    const fake = yield* FakeHaproxy.make({ line: "3.4", backends: declarePools({ count: 4, slots: 3 }) })
    const settings = Settings.layer({
      env: {
        HAPROXY_RUNTIME_MODE: "unix",
        HAPROXY_RUNTIME_SOCKET: "path" in fake.address ? fake.address.path : "",
        HAPROXY_MAP_FILE: join(folder, "domains.map"),
        HAPROXY_DB_FILE: join(folder, "haproxy_mcp.db"),
        HAPROXY_POOL_COUNT: "4",
        HAPROXY_MAX_SLOTS: "3"
      }
    })
    const layer = Shops.layer("shops.example.com").pipe(Layer.provideMerge(controlPlane), Layer.provide(settings))
    yield* Effect.andThen(addDomain({ domain: "shops.example.com", ip: "10.0.0.5" }), body(fake)).pipe(
      Effect.provide(layer)
    )
  }).pipe(Effect.scoped, Effect.runPromise)

test(
  "an open shop is routed to the pool of all shops",
  withShops((fake) =>
    Effect.gen(function*() {
      const shops = yield* Shops
      assert.equal(yield* shops.open("ann.shops.example.com"), true)
      assert.equal(yield* shops.open("ann.shops.example.com"), false, "it was open")
      const routed = new Map(fake.map(map))
      assert.equal(routed.get("ann.shops.example.com"), routed.get("shops.example.com"))
      yield* shops.close("ann.shops.example.com")
      assert.equal(new Map(fake.map(map)).has("ann.shops.example.com"), false)
    })
  )
)

test(
  "when HAProxy refuses, nothing has happened",
  withShops((fake) =>
    Effect.gen(function*() {
      const shops = yield* Shops
      yield* fake.inject("add map", Fault.refuse("No room."))
      const error = yield* Effect.flip(shops.open("bob.shops.example.com"))
      assert.equal(error.code, "HAPROXY_REFUSED")
      assert.equal(new Map(fake.map(map)).has("bob.shops.example.com"), false)
      assert.equal(yield* shops.open("bob.shops.example.com"), true, "and the next attempt is a first one")
    })
  )
)

test(
  "a HAProxy that starts anew gets every shop back",
  withShops((fake) =>
    Effect.gen(function*() {
      const shops = yield* Shops
      yield* shops.open("cid.shops.example.com")
      const before = fake.commands.length
      yield* fake.restart
      yield* fake.awaitCommand(/cid\.shops\.example\.com/, { after: before })
      // A write is acknowledged only when the new process is as it should be.
      yield* shops.open("dan.shops.example.com")
      assert.deepEqual(fake.map(map).map(([host]) => host).sort(), [
        "cid.shops.example.com",
        "dan.shops.example.com",
        "shops.example.com"
      ])
    })
  )
)
