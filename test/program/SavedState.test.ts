/** The legacy pair: what is saved is HAProxy's own text, and restoring never undoes what the database says of addresses. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { addDomain, removeDomain } from "../../src/program/Domains.ts"
import { restoreState, saveState } from "../../src/program/SavedState.ts"
import { listServers } from "../../src/program/ServerList.ts"
import { addServer, setServerState, setServerWeight } from "../../src/program/Servers.ts"
import { realLines } from "../support/RealHaproxy.ts"
import { makeWorld } from "../support/World.ts"

/** A state file without the seconds since each server's last change, the 10th field: they pass. */
const ageless = (text: string) =>
  text.trimEnd().split("\n").map((line) => line.split(" ").toSpliced(9, 1).join(" ")).join("\n")

const foreign = ["backend other", "  server app_1 10.9.9.9:80 weight 5"]

describe.each(realLines)("on HAProxy $line", (binary) => {
  it.live("weights and states come back, addresses and foreign servers stay as they are", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ binary, poolsFile: true, sections: foreign })
      const file = join(world.site.dir, "deep", "er", "servers.state")
      yield* world.control({ stateFile: file })
      const { run } = world
      yield* run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
      yield* run(addServer({ domain: "one.com", ip: "10.0.0.2" }))
      yield* run(setServerWeight({ domain: "one.com", slot: 1, weight: 9 }))
      yield* run(setServerState({ domain: "one.com", slot: 2, state: "drain" }))
      yield* run(addDomain({ domain: "gone.com", ip: "10.0.0.3" }))

      const saved = yield* run(saveState)
      assert.deepInclude(saved, { file, servers: 5 * 3 + 1 })
      assert.include(saved.summary, "legacy")
      const own = yield* world.haproxy.command("show servers state")
      assert.strictEqual(ageless(readFileSync(file, "utf8")), ageless(own), "HAProxy's own text")

      const same = yield* run(restoreState)
      assert.deepInclude(same, { changed: false, restored_count: 0, same_count: 3, skipped_count: 0, foreign_count: 1 })
      assert.include(same.summary, "legacy")

      yield* run(setServerWeight({ domain: "one.com", slot: 1, weight: 100 }))
      yield* run(setServerState({ domain: "one.com", slot: 2, state: "ready" }))
      yield* world.haproxy.command("set server other/app_1 weight 77")
      // The pool of gone.com is somebody else's now: the old owner's server must not come back.
      yield* run(removeDomain({ domain: "gone.com" }))
      const taken = yield* run(addDomain({ domain: "new.com", ip: "10.0.0.4" }))
      const before = yield* run(listServers({ domain: "new.com" }))
      assert.include(readFileSync(file, "utf8"), `${taken.backend} 1 ${taken.backend}_1 10.0.0.3 `)

      const restored = yield* run(restoreState)
      assert.deepInclude(restored, {
        changed: true,
        restored_count: 2,
        same_count: 0,
        skipped_count: 1,
        foreign_count: 1
      })
      assert.isString(restored.change_id)
      assert.lengthOf(restored.warnings, 1)
      const servers = (yield* run(listServers({ domain: "one.com" }))).servers
      assert.deepStrictEqual(servers.map(({ slot, state, weight }) => [slot, weight, state]), [
        [1, 9, "ready"],
        [2, 1, "drain"]
      ])
      assert.deepStrictEqual((yield* run(listServers({ domain: "new.com" }))).servers, before.servers)
      assert.include(yield* world.haproxy.command("show servers state other"), " app_1 10.9.9.9 2 0 77 ")
      yield* world.consistent()
    }), 20_000)
})

describe("a state file", () => {
  it.live("that is not there or not one is refused by name, and nothing changes", () =>
    Effect.gen(function*() {
      const world = yield* makeWorld({ poolsFile: true })
      yield* world.run(addDomain({ domain: "one.com", ip: "10.0.0.1" }))
      const file = join(world.site.dir, "servers.state")
      const before = yield* world.consistent()
      const missing = yield* Effect.flip(world.run(restoreState))
      assert.strictEqual(missing.code, "NOT_FOUND")
      assert.include(missing.hint, "haproxy_save_state")
      for (const text of ["", "2\n# nothing\n", "\u0000\u0001binary", "1\n# be_id be_name\n1 pool_1 1 pool_1_1\n"]) {
        writeFileSync(file, text)
        assert.strictEqual((yield* Effect.flip(world.run(restoreState))).code, "INVALID_INPUT")
      }
      yield* world.run(saveState)
      appendFileSync(file, "1 pool_1 1 pool_1_1 10.0.0.1 2 0 9999 1\n")
      assert.strictEqual((yield* Effect.flip(world.run(restoreState))).code, "INVALID_INPUT")
      assert.strictEqual(yield* world.consistent(), before)

      // A folder in its place cannot be written, and says so.
      rmSync(file)
      yield* world.control({ stateFile: world.site.dir })
      const failed = yield* Effect.flip(world.run(saveState))
      assert.strictEqual(failed.code, "STORAGE_FAILED")
      yield* world.haproxy.stop
      assert.strictEqual((yield* Effect.flip(world.run(saveState))).code, "HAPROXY_UNREACHABLE")
      yield* world.haproxy.start
    }), 20_000)
})
